# SPDX-License-Identifier: GPL-3.0-or-later
"""The guardian process: holds duplicates of open ports, and stops armed machines that nobody minds.

Usage: python -I -S __main__.py CONTROL_FD PULSE_FD PARENT_PID [NOTES]

CONTROL_FD is a SOCK_SEQPACKET socket. Requests are ``SEQ watch MACHINE IDENTITY`` and ``SEQ unwatch|arm|disarm
MACHINE``, a descriptor riding along with watch (SCM_RIGHTS); answers are ``ok SEQ`` or ``no SEQ REASON``. By itself
it says ``ready`` once, ``beat`` every fourth pulse, and ``tripped MACHINE CAUSE OUTCOME`` after it has stopped a
machine. The same is left as the file MACHINE.stopped in the folder NOTES, for a process that comes later.

PULSE_FD is a pipe with a byte every 50 ms from the main process' event loop. When it closes, or PARENT_PID ends
(``gone``), or it is silent for 250 ms (``silent``) while a machine is armed, then every armed machine gets ``!`` at
once, is watched until it reports that its axes stand or 500 ms have passed, and gets 0x18: spindle and coolant are
commanded off, the position is kept where the axes stood. A descriptor that it holds is its own: whatever happens to
the number in the main process, it keeps meaning the same port. IDENTITY is what the main process took for the port
(device, inode and terminal number, by fstat); what arrives has to be that, a terminal or a socket, or it is not held.

Standard library only, nothing of ours, and as little of it as will do: the process is small, stays in memory and has
nothing to wait for but its three descriptors.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import stat
import sys
import termios
import time

SILENCE_S = 0.250
STAND_S = 0.500
POLL_S = 0.025
BEAT_EVERY = 4
PRIORITY = 10
LOCK_PAGES_IN_USE = 1 | 2 | 4
"""MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT of <sys/mman.h>."""

HOLD, RESET, STATUS = b"!", b"\x18", b"?"
MOST_READS = 64
STANDING = (b"<Hold:0", b"<Door:0", b"<Door:1", b"<Alarm", b"<Sleep")


def identity(descriptor: int) -> str:
    """Return which file a descriptor means: two opens of a device node that was plugged anew differ in it, or fail."""
    about = os.fstat(descriptor)
    return f"{about.st_dev}:{about.st_ino}:{about.st_rdev}"


class Watched:
    """One machine's port: a terminal, or a socket that carries the same bytes."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor
        self.terminal = os.isatty(descriptor)
        self.identity = identity(descriptor)
        self.armed = False
        self.heard = b""
        self.outcome = ""

    def write(self, data: bytes) -> bool:
        """Write `data` and return True; a terminal that is clogged is emptied first, a socket returns False."""
        try:
            os.write(self.descriptor, data)
        except BlockingIOError:
            if not self.terminal:
                return False
            termios.tcflush(self.descriptor, termios.TCOFLUSH)
            os.write(self.descriptor, data)
        return True

    def begin(self) -> None:
        """Write the hold. What the port said before is no answer to it."""
        self.heard = b""
        self.outcome = ""
        try:
            if identity(self.descriptor) != self.identity:
                self.outcome = "unreachable"
                return
            self.write(HOLD)
            self.drop_input()
        except (OSError, termios.error):
            self.outcome = "unreachable"

    def drop_input(self) -> None:
        """Forget what has arrived so far, within bounds."""
        if self.terminal:
            termios.tcflush(self.descriptor, termios.TCIFLUSH)
            return
        try:
            for _ in range(MOST_READS):
                if not os.read(self.descriptor, 4096):
                    return
        except BlockingIOError:
            return

    def ask(self) -> None:
        """Ask for a status report, and hold again: the first byte may have been lost, a second changes nothing."""
        try:
            self.write(HOLD + STATUS)
        except (OSError, termios.error):
            self.outcome = "unreachable"

    def listen(self) -> None:
        """Read what the controller says; axes that stand end the wait, and so does a port that has hung up."""
        try:
            data = os.read(self.descriptor, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.outcome = "unreachable"
            return
        self.heard = (self.heard + data)[-4096:]
        if any(word in self.heard for word in STANDING):
            self.end("standing")

    def end(self, outcome: str) -> None:
        """Write the reset."""
        try:
            self.outcome = outcome if self.write(RESET) else "unreachable"
        except (OSError, termios.error):
            self.outcome = "unreachable"


class Guardian:
    """Everything that the process knows."""

    def __init__(self, control: socket.socket, pulse: int, parent: int, notes: str) -> None:
        self._control = control
        self._pulse = pulse
        self._parent = parent
        self._notes = notes
        self._machines: dict[str, Watched] = {}
        self._last_pulse = time.monotonic()
        self._pulses = 0

    def run(self) -> None:
        """Mind the machines until the main process is gone."""
        poller = select.poll()
        for descriptor in (self._control.fileno(), self._pulse, self._parent):
            poller.register(descriptor, select.POLLIN)
        self._say("ready")
        while True:
            ready = dict(poller.poll(self._patience_ms()))
            if self._pulse in ready:
                self._take_pulse()
            if self._parent in ready or (self._pulse in ready and not ready[self._pulse] & select.POLLIN):
                self._stop_armed("gone")
                return
            if self._control.fileno() in ready and not self._obey():
                poller.unregister(self._control.fileno())
            if self._armed() and time.monotonic() - self._last_pulse >= SILENCE_S:
                self._stop_armed("silent")

    def _armed(self) -> list[Watched]:
        return [machine for machine in self._machines.values() if machine.armed]

    def _patience_ms(self) -> float | None:
        """Return how long nothing may happen: for ever while nothing is armed."""
        if not self._armed():
            return None
        return max(0.0, (self._last_pulse + SILENCE_S - time.monotonic()) * 1000)

    def _take_pulse(self) -> None:
        """Note a sign of life, and give one back now and then."""
        try:
            count = len(os.read(self._pulse, 4096))
        except BlockingIOError:
            return
        if count:
            self._last_pulse = time.monotonic()
            before, self._pulses = self._pulses, self._pulses + count
            if before // BEAT_EVERY != self._pulses // BEAT_EVERY:
                self._say("beat")

    def _obey(self) -> bool:
        """Carry out one request; return False where nobody will send another."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 512, 1)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        seq, verb, name = data.decode("ascii").split(" ", 2)
        reason = self._carry_out(verb, name, descriptors)
        self._say(f"no {seq} {reason}" if reason else f"ok {seq}")
        return True

    def _carry_out(self, verb: str, name: str, descriptors: list[int]) -> str:
        """Carry out a request; return why not, or nothing."""
        machine = self._machines.get(name)
        if verb == "watch" and descriptors:
            name, _, expected = name.partition(" ")
            self._let_go(name)
            if not is_port(descriptors[0]) or identity(descriptors[0]) != expected:
                os.close(descriptors[0])
                return "what was handed over is not its port"
            self._machines[name] = Watched(name, descriptors[0])
        elif verb == "unwatch":
            self._let_go(name)
        elif verb in ("arm", "disarm") and machine is not None:
            machine.armed = verb == "arm"
        elif verb != "disarm":
            return "its port is not open"
        return ""

    def _let_go(self, name: str) -> None:
        """Close the duplicate of a machine's port."""
        machine = self._machines.pop(name, None)
        if machine is not None:
            os.close(machine.descriptor)

    def _stop_armed(self, cause: str) -> None:
        """Stop every armed machine, all at the same time, and tell."""
        machines = self._armed()
        for machine in machines:
            machine.begin()
        deadline = time.monotonic() + STAND_S
        while waiting := [machine for machine in machines if not machine.outcome]:
            left = deadline - time.monotonic()
            if left <= 0:
                for machine in waiting:
                    machine.end("unconfirmed")
                break
            self._look(waiting, min(POLL_S, left))
        for machine in machines:
            machine.armed = False
            self._note(machine.name, f"{cause} {machine.outcome}")
            self._say(f"tripped {machine.name} {cause} {machine.outcome}")

    def _look(self, waiting: list[Watched], seconds: float) -> None:
        """Ask each machine, and read answers for `seconds`."""
        poller = select.poll()
        by_descriptor = {machine.descriptor: machine for machine in waiting}
        for machine in waiting:
            machine.ask()
            poller.register(machine.descriptor, select.POLLIN)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not all(machine.outcome for machine in waiting):
            for descriptor, _ in poller.poll(left * 1000):
                machine = by_descriptor[descriptor]
                if machine.outcome:
                    poller.unregister(descriptor)
                else:
                    machine.listen()

    def _note(self, name: str, text: str) -> None:
        """Leave word for a main process that starts later; a disk that takes none must not end the guard."""
        if not self._notes:
            return
        try:
            with open(os.path.join(self._notes, f"{name}.stopped"), "w", encoding="ascii") as note:
                note.write(f"{text}\n")
        except OSError:
            return

    def _say(self, text: str) -> None:
        """Tell the main process; one that is dead or does not read misses nothing that could still help."""
        try:
            self._control.send(text.encode("ascii"))
        except OSError:
            return


def is_port(descriptor: int) -> bool:
    """Whether a descriptor is a terminal or a socket: nothing else ever gets a byte."""
    return os.isatty(descriptor) or stat.S_ISSOCK(os.fstat(descriptor).st_mode)


def _prefer_us() -> None:
    """Run before others and stay in memory, as far as the system permits; without, it works, only less surely."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        try:
            os.nice(-PRIORITY)
        except OSError:
            pass
    ctypes.CDLL(None).mlockall(LOCK_PAGES_IN_USE)


def main() -> None:
    """Mind the machines of the main process until it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        # The main process decides when it ends; a service manager that ends both at once must not take the guard first.
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    pulse, parent_pid = int(sys.argv[2]), int(sys.argv[3])
    control.settimeout(0)
    os.set_blocking(pulse, False)
    try:
        parent = os.pidfd_open(parent_pid)
    except ProcessLookupError:
        return
    _prefer_us()
    Guardian(control, pulse, parent, sys.argv[4] if len(sys.argv) > 4 else "").run()


if __name__ == "__main__":
    main()
