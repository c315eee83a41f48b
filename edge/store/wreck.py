# SPDX-License-Identifier: GPL-3.0-or-later
"""What can still be read of a damaged database. Reading changes nothing in it: work goes on in a copy.

Every call is total: what cannot be read is left out.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.domain.events import Stream
from edge.store.carving import PAGE, carve
from edge.store.naming import recall

log = logging.getLogger(__name__)

_MAGIC = b"SQLite format 3\0"
_HEADER = 100
_BATCH = 500
_COPY_SUFFIX = ".salvage"

FactRow = tuple[int, str, str, int, int]
"""Seq, type, body, boot_ns, wall_ns."""


Kinds = tuple[type, ...]
_HEAD: Kinds = (int, str, int, int)
_FACT: Kinds = (int, str, str, int, int)


@dataclass(frozen=True, slots=True)
class WreckedHead:
    """A stream of an epoch (by its number in the file); last_seq and watermark None where they cannot be read."""

    epoch_id: int
    stream: Stream
    last_seq: int | None = None
    watermark: int | None = None


class Wreck:
    """A damaged file, opened for reading by way of a copy with a mended header and its log written back.

    Close it; the copy goes then. Where there is no room for a copy, the file itself is read, unchanged.
    """

    def __init__(self, path: Path, *, copy_up_to: int | None = None) -> None:
        """Open the file; copy none that has more bytes than `copy_up_to`. Raises OSError where it is not there."""
        self.path = path
        self._copy = path.with_name(path.name + _COPY_SUFFIX)
        self._carved = False
        size = path.stat().st_size
        source = self._copied() if copy_up_to is None or size <= copy_up_to else None
        source = source or path
        self._connection = sqlite3.connect(f"file:{source}?mode=ro", uri=True, check_same_thread=False)
        self._source = source

    def _copied(self) -> Path | None:
        self._remove_copy()
        try:
            for suffix in ("", "-wal"):
                part = self.path.with_name(self.path.name + suffix)
                if part.exists():
                    shutil.copyfile(part, self._copy.with_name(self._copy.name + suffix))
            _mend_header(self._copy)
        except OSError as error:
            log.warning("There is no room to copy %s: it is read as it is (%s).", self.path.name, error)
            self._remove_copy()
            return None
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return self._copy

    def close(self) -> None:
        """Let go of the copy."""
        self._connection.close()
        self._remove_copy()

    def _remove_copy(self) -> None:
        for suffix in ("", "-wal", "-shm", ".facts", ".facts-journal"):
            self._copy.with_name(self._copy.name + suffix).unlink(missing_ok=True)

    def rows(self, query: str, kinds: Kinds, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return what a query gives, as far as it can be read and its values are of `kinds`."""
        found: list[tuple[Any, ...]] = []
        with suppress(sqlite3.Error):
            found.extend(row for row in self._connection.execute(query, values) if _fits(row, kinds))
        return found

    def state(self) -> dict[str, str]:
        """Return the working state."""
        return dict(self.rows("SELECT key, value FROM working_state", (str, str)))

    def epochs(self) -> dict[int, tuple[str, str, int, int, int, int]]:
        """Return name, boot, people, corrected, sessions and refused metrics of each epoch by its number in the file.

        Of one that is known by its name only the totals are 0.
        """
        found = {identity: (name, boot, 0, 0, 0, 0) for identity, (name, boot) in recall(self.path).items()}
        columns = "id, name, boot, people, corrected, sessions, metrics_refused"
        for identity, *rest in self.rows(f"SELECT {columns} FROM epoch", (int, str, str, int, int, int, int)):
            found[identity] = (rest[0], rest[1], rest[2], rest[3], rest[4], rest[5])
        return found

    def heads(self) -> list[WreckedHead]:
        """Return every stream of an epoch that the file knows, by priority, then by age."""
        heads = {
            (epoch, stream): WreckedHead(epoch, Stream(stream), last, watermark)
            for epoch, stream, last, watermark in self.rows(
                "SELECT epoch, stream, last_seq, watermark FROM head", _HEAD
            )
            if stream in set(Stream)
        }
        for epoch, stream in self.rows("SELECT DISTINCT epoch, stream FROM fact", (int, str)):
            if stream in set(Stream):
                heads.setdefault((epoch, stream), WreckedHead(epoch, Stream(stream)))
        for epoch, stream in self._carved_rows("SELECT DISTINCT epoch, stream FROM fact") if not heads else []:
            heads.setdefault((epoch, stream), WreckedHead(epoch, Stream(stream)))
        priority = list(Stream)
        return sorted(heads.values(), key=lambda head: (priority.index(head.stream), head.epoch_id))

    def facts(self, head: WreckedHead) -> Iterator[list[FactRow]]:
        """Yield the facts of a stream above its watermark, in order, in portions. What cannot be read is left out."""
        after = head.watermark or 0
        query = """
        SELECT seq, type, body, boot_ns, wall_ns FROM fact
        WHERE epoch = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT ?
        """
        while True:
            place = (head.epoch_id, head.stream.value, after, _BATCH)
            try:
                found = self._connection.execute(query, place).fetchall()
            except sqlite3.Error:
                found = []
                if not self._carved:
                    log.info("The tree of %s is broken: its facts are read page by page.", self.path.name)
                self._carve()
            if self._carved:
                by_seq = {row[0]: row for row in (*self._carved_rows(query, place), *found) if _fits(row, _FACT)}
                found = [by_seq[seq] for seq in sorted(by_seq)][:_BATCH]
            if not found:
                return
            yield [row for row in found if _fits(row, _FACT) and _is_body(row[2])]
            after = found[-1][0]

    def _carved_rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        self._carve()
        with closing(sqlite3.connect(self._shelf)) as shelf:
            return shelf.execute(query, values).fetchall()

    @property
    def _shelf(self) -> Path:
        return self._copy.with_name(self._copy.name + ".facts")

    def _carve(self) -> None:
        """Put what the pages hold on a shelf of its own, once: memory stays small however large the file is."""
        if self._carved:
            return
        with closing(sqlite3.connect(self._shelf)) as shelf:
            shelf.execute("PRAGMA synchronous = OFF")
            shelf.execute(
                "CREATE TABLE fact (epoch, stream, seq, type, body, boot_ns, wall_ns, PRIMARY KEY (epoch, stream, seq))"
                " WITHOUT ROWID"
            )
            known = set(Stream)
            rows = (row for row in carve(self._source) if row[1] in known)
            shelf.executemany("INSERT OR IGNORE INTO fact VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            shelf.commit()
        self._carved = True


def _fits(row: Sequence[object], kinds: Kinds) -> bool:
    return len(row) == len(kinds) and all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True))


def _is_body(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _mend_header(path: Path) -> None:
    """Write SQLite's file header as this program's databases have it, where it is not one."""
    with path.open("r+b") as file:
        header = bytearray(file.read(_HEADER))
        if header[:16] == _MAGIC and header[16:24] == bytes((PAGE >> 8, 0, 2, 2, 0, 64, 32, 32)):
            return
        fresh = bytearray(_HEADER)
        fresh[:16] = _MAGIC
        fresh[16:24] = bytes((PAGE >> 8, 0, 2, 2, 0, 64, 32, 32))
        pages = path.stat().st_size // PAGE
        # Change counter and "version valid for" agree, so that the size in pages holds; schema format 4, UTF-8.
        for at, value in (
            (24, 1),
            (28, pages),
            (40, 1),
            (44, 4),
            (56, 1),
            (92, 1),
            (96, sqlite3.sqlite_version_info[0]),
        ):
            fresh[at : at + 4] = value.to_bytes(4)
        file.seek(0)
        file.write(fresh)
