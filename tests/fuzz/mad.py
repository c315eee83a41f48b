# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller behind a pty that is out of its mind, and cannot be told from one behind a bad cable."""

from __future__ import annotations

import asyncio
import os
import pty
import random
import re
import tty
from pathlib import Path

from tests.fuzz.material import REPLIES

WELCOME = b"\r\nGrbl 1.1h ['$' for help]\r\n"
SETTINGS = {11: "0.010", 12: "0.002", 13: "0", 22: "1", 30: "12000"}
SETTINGS |= {base + axis: "200.000" for base in (100, 110, 120, 130) for axis in range(3)}
ANSWERS = {
    b"$I": b"[VER:1.1h.20190830:]\r\n[OPT:V,15,128]\r\n",
    b"$$": b"".join(b"$%d=%s\r\n" % (number, value.encode()) for number, value in SETTINGS.items()),
    b"$#": b"[G54:0.000,0.000,0.000]\r\n[TLO:0.000]\r\n[PRB:0.000,0.000,0.000:0]\r\n",
    b"$G": b"[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]\r\n",
}
REALTIME = re.compile(rb"[\x18?!~\x80-\xff]")


class MadController:
    """Answers as a controller does, but with `madness` (0 to 1) says something else, more, less, or nothing.

    `silent` makes it dumb. heard are all bytes that came in.
    """

    def __init__(self, seed: int, madness: float) -> None:
        self._chance = random.Random(seed)
        self.madness = madness
        self.silent = False
        self._lazy = False
        self.heard = b""
        self._state = b"Idle"
        self._rest = b""
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = Path(os.ttyname(self._slave))

    def __enter__(self) -> MadController:
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)

    def say(self, data: bytes) -> None:
        """Say it, or as much of it as the host's buffer takes."""
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return

    def be_lazy(self) -> None:
        """Stand in Idle from now on, report it honestly, and work on no line."""
        self._lazy, self.madness, self._state = True, 0.0, b"Idle"

    def _readable(self) -> None:
        data = os.read(self._master, 4096)
        self.heard += data
        if self.silent:
            return
        for byte in REALTIME.findall(data):
            self.say(self._spoil(self._acted(byte)))
        *lines, self._rest = (self._rest + REALTIME.sub(b"", data)).split(b"\n")
        for line in lines:
            if not self._lazy:
                self.say(self._spoil(ANSWERS.get(line, b"") + b"ok\r\n"))

    def _acted(self, byte: bytes) -> bytes:
        match byte:
            case b"?":
                return b"<%s|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>\r\n" % self._state
            case b"!":
                self._state = b"Hold:0"
            case b"\x18":
                self._state, self._rest = b"Idle", b""
                return WELCOME
            case b"~":
                self._state = b"Idle"
            case _:
                pass
        return b""

    def _spoil(self, said: bytes) -> bytes:
        chance = self._chance
        if chance.random() >= self.madness:
            return said
        match chance.randrange(7):
            case 0:
                return b""
            case 1:
                return said + said
            case 2:
                return chance.choice(REPLIES).encode() + b"\r\n" + said
            case 3:
                return chance.choice(REPLIES).encode() + b"\r\n"
            case 4:
                return chance.randbytes(chance.randrange(40)) + said
            case 5:
                at = chance.randrange(len(said) + 1)
                return said[:at] + said[at + 1 :]
            case _:
                spoilt = bytearray(said)
                for _ in range(min(2, len(spoilt))):
                    spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
                return bytes(spoilt)
