# SPDX-License-Identifier: GPL-3.0-or-later
"""The serial port of the controller: byte pace, a receive ring that overflows, a transmit ring that blocks.

115200 baud 8N1 is 10 bit times for a byte. The receive ring holds 128 bytes, the transmit ring 104. While interrupts
are off the hardware keeps three bytes (two in the FIFO, one in the shift register) and loses what follows.
"""

import math
import random
from collections.abc import Callable
from functools import partial

from .kernel import INFINITY, Kernel, Task, Timer

BYTE_TIME = 10 / 115200
RX_SIZE = 128
TX_SIZE = 104
HARDWARE_FIFO = 3
_ALMOST = 1e-6
_LINE_ENDS = frozenset(b"\n\r")
REALTIME = frozenset({0x18, *b"?~!", *range(0x80, 0x100)})
_SIGNIFICANT = _LINE_ENDS | REALTIME


class Interference:
    """Damage done to bytes on the wire, both ways."""

    def __init__(self) -> None:
        self.noise = 0.0
        self.drop = 0.0
        self._random = random.Random()

    def seed(self, value: int) -> None:
        """Make the damage repeatable."""
        self._random.seed(value)

    def damage(self, data: bytes) -> bytes:
        """What is left of `data` behind the cable."""
        if not self.noise and not self.drop:
            return data
        out = bytearray()
        for byte in data:
            if self.drop and self._random.random() < self.drop:
                continue
            if self.noise and self._random.random() < self.noise:
                byte ^= 1 << self._random.randrange(8)
            out.append(byte)
        return bytes(out)


class Receiver:
    """Bytes from the host: they arrive one by one, real-time bytes go to `realtime`, the rest into the ring."""

    def __init__(self, kernel: Kernel, interference: Interference) -> None:
        self._kernel = kernel
        self._interference = interference
        self._wire = bytearray()
        self._position = 0
        self._arrival = INFINITY
        self._timer: Timer | None = None
        self._fifo = bytearray()
        self._irq_on_at = 0.0
        self.ring = bytearray()
        self.draining = False
        self.powered = False
        self.overflow_lost = 0
        self.masked_lost = 0
        self.max_fill = 0
        self.realtime: Callable[[int], None] = lambda _byte: None

    @property
    def backlog(self) -> int:
        """Bytes that the host has written and that are still on the wire."""
        return len(self._wire) - self._position

    @property
    def free(self) -> int:
        """Free bytes of the ring, as the ``Bf:`` field shows them."""
        return RX_SIZE - len(self.ring)

    def feed(self, data: bytes) -> None:
        """The host put `data` on the wire now."""
        data = self._interference.damage(data)
        if not data:
            return
        if not self.backlog:
            self._wire.clear()
            self._position = 0
            self._arrival = self._kernel.now + BYTE_TIME
        self._wire += data
        self._schedule()

    def power_on(self) -> None:
        """The processor starts with an empty ring; the wire keeps what is on it."""
        self.ring.clear()
        self._fifo.clear()
        self._irq_on_at = 0.0
        self.draining = False
        self.powered = True
        self._schedule()

    def power_off(self) -> None:
        """The processor is held in reset: what arrives is lost."""
        self.pump()
        self.powered = False

    def clear_wire(self) -> None:
        """The cable is gone."""
        self._wire.clear()
        self._position = 0
        self._arrival = INFINITY

    def clear(self) -> None:
        """Forget what waits in the ring."""
        self.pump()
        self.ring.clear()

    def interrupts_off(self, until: float) -> None:
        """No receive interrupt before virtual second `until`."""
        self.pump()
        self._irq_on_at = max(self._irq_on_at, until)
        self._kernel.at(self._irq_on_at, self._on_significant)

    def pump(self) -> None:
        """Take every byte that has arrived by now, in order."""
        now = self._kernel.now
        if self._fifo and now >= self._irq_on_at:
            held, self._fifo = bytes(self._fifo), bytearray()
            for byte in held:
                self._take(byte)
        while self._position < len(self._wire) and self._arrival <= now:
            byte = self._wire[self._position]
            arrived = self._arrival
            self._position += 1
            self._arrival += BYTE_TIME
            if not self.powered:
                continue
            if arrived < self._irq_on_at:
                if len(self._fifo) < HARDWARE_FIFO:
                    self._fifo.append(byte)
                else:
                    self.masked_lost += 1
                continue
            if self._fifo:
                held, self._fifo = bytes(self._fifo), bytearray()
                for early in held:
                    self._take(early)
            self._take(byte)

    def _take(self, byte: int) -> None:
        if byte in REALTIME:
            self.realtime(byte)
            return
        ring = self.ring
        if self.draining:
            ring.append(byte)
            self.max_fill = max(self.max_fill, 1)
        elif len(ring) < RX_SIZE:
            ring.append(byte)
            if len(ring) > self.max_fill:
                self.max_fill = len(ring)
        else:
            self.overflow_lost += 1

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wire = self._wire
        for index in range(self._position, len(wire)):
            if wire[index] in _SIGNIFICANT:
                when = self._arrival + (index - self._position) * BYTE_TIME
                self._timer = self._kernel.at(when, self._on_significant)
                return

    def _on_significant(self) -> None:
        self.pump()
        self._kernel.wake()
        self._schedule()


class Transmitter:
    """Bytes to the host. They leave at the pace of the line and are handed over a text line at a time."""

    def __init__(self, kernel: Kernel, interference: Interference, write: Callable[[bytes], None]) -> None:
        self._kernel = kernel
        self._interference = interference
        self._write = write
        self._free_at = 0.0
        self._partial = bytearray()
        self._abandoned_at: float | None = None

    def send(self, text: str) -> Task[None]:
        """Queue `text`; the main program waits while the transmit ring is full."""
        data = text.encode("latin-1")
        kernel = self._kernel
        asked = kernel.now
        for piece in data.splitlines(keepends=True):
            start = max(kernel.now, self._free_at)
            in_ring_at = start + (len(piece) - TX_SIZE) * BYTE_TIME
            if in_ring_at > kernel.now and self._abandoned_at is None:
                yield in_ring_at
            if self._abandoned_at is not None:
                room = TX_SIZE - math.ceil((start - max(asked, self._abandoned_at)) / BYTE_TIME - _ALMOST)
                piece = piece[: max(0, room)]
            self._free_at = start + len(piece) * BYTE_TIME
            self._partial += piece
            if piece.endswith(b"\n"):
                line = bytes(self._partial)
                self._partial.clear()
                kernel.at(self._free_at, partial(self._deliver, line))

    def abandon(self) -> None:
        """A soft reset waits: from now on what finds no room is dropped (serial.c serial_write)."""
        self._abandoned_at = self._kernel.now

    def resume(self) -> None:
        """The soft reset is carried out."""
        self._abandoned_at = None

    def reset(self) -> None:
        """The processor was reset: what had not left is gone."""
        self._free_at = 0.0
        self._partial.clear()
        self._abandoned_at = None

    def _deliver(self, line: bytes) -> None:
        damaged = self._interference.damage(line)
        if damaged:
            self._write(damaged)
