# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts out of the pages of a damaged database, without its tree.

The tables are WITHOUT ROWID, so that a row is one record of an index page (https://sqlite.org/fileformat2.html,
sections 1.6 and 2.1). Each page is read by itself: what the tree no longer reaches is found as well. A row that was
deleted may come back; that is harmless, for each has its identity, and nobody counts an identity twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

PAGE = 4_096
_INTERIOR, _LEAF = 2, 10
_LOCAL_MOST = (PAGE - 12) * 64 // 255 - 23
_LOCAL_LEAST = (PAGE - 12) * 32 // 255 - 23
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
MOST_CELLS = PAGE // 6

Value = int | str | None
FactRow = tuple[int, str, int, str, str, int, int]
"""Epoch (its number in the file), stream, seq, type, body, boot_ns, wall_ns."""


class _Unreadable(Exception):
    """The bytes are no record."""


def carve(path: Path) -> Iterator[FactRow]:
    """Yield the facts in the pages of a file, in no order, some perhaps twice. Raises OSError."""
    with path.open("rb") as file:

        def page_at(number: int) -> bytes:
            file.seek((number - 1) * PAGE)
            return file.read(PAGE)

        for number in range(2, path.stat().st_size // PAGE + 1):
            page = page_at(number)
            if page[:1] in (bytes([_LEAF]), bytes([_INTERIOR])):
                for record in _records(page, page_at):
                    if fact := _as_fact(record):
                        yield fact


def _records(page: bytes, page_at: Callable[[int], bytes]) -> Iterator[list[Value]]:
    interior = page[0] == _INTERIOR
    cells, header = int.from_bytes(page[3:5]), 12 if interior else 8
    for index in range(min(cells, MOST_CELLS)):
        at = int.from_bytes(page[header + 2 * index : header + 2 * index + 2]) + 4 * interior
        try:
            yield _record(_payload(page, at, page_at))
        except (_Unreadable, IndexError, UnicodeDecodeError):
            continue


def _payload(page: bytes, at: int, page_at: Callable[[int], bytes]) -> bytes:
    size, at = _varint(page, at)
    if size <= _LOCAL_MOST:
        return page[at : at + size]
    if size > 64 * PAGE:
        raise _Unreadable
    local = _LOCAL_LEAST + (size - _LOCAL_LEAST) % (PAGE - 4)
    local = local if local <= _LOCAL_MOST else _LOCAL_LEAST
    found = page[at : at + local]
    further = int.from_bytes(page[at + local : at + local + 4])
    while further and len(found) < size:
        overflow = page_at(further)
        found += overflow[4:]
        further = int.from_bytes(overflow[:4])
    return found[:size]


def _record(payload: bytes) -> list[Value]:
    end, at = _varint(payload, 0)
    kinds: list[int] = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: list[Value] = []
    for kind in kinds:
        length = _INTEGERS.get(kind, (kind - 12) // 2 if kind >= 12 else 0)
        raw = payload[at : at + length]
        if len(raw) != length:
            raise _Unreadable
        at += length
        values.append(_value(kind, raw))
    return values


def _value(kind: int, raw: bytes) -> Value:
    if kind in _INTEGERS:
        return int.from_bytes(raw, signed=True)
    if kind in (8, 9):
        return kind - 8
    if kind >= 13 and kind % 2:
        return raw.decode("utf-8")
    if kind == 0:
        return None
    raise _Unreadable


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _as_fact(record: list[Value]) -> FactRow | None:
    """Return a record as a fact, None where it is one of another table."""
    match record:
        case [int(epoch), str(stream), int(seq), str(kind), str(body), int(boot_ns), int(wall_ns)]:
            if seq >= 1 and body.startswith("{"):
                return epoch, stream, seq, kind, body, boot_ns, wall_ns
    return None
