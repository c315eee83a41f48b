# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database holds, what is wrong with it, and what can be read of it. Nothing is changed in it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Stream
from edge.store.inspection import missing, portions
from edge.store.migrations import MIGRATIONS
from edge.store.opening import DAMAGED, aside_files, primary_code, reason
from edge.store.wreck import Wreck

WORST = 10
"""Lines of SQLite's findings that are shown."""
BUSY_S = 1.0
"""Seconds to wait for another program that holds the file."""

_WAITING = """
SELECT stream, sum((SELECT count(*) FROM fact WHERE fact.epoch = head.epoch AND fact.stream = head.stream)),
sum(bytes), count(DISTINCT CASE WHEN watermark < last_seq THEN epoch END) FROM head GROUP BY stream
"""
_GAPS = "SELECT stream, sum(last - first + 1) FROM gap GROUP BY stream"
_APPLIED = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'edge'"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Facts of a stream that the office has not acknowledged.

    epochs is of how many epochs they are; dropped tells those that a gap record explains; lost those that nobody does.
    """

    stream: Stream
    facts: int = 0
    bytes: int = 0
    epochs: int = 0
    dropped: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Aside:
    """A damaged file beside the database; brought_over is None where this database does not know of it."""

    name: str
    bytes: int
    brought_over: bool | None


@dataclass(slots=True)
class Examination:
    """What was found. wrong holds SQLite's own words, empty where the file is sound; later says who wrote it."""

    path: Path
    bytes: int
    install: str = ""
    epochs: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    later: bool = False
    readable: dict[Stream, int] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Return whether nothing is damaged or lost without an explanation."""
        return not self.wrong and not self.later and not any(stream.lost for stream in self.waiting)


def examine(path: Path) -> Examination:
    """Look at a database, also while the service runs. Blocks. Raises StoreUnavailable where it cannot be looked at."""
    if not path.is_file():
        raise StoreUnavailable(reason=f"there is no database {path}")
    found = Examination(path, path.stat().st_size)
    try:
        with closing(_open(path)) as connection:
            lines = connection.execute(f"PRAGMA integrity_check({WORST})").fetchall()
            found.wrong = [line for (line,) in lines if line != "ok"]
            if not found.wrong:
                _look(connection, found)
    except sqlite3.Error as error:
        if primary_code(error) not in DAMAGED:
            raise StoreUnavailable(reason=reason(error)) from error
        found.wrong.append(str(error))
    found.aside = _aside(path, found)
    if found.wrong:
        found.readable = dict.fromkeys(Stream, 0)
        for line in readable_facts(path):
            found.readable[Stream(str(line["stream"]))] += 1
    return found


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)


def _look(connection: sqlite3.Connection, found: Examination) -> None:
    if {name for (name,) in connection.execute(_APPLIED)} - MIGRATIONS:
        found.later = True
        return
    (found.install,) = connection.execute("SELECT name FROM install").fetchone()
    (found.epochs,) = connection.execute("SELECT count(*) FROM epoch").fetchone()
    lost = dict.fromkeys(Stream, 0)
    for portion in portions(connection):
        lost[portion.stream] += sum(last - first + 1 for first, last in missing(connection, portion))
    counted = {stream: (facts, size, epochs) for stream, facts, size, epochs in connection.execute(_WAITING)}
    dropped = dict(connection.execute(_GAPS).fetchall())
    found.waiting = [
        Waiting(stream, *counted.get(stream.value, (0, 0, 0)), dropped.get(stream.value, 0), lost[stream])
        for stream in Stream
    ]


def _aside(path: Path, found: Examination) -> list[Aside]:
    known: dict[str, bool] = {}
    if not found.wrong and not found.later:
        with closing(_open(path)) as connection:
            known = {name: bool(done) for name, done in connection.execute("SELECT name, finished FROM salvage")}
    files = reversed(aside_files(path))
    return [Aside(file.name, file.stat().st_size, known.get(file.name)) for file in files]


def readable_facts(path: Path) -> Iterator[dict[str, object]]:
    """Yield every waiting fact that can be read, damaged or not, by priority and in order. Raises StoreUnavailable.

    Each has epoch, boot, stream, seq, type, data, boot_ns and wall_ns. Of an epoch whose name is lost there are none:
    such a fact has no identity any more.
    """
    try:
        wreck = Wreck(path)
    except OSError as error:
        raise StoreUnavailable(reason=error.strerror or str(error)) from error
    try:
        epochs = wreck.epochs()
        for head in wreck.heads():
            if head.epoch_id not in epochs:
                continue
            name, boot, *_ = epochs[head.epoch_id]
            for portion in wreck.facts(head):
                for seq, kind, body, boot_ns, wall_ns in portion:
                    identity = {"epoch": name, "boot": boot, "stream": head.stream.value, "seq": seq}
                    data = json.loads(body)
                    yield {**identity, "type": kind, "data": data, "boot_ns": boot_ns, "wall_ns": wall_ns}
    finally:
        wreck.close()


def write_readable(path: Path, out: Path) -> int:
    """Write what `readable_facts` gives as JSON lines to a new file; return their number. Raises StoreUnavailable."""
    count = 0
    try:
        with out.open("x", encoding="utf-8") as file:
            for fact in readable_facts(path):
                file.write(json.dumps(fact, ensure_ascii=False, separators=(",", ":")) + "\n")
                count += 1
    except OSError as error:
        raise StoreUnavailable(reason=f"{out}: {error.strerror or error}") from error
    return count
