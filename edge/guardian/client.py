# SPDX-License-Identifier: GPL-3.0-or-later
"""The main process' side of the guardian: starts it, feeds its pulse, tells it what to mind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from edge.domain.errors import DriverUnavailable

log = logging.getLogger(__name__)

PULSE_S = 0.05
SILENCE_S = 0.25
"""The guardian acts after this; while the last pulse is younger it has not."""

_ANSWER_S = 0.5
_START_S = 5.0
_END_S = 3.0
_SILENT_S = 1.0
_RESTART_S = 1.0
_PROGRAM = Path(__file__).with_name("__main__.py")


def identity(descriptor: int) -> str:
    """Return which file a descriptor means, as the guardian names it. Raises OSError where it is closed."""
    about = os.fstat(descriptor)
    return f"{about.st_dev}:{about.st_ino}:{about.st_rdev}"


class _Process:
    """One life of the guardian process."""

    def __init__(self, notes: Path | None) -> None:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pulse_read, self.pulse = os.pipe()
        os.set_blocking(self.pulse, False)
        control.settimeout(0)
        self.control = control
        arguments = [str(theirs.fileno()), str(pulse_read), str(os.getpid()), *([str(notes)] if notes else [])]
        try:
            # -I -S: nothing but the standard library can be imported, and little of it is. A session of its own:
            # a Ctrl-C at the terminal is for the main process.
            self.popen = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(_PROGRAM), *arguments],
                pass_fds=(theirs.fileno(), pulse_read),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                close_fds=True,
            )
        except OSError:
            control.close()
            os.close(self.pulse)
            raise
        finally:
            theirs.close()
            os.close(pulse_read)

    def release(self) -> None:
        """Close our ends: a guardian with armed machines stops them, then it ends."""
        self.control.close()
        os.close(self.pulse)


class GuardianClient:
    """The Guardian port. All methods run on the loop's thread.

    Should the guardian process die, `alive` turns False and it is started again; what was watched is handed to the
    new one, and nothing is armed.
    """

    def __init__(
        self, on_trip: Callable[[str], None], on_gone: Callable[[str], None], notes: Path | None = None
    ) -> None:
        """Take whom to tell, with a machine's id, and the folder of the guardian's notes to a later process.

        on_trip: the guardian has stopped the machine, or may be doing it, because this process was late; or an
        earlier life of this process left it armed, which is told when its port is watched again. on_gone: the machine
        was armed, and the guardian process has ended or does not answer, so nobody minds it.
        """
        self._on_trip = on_trip
        self._on_gone = on_gone
        self._notes = notes
        self._process: _Process | None = None
        self._ended: _Process | None = None
        self._pulse_task: asyncio.Task[None] | None = None
        self._ports: dict[str, tuple[int, str]] = {}
        self._armed: set[str] = set()
        self._doubted: set[str] = set()
        self._pulsed_s = 0.0
        self._restart_s = 0.0
        self._seq = 0
        self._open: dict[int, asyncio.Future[str]] = {}
        self._ready = asyncio.Event()
        self._heard_s = 0.0

    @property
    def alive(self) -> bool:
        """Return whether the process runs, gave a sign within a second, and has confirmed all that it was told."""
        if self._process is None or not self._ready.is_set() or self._open:
            return False
        return asyncio.get_running_loop().time() - self._heard_s < _SILENT_S

    @property
    def pid(self) -> int | None:
        """Return the id of the process, None while there is none."""
        return self._process.popen.pid if self._process else None

    async def start(self) -> None:
        """Start the process and its pulse. Raises DriverUnavailable where it does not come up."""
        if self._notes is not None:
            self._notes.mkdir(parents=True, exist_ok=True)
        self._begin()
        self._pulse_task = asyncio.create_task(self._pulse(), name="guardian pulse")
        try:
            async with asyncio.timeout(_START_S):
                await self._ready.wait()
        except TimeoutError:
            await self.stop()
            raise DriverUnavailable(machine_id="guardian", reason="the process did not start") from None

    async def stop(self) -> None:
        """End pulse and process. A machine that is still armed is stopped by this."""
        if self._pulse_task is not None:
            self._pulse_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pulse_task
            self._pulse_task = None
        if self._process is not None:
            self._let_go(self._process)
        if self._ended is not None:
            await self._reap(self._ended)

    def watch(self, machine_id: str, descriptor: int) -> None:
        """Hand over a duplicate of an open port's descriptor; replaces an earlier one of the machine."""
        port = (descriptor, identity(descriptor))
        self._ports[machine_id] = port
        self._armed.discard(machine_id)
        self._send_port(machine_id, port)
        if self._notes is not None and (self._notes / f"{machine_id}.stopped").exists():
            # In its own turn: whoever watches is in the midst of opening the port.
            asyncio.get_running_loop().call_soon(self._tell_trip, machine_id, "in an earlier life")

    def unwatch(self, machine_id: str) -> None:
        """Let the descriptor go: the port is closed."""
        if self._ports.pop(machine_id, None) is not None:
            self._armed.discard(machine_id)
            self._send("unwatch", machine_id)

    async def arm(self, machine_id: str) -> None:
        """From now on silence or death of this process stops the machine. Raises DriverUnavailable."""
        await self._confirmed("arm", machine_id)
        self._doubted.discard(machine_id)
        self._armed.add(machine_id)

    async def disarm(self, machine_id: str) -> None:
        """Silence no longer stops the machine. Raises DriverUnavailable where the guardian does not say so."""
        self._armed.discard(machine_id)
        self._doubted.discard(machine_id)
        await self._confirmed("disarm", machine_id)

    def in_time(self, machine_id: str) -> bool:
        """Return whether what this process sends now cannot follow a stop by the guardian.

        False from the moment at which the guardian may have stopped an armed machine until it is disarmed: an
        acknowledgement that waited meanwhile must not send the next line to a controller that was reset.
        """
        if machine_id in self._armed and self._late():
            self._doubt()
        return machine_id not in self._doubted

    def _late(self) -> bool:
        """Whether the last pulse is as old as the guardian's patience: it was written before it was read there."""
        return asyncio.get_running_loop().time() - self._pulsed_s >= SILENCE_S

    def _doubt(self) -> None:
        """Count what is armed as stopped."""
        loop = asyncio.get_running_loop()
        for machine_id in self._armed - self._doubted:
            self._doubted.add(machine_id)
            loop.call_soon(self._tell_trip, machine_id, "this process was late")

    async def _confirmed(self, verb: str, machine_id: str) -> None:
        """Send a request and wait for its confirmation. Raises DriverUnavailable."""
        answer = self._send(verb, machine_id)
        reason = "the guardian process does not run"
        if answer is not None:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    reason = await asyncio.shield(answer)
            except TimeoutError:
                reason = "the guardian does not answer"
        if reason:
            raise DriverUnavailable(machine_id=machine_id, reason=reason)

    def _send_port(self, machine_id: str, port: tuple[int, str]) -> None:
        """Hand over a port, unless its number means something else by now: closed, and given out again."""
        descriptor, expected = port
        try:
            same = identity(descriptor) == expected
        except OSError:
            same = False
        if same:
            self._send("watch", f"{machine_id} {expected}", descriptor)
        else:
            log.error("the port of %s was closed without a word: nobody minds the machine", machine_id)

    def _send(self, verb: str, machine_id: str, descriptor: int | None = None) -> asyncio.Future[str] | None:
        """Send a request; return the future of its answer (empty: confirmed), or None where nobody is there."""
        if self._process is None:
            return None
        self._seq += 1
        data = f"{self._seq} {verb} {machine_id}".encode("ascii")
        descriptors = [] if descriptor is None else [descriptor]
        try:
            socket.send_fds(self._process.control, [data], descriptors)
        except OSError as error:
            log.error("the guardian cannot be told: %s", error)  # noqa: TRY400 - the sentence says it all
            self._ready.clear()
            return None
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[self._seq] = answer
        return answer

    def _begin(self) -> None:
        """Start a process and hand over what there is to mind."""
        self._ready.clear()
        self._process = _Process(self._notes)
        asyncio.get_running_loop().add_reader(self._process.control, self._readable)
        for machine_id, port in self._ports.items():
            self._send_port(machine_id, port)

    def _begin_again(self) -> None:
        """Start a process in the place of one that ended; one that is left over is killed first."""
        if self._ended is not None and self._ended.popen.poll() is None:
            self._ended.popen.kill()
            return
        try:
            self._begin()
        except OSError as error:
            self._restart_s += _RESTART_S
            log.error("the guardian process does not start: %s", error)  # noqa: TRY400 - the sentence says it all

    def _readable(self) -> None:
        """Read what the guardian says."""
        process = self._process
        if process is None:
            return
        try:
            data = process.control.recv(512)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            log.error("the guardian process ended")
            self._let_go(process)
            self._abandoned()
            return
        self._heard_s = asyncio.get_running_loop().time()
        match data.decode("ascii").split(" ", 2):
            case ["ready"]:
                self._ready.set()
            case ["ok", seq]:
                self._answered(int(seq), "")
            case ["no", seq, reason]:
                self._answered(int(seq), reason)
            case ["tripped", machine_id, outcome]:
                told = machine_id in self._doubted
                self._doubted.add(machine_id)
                self._armed.discard(machine_id)
                self._tell_trip(machine_id, outcome, again=told)
            case _:
                pass

    def _tell_trip(self, machine_id: str, outcome: str, *, again: bool = False) -> None:
        """Tell that a machine was stopped, and drop the note about it: it has been read."""
        log.error("the guardian stopped %s: %s", machine_id, outcome)
        if self._notes is not None:
            (self._notes / f"{machine_id}.stopped").unlink(missing_ok=True)
        if not again:
            self._on_trip(machine_id)

    def _abandoned(self) -> None:
        """Tell that nobody minds what is armed."""
        for machine_id in tuple(self._armed):
            self._armed.discard(machine_id)
            self._on_gone(machine_id)

    def _answered(self, seq: int, reason: str) -> None:
        """Tell whoever waits for the answer."""
        answer = self._open.pop(seq, None)
        if answer is not None and not answer.done():
            answer.set_result(reason)

    def _let_go(self, process: _Process) -> None:
        """Close our ends of a process; nobody will answer any more."""
        self._process, self._ended = None, process
        self._restart_s = asyncio.get_running_loop().time() + _RESTART_S
        self._ready.clear()
        asyncio.get_running_loop().remove_reader(process.control)
        process.release()
        for answer in self._open.values():
            if not answer.done():
                answer.set_result("the guardian process ended")
        self._open.clear()

    @staticmethod
    async def _reap(process: _Process) -> None:
        """Wait for the end of a process that was let go; one that does not end by itself is killed."""
        deadline = asyncio.get_running_loop().time() + _END_S
        while process.popen.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                process.popen.kill()
            await asyncio.sleep(0.01)

    async def _pulse(self) -> None:
        """Give a sign of life every 50 ms; this task being on time is what it says."""
        loop = asyncio.get_running_loop()
        while True:
            if self._armed and self._late():
                self._doubt()
            self._pulsed_s = loop.time()
            process = self._process
            if process is not None:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    os.write(process.pulse, b".")
                if self._armed and loop.time() - self._heard_s >= _SILENT_S:
                    log.error("the guardian process does not answer")
                    self._abandoned()
            elif loop.time() >= self._restart_s:
                self._begin_again()
            await asyncio.sleep(PULSE_S)
