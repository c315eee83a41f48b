# SPDX-License-Identifier: GPL-3.0-or-later
"""From bytes to lines, as the controller cleans them."""

from .settings import LINE_SIZE


class LineReader:
    """Collects a line: blanks, ``/`` and comments go, letters become capitals, 79 characters fit."""

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = buffer
        self._length = 0
        self._parenthesis = self._rest = False
        self.overflow = False

    def start(self) -> None:
        self._length = 0
        self._parenthesis = self._rest = self.overflow = False

    @property
    def text(self) -> str:
        return self._buffer[: self._length].decode("latin-1")

    def take(self, ring: bytearray) -> bool:
        """Consume `ring` up to and including the first line end; True if there was one."""
        used = 0
        for byte in ring:
            used += 1
            if byte in (10, 13):
                del ring[:used]
                if self._length < LINE_SIZE:
                    self._buffer[self._length] = 0
                return True
            if self._parenthesis or self._rest or self.overflow:
                if byte == 41:
                    self._parenthesis = False
            elif byte <= 32 or byte == 47:
                continue
            elif byte == 40:
                self._parenthesis = True
            elif byte == 59:
                self._rest = True
            elif self._length >= LINE_SIZE - 1:
                self.overflow = True
            else:
                self._buffer[self._length] = byte - 32 if 97 <= byte <= 122 else byte
                self._length += 1
        del ring[:used]
        return False
