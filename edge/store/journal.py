# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of jobs in the lab's database: what was sent, taken and where the machine stood."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from edge.domain.machine import Position
from edge.domain.ports import JobMark
from edge.store.database import Database

MARKS_A_JOB = 600
"""At ten a second the last minute: what was before says nothing about where a machine ended."""

_COLUMNS = "boot_ns, begun, line, sent, x, y, z, offset_x, offset_y, offset_z, execution, spindle, homed"
_WRITE = (
    f"INSERT INTO journal (job, n, {_COLUMNS})"
    " VALUES (?, (SELECT ifnull(max(n), 0) + 1 FROM journal WHERE job = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PRUNE = "DELETE FROM journal WHERE job = ? AND n <= (SELECT max(n) FROM journal WHERE job = ?) - ?"
_LAST = f"SELECT {_COLUMNS} FROM journal WHERE job = ? ORDER BY n DESC LIMIT 1"


class SqliteJournal:
    """Journal on SQLite, through the one writer thread: no caller and no stream of lines waits for the disk.

    Every `write` is one transaction of the group commit, and durable: with WAL and synchronous=FULL what it returned
    for survives a power loss. The caller writes about once a second while a job runs, so a power loss costs the marks
    of the last second and the one in the making, and the disk does one fsync a second, shared with any facts that wait.
    A crash of the service alone costs no more. What is lost lies at the end: the line that is then named is an earlier
    one, and starting there cuts air.
    """

    def __init__(self, database: Database, *, marks_a_job: int = MARKS_A_JOB) -> None:
        self._writer = database.writer
        self._kept = marks_a_job

    async def write(self, marks: Sequence[JobMark]) -> None:
        """Commit marks in one transaction, after fsync, and prune what is too old. Raises StoreUnavailable."""
        rows = [_row(mark) for mark in marks]
        jobs = {mark.job_id for mark in marks}
        if rows:
            await self._writer.write(lambda connection: self._write(connection, rows, jobs), durable=True)

    def _write(self, connection: sqlite3.Connection, rows: list[tuple[object, ...]], jobs: set[str]) -> None:
        connection.executemany(_WRITE, rows)
        connection.executemany(_PRUNE, [(job, job, self._kept) for job in jobs])

    async def last(self, job_id: str) -> JobMark | None:
        """Return the newest mark of a job. Raises StoreUnavailable."""
        row = await self._writer.read(lambda connection: connection.execute(_LAST, (job_id,)).fetchone())
        return None if row is None else _mark(job_id, row)

    async def keep_only(self, job_ids: Collection[str]) -> None:
        """Forget the marks of all other jobs. Raises StoreUnavailable."""
        marks = ", ".join("?" * len(job_ids))
        await self._writer.write(
            lambda connection: connection.execute(
                f"DELETE FROM journal WHERE job NOT IN ({marks})",
                tuple(job_ids),
            ),
            durable=False,
            frees=True,
        )


def _row(mark: JobMark) -> tuple[object, ...]:
    return (
        *(mark.job_id, mark.job_id, mark.boot_ns, mark.begun, mark.line, mark.sent_line),
        *_axes(mark.machine_position),
        *_axes(mark.work_offset),
        *(mark.execution, mark.spindle, int(mark.homed)),
    )


def _axes(place: Position | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if place is None else (place.x, place.y, place.z)


def _mark(job_id: str, row: Sequence[object]) -> JobMark:
    boot_ns, begun, line, sent, x, y, z, offset_x, offset_y, offset_z, execution, spindle, homed = row
    return JobMark(
        job_id=job_id,
        boot_ns=_whole(boot_ns) or 0,
        begun=_whole(begun) or 1,
        line=_whole(line),
        sent_line=_whole(sent),
        machine_position=_place(x, y, z),
        work_offset=_place(offset_x, offset_y, offset_z),
        execution=str(execution),
        spindle=str(spindle),
        homed=bool(homed),
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _place(x: object, y: object, z: object) -> Position | None:
    if isinstance(x, float) and isinstance(y, float) and isinstance(z, float):
        return Position(x, y, z)
    return None
