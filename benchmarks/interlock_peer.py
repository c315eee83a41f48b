# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of a trip in one process with one clock: opens the input, and sees the hold come out of the port.

Usage: python benchmarks/interlock_peer.py LINK RESULT. A small controller answers at LINK, a pty. On standard input
`r` begins a motion and `t` asks for a trip: after a random while the moment is noted and one line with it (ns of
CLOCK_MONOTONIC) is written to standard output, which is the input opening. The first `!` after it ends the trip.
When standard input closes, RESULT gets the pairs of moments as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import sys
import time
import tty
from pathlib import Path

WELCOME = b"\r\nGrbl 1.1h ['$' for help]\r\n"
SETTINGS = {
    **{11: 0.01, 12: 0.002, 13: 0, 22: 1, 30: 12000},
    **{100 + axis: 250 for axis in range(3)},
    **{110 + axis: 3000 for axis in range(3)},
    **{120 + axis: 200 for axis in range(3)},
    **{130: 300, 131: 200, 132: 80},
}
ANSWERS = {
    b"$I": b"[VER:1.1h.20190830:]\r\n[OPT:V,15,128]\r\n",
    b"$$": b"".join(b"$%d=%.3f\r\n" % item for item in SETTINGS.items()),
    b"$#": b"[G54:-250.000,-170.000,-40.000]\r\n",
}
BEFORE_TRIP_NS = (500_000, 4_000_000)
"""At any phase of what the host does, and seldom enough that it has come to rest."""


class Peer:
    """A controller that is Idle, in motion, or held, and a contact that opens."""

    def __init__(self, link: str) -> None:
        self.controller, host = os.openpty()
        tty.setraw(host)
        self.trips: list[tuple[int, int]] = []
        self._state = b"Idle"
        self._rest = b""
        self._due_ns = self._opened_ns = 0
        os.symlink(os.ttyname(host), link)

    def timeout(self) -> float | None:
        """Return the seconds until the contact is to open."""
        return max(0.0, (self._due_ns - time.monotonic_ns()) / 1e9) if self._due_ns else None

    def _report(self) -> bytes:
        return b"<%s|MPos:-100.000,-100.000,-10.000|FS:800,8000|WCO:-250.000,-170.000,-40.000>\r\n" % self._state

    def commanded(self, command: bytes) -> None:
        """Begin a motion, or plan a trip."""
        if b"r" in command:
            self._state = b"Run"
            os.write(self.controller, self._report())
        if b"t" in command:
            self._due_ns = time.monotonic_ns() + random.randint(*BEFORE_TRIP_NS)

    def open_contact(self) -> None:
        """Trip, where it is time."""
        if self._due_ns and time.monotonic_ns() >= self._due_ns:
            self._due_ns, self._opened_ns = 0, time.monotonic_ns()
            os.write(1, b"%d\n" % self._opened_ns)

    def answer(self, data: bytes, now_ns: int) -> None:
        """Do what a controller does, and note the first hold after the trip."""
        if b"!" in data:
            if self._opened_ns:
                self.trips.append((self._opened_ns, now_ns))
                self._opened_ns = 0
            self._state = b"Hold:0"
        out = b""
        if b"\x18" in data:
            self._state, self._rest = b"Idle", b""
            out += WELCOME
        out += self._report() * data.count(b"?")
        *lines, self._rest = (self._rest + data.translate(None, b"?!~\x18")).split(b"\n")
        for line in lines:
            out += ANSWERS.get(line, b"") + b"ok\r\n"
        if out:
            os.write(self.controller, out)


def main(link: str, result: str) -> None:
    """Answer until standard input closes."""
    peer = Peer(link)
    with contextlib.suppress(PermissionError):
        # It stands for hardware, which does not wait for a place on a processor. The floor is measured with it, too.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(30))
    os.write(1, b"ready\n")
    while True:
        ready, _, _ = select.select([peer.controller, 0], [], [], peer.timeout())
        now_ns = time.monotonic_ns()
        if peer.controller in ready:
            peer.answer(os.read(peer.controller, 4096), now_ns)
        if 0 in ready:
            command = os.read(0, 64)
            if not command:
                break
            peer.commanded(command)
        peer.open_contact()
    Path(result).write_text(json.dumps(peer.trips), encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
