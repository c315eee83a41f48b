# SPDX-License-Identifier: GPL-3.0-or-later
"""What one serial port makes of bytes that another one sent at another speed, bit by bit (8 data bits, no parity)."""

import math
import termios

CONTROLLER_BAUD = 115200
_RATES = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 921600, 1000000)
_BY_CODE = {getattr(termios, f"B{rate}"): rate for rate in _RATES}
_DATA_BITS = 8
_FRAME_BITS = 10


def baud_of(code: int) -> int:
    """Bits per second of a termios speed code, 0 for none that is known."""
    return _BY_CODE.get(code, 0)


def resample(data: bytes, sender: int, receiver: int) -> bytes:
    """`data` as a port at `receiver` bits per second reads it from one that sends at `sender`.

    The receiver waits for a falling edge, looks at the middle of each bit and does not care for the stop bit, as
    the controller's does. Bytes sent are taken as one unbroken train with an idle line before and after it.
    """
    if sender == receiver:
        return data
    if not sender or not receiver:
        return b""
    levels = [level for byte in data for level in (0, *(byte >> bit & 1 for bit in range(_DATA_BITS)), 1)]
    bit = sender / receiver

    def level_at(when: float) -> int:
        return levels[int(when)] if when < len(levels) else 1

    out = bytearray()
    at = 0
    while (edge := _falling_edge(levels, at)) is not None:
        out.append(sum(level_at(edge + (1.5 + number) * bit) << number for number in range(_DATA_BITS)))
        at = math.ceil(edge + (_FRAME_BITS - 0.5) * bit)
    return bytes(out)


def _falling_edge(levels: list[int], start: int) -> int | None:
    """The first bit from `start` on that is low after a high one (or after the idle line)."""
    before = levels[start - 1] if 0 < start <= len(levels) else 1
    for index in range(start, len(levels)):
        if before and not levels[index]:
            return index
        before = levels[index]
    return None
