# SPDX-License-Identifier: GPL-3.0-or-later
"""Many lines in little memory: one buffer and the place where each begins, instead of a text object a line.

A program of a million lines takes 60 MB and more as a tuple of texts, and as much again to be handed to another
process. So it takes the bytes of its lines and four for each.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import cast, overload

_SLICE = 2_000


class Lines(Sequence[str]):
    """ASCII lines that are never changed, each without its line end. Equal to any sequence of the same texts.

    text holds every line followed by a line feed; starts holds the index at which each line begins, and the length of
    text as its last.
    """

    __slots__ = ("starts", "text")

    def __init__(self, text: bytes, starts: array[int]) -> None:
        self.text = text
        self.starts = starts

    @classmethod
    def of(cls, lines: Iterable[str]) -> Lines:
        """Return `lines` in one buffer. Raises ValueError for a line that is not ASCII or holds a line feed."""
        encoded = [line.encode("ascii") for line in lines]
        if any(b"\n" in line for line in encoded):
            raise ValueError("a line holds a line feed")
        starts = array("I", accumulate((len(line) + 1 for line in encoded), initial=0))
        return cls(b"".join([line + b"\n" for line in encoded]), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        """Return one line, or those of a slice."""
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.text[self.starts[index] : self.starts[index + 1] - 1].decode("ascii")

    def __iter__(self) -> Iterator[str]:
        """Yield the lines; only some at a time are texts."""
        for first in range(0, len(self), _SLICE):
            yield from self.block(first, first + _SLICE).decode("ascii").split("\n")[:-1]

    def block(self, first: int, last: int) -> bytes:
        """Return the bytes of the lines from `first` up to, not including, `last`, each with its line feed."""
        starts = self.starts
        return self.text[starts[min(first, len(self))] : starts[min(last, len(self))]]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Lines):
            return self.text == other.text and self.starts == other.starts
        if isinstance(other, Sequence) and not isinstance(other, (str, bytes)):
            return tuple(self) == tuple(cast("Sequence[object]", other))
        return NotImplemented

    def __hash__(self) -> int:
        """Return the hash of the tuple of the same texts, for it is equal to it."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Lines({len(self)} lines, {len(self.text)} bytes)"
