# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of a recording: a ring of entries in a buffer, which a killed process leaves readable.

    0     magic, then as 8-byte little-endian numbers: bytes of the ring, bytes ever written, oldest byte still whole
    32    4-byte length of the facts, then the facts as JSON
    2048  4-byte length of the outcome, then how what was recorded ended, as JSON
    4096  the ring: entries one after another, over its end to its begin

An entry is its length, its kind, its time and its bytes. Room is given up before it is written over, and an entry
counts only once it is written whole, so that the process may die between any two steps.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

MAGIC = b"IMRING1\n"
FACTS_AT = 32
OUTCOME_AT = 2048
RING_AT = 4096
_NUMBERS = struct.Struct("<QQQ")
_NUMBER = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")
_ENTRY = struct.Struct("<IBxxxQ")
_CAPACITY_AT, _HEAD_AT, _TAIL_AT = 8, 16, 24


class NotARecording(ValueError):
    """The bytes are no recording of the black box."""


class Buffer(Protocol):
    """Bytes that can be changed in place: a bytearray or an mmap."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> bytes | bytearray: ...

    def __setitem__(self, index: slice, value: bytes, /) -> None: ...


class Kind(IntEnum):
    """What an entry is."""

    IN = 1
    OUT = 2
    MARK = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """Bytes that crossed the port, or a mark (JSON), at `ns` of the boot-time clock."""

    kind: Kind
    ns: int
    data: bytes


class RingWriter:
    """Writes entries into a buffer, over the oldest ones once it is full."""

    def __init__(self, buffer: Buffer, facts: dict[str, object]) -> None:
        """Begin an empty recording. Raises ValueError where the facts are too long."""
        self._buffer = buffer
        self._capacity = len(buffer) - RING_AT
        if self._capacity < 1024:
            raise ValueError(len(buffer))
        self._head = self._tail = 0
        buffer[0:8] = MAGIC
        buffer[_CAPACITY_AT:FACTS_AT] = _NUMBERS.pack(self._capacity, 0, 0)
        self._say(FACTS_AT, OUTCOME_AT, facts)
        self._say(OUTCOME_AT, RING_AT, {})

    @property
    def written(self) -> int:
        """Return the bytes ever written."""
        return self._head

    def take_over(self, ring: bytes) -> None:
        """Begin with the entries of another recording, which were written one after another from its begin."""
        self._buffer[RING_AT : RING_AT + len(ring)] = ring
        self._head = len(ring)
        self._buffer[_HEAD_AT:_TAIL_AT] = _NUMBER.pack(self._head)

    def conclude(self, outcome: dict[str, object]) -> None:
        """Say how what is recorded has ended. Raises ValueError where it is too long."""
        self._say(OUTCOME_AT, RING_AT, outcome)

    def _say(self, start: int, end: int, facts: dict[str, object]) -> None:
        """Put facts between `start` and `end`; their length comes last. Raises ValueError where they are too long."""
        text = json.dumps(facts).encode()
        at = start + _LENGTH.size
        if at + len(text) > end:
            raise ValueError(len(text))
        self._buffer[start:at] = _LENGTH.pack(0)
        self._buffer[at : at + len(text)] = text
        self._buffer[start:at] = _LENGTH.pack(len(text))

    def write(self, kind: Kind, ns: int, data: bytes) -> None:
        """Append an entry; one that is longer than a quarter of the ring is cut."""
        data = data[: self._capacity // 4]
        entry = _ENTRY.pack(len(data), kind, ns) + data
        room = self._head + len(entry) - self._capacity
        if room > self._tail:
            while room > self._tail:
                length = _ENTRY.unpack(_read(self._buffer, self._capacity, self._tail, _ENTRY.size))[0]
                self._tail += _ENTRY.size + length
            self._buffer[_TAIL_AT:FACTS_AT] = _NUMBER.pack(self._tail)
        at = self._head % self._capacity
        first = entry[: self._capacity - at]
        self._buffer[RING_AT + at : RING_AT + at + len(first)] = first
        if len(first) < len(entry):
            rest = entry[len(first) :]
            self._buffer[RING_AT : RING_AT + len(rest)] = rest
        self._head += len(entry)
        self._buffer[_HEAD_AT:_TAIL_AT] = _NUMBER.pack(self._head)


def read_facts(buffer: bytes) -> dict[str, object]:
    """Return the facts of a recording and how it ended, from its first RING_AT bytes. Raises NotARecording."""
    if buffer[:8] != MAGIC or len(buffer) < RING_AT:
        raise NotARecording("this is no recording of the black box")
    try:
        return {**_said(buffer, FACTS_AT), **_said(buffer, OUTCOME_AT)}
    except ValueError as error:
        raise NotARecording("the facts of this recording cannot be read") from error


def _said(buffer: bytes, start: int) -> dict[str, object]:
    """Return the facts at `start`; none where their length is not there yet. Raises ValueError."""
    (length,) = _LENGTH.unpack_from(buffer, start)
    at = start + _LENGTH.size
    facts: dict[str, object] = json.loads(buffer[at : at + length]) if length else {}
    return facts


def read_entries(buffer: bytes) -> Iterator[Entry]:
    """Yield the entries, oldest first, as far as they make sense. Raises NotARecording."""
    read_facts(buffer)
    capacity, head, tail = _NUMBERS.unpack_from(buffer, _CAPACITY_AT)
    if capacity != len(buffer) - RING_AT or not tail <= head <= tail + capacity:
        raise NotARecording("this recording is damaged")
    while tail + _ENTRY.size <= head:
        length, kind, ns = _ENTRY.unpack(_read(buffer, capacity, tail, _ENTRY.size))
        end = tail + _ENTRY.size + length
        if end > head or kind not in Kind.__members__.values():
            # What a computer without power lost out of its memory: the rest is not to be believed.
            return
        yield Entry(Kind(kind), ns, _read(buffer, capacity, tail + _ENTRY.size, length))
        tail = end


def _read(buffer: Buffer | bytes, capacity: int, position: int, length: int) -> bytes:
    """Return `length` bytes of the ring, over its end if need be."""
    at = RING_AT + position % capacity
    first = bytes(buffer[at : at + min(length, RING_AT + capacity - at)])
    return first + bytes(buffer[RING_AT : RING_AT + length - len(first)])
