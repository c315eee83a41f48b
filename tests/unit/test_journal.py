# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of jobs: what counts as evidence, how much is kept, and what a full disk costs."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.domain.errors import StoreUnavailable
from edge.domain.machine import Availability, Execution, MachineState, Position, SpindleCommand
from edge.domain.ports import JobMark
from edge.services import journal as journal_module
from edge.services.journal import JobJournal
from edge.store.database import Database
from edge.store.journal import SqliteJournal
from edge.store.settings import StoreSettings
from tests.support.fakes import FakeClock, MemoryJournal

CUTTING = MachineState(
    availability=Availability.AVAILABLE,
    execution=Execution.ACTIVE,
    machine_position=Position(1, 2, 3),
    work_offset=Position(-1, -2, -3),
    homed=True,
    spindle=SpindleCommand.CLOCKWISE,
    line=4,
    sent_line=7,
)
MARK = JobMark("a", 5, 2, 4, 7, Position(1, 2, 3), Position(-1, -2, -3), "ACTIVE", "CLOCKWISE", homed=True)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(tmp_path / "lab.db", StoreSettings(ballast_mb=0), "boot-1")
    yield database
    database.close()


async def test_the_newest_mark_of_each_job_comes_back_also_from_another_opening(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    database = Database.open(path, StoreSettings(ballast_mb=0), "boot-1")
    journal = SqliteJournal(database)
    empty = JobMark("b", 6)
    await journal.write([replace(MARK, line=1), MARK, empty])
    database.close()
    database = Database.open(path, StoreSettings(ballast_mb=0), "boot-2")
    journal = SqliteJournal(database)
    assert [await journal.last(job) for job in "abc"] == [MARK, empty, None]
    await journal.write([])
    await journal.keep_only(["b"])
    assert [await journal.last(job) for job in "ab"] == [None, empty]
    database.close()


async def test_of_each_job_only_the_newest_marks_are_kept(database: Database) -> None:
    journal = SqliteJournal(database, marks_a_job=5)
    for first in range(0, 40, 4):
        await journal.write([JobMark("a", n, line=n) for n in range(first, first + 4)])
    await journal.write([JobMark("b", 1)])
    rows = await database.writer.read(lambda link: link.execute("SELECT line FROM journal WHERE job = 'a'").fetchall())
    assert rows == [(35,), (36,), (37,), (38,), (39,)]
    assert (await journal.last("b")) == JobMark("b", 1)


async def test_a_group_is_one_transaction_on_disk_when_write_returns(database: Database) -> None:
    await SqliteJournal(database).write([MARK, replace(MARK, line=5)])
    with sqlite3.connect(database.path) as other:
        assert other.execute("SELECT count(*) FROM journal").fetchone() == (2,)
    other.close()
    assert await database.writer.read(lambda link: link.execute("PRAGMA synchronous").fetchone()) == (2,)


async def test_a_closed_record_refuses_marks(database: Database) -> None:
    database.close()
    with pytest.raises(StoreUnavailable):
        await SqliteJournal(database).write([MARK])


async def test_only_news_is_noted_and_only_trusted_places_count() -> None:
    clock, disk = FakeClock(), MemoryJournal()
    journal = JobJournal(disk, clock)
    journal.begin("a", 2, CUTTING)
    clock.pass_s(0.1)
    journal.note("a", CUTTING)
    journal.note("a", replace(CUTTING, line=5))
    restarted = replace(CUTTING, homed=False, machine_position=Position(0, 0, 0), line=None, sent_line=None)
    journal.note("a", restarted)
    away = replace(restarted, availability=Availability.UNAVAILABLE, homed=True)
    journal.note("a", away)
    await journal.flush()
    assert [(mark.line, mark.homed) for mark in disk.marks] == [(4, True), (5, True), (5, False)]
    last = await journal.last("a")
    assert last is not None
    assert (last.begun, last.sent_line, last.machine_position) == (2, 7, Position(1, 2, 3))
    assert disk.marks[0].boot_ns < disk.marks[1].boot_ns
    journal.begin("a", 9, CUTTING)
    assert (await journal.last("a")) == journal.known("a")
    assert journal.known("a") is not None
    assert (await JobJournal(disk, clock).last("a")) == disk.marks[-1]


async def test_the_last_line_of_another_run_is_no_evidence() -> None:
    journal = JobJournal(MemoryJournal(), FakeClock())
    journal.begin("a", 1, replace(CUTTING, execution=Execution.PROGRAM_COMPLETED, line=200, sent_line=200))
    mark = journal.known("a")
    assert mark is not None
    assert (mark.line, mark.sent_line, mark.machine_position) == (None, None, Position(1, 2, 3))


async def test_while_the_disk_refuses_the_newest_marks_wait(caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryJournal()
    journal = JobJournal(disk, FakeClock())
    disk.failing = "the disk is full"
    with caplog.at_level(logging.ERROR):
        for line in range(journal_module.WAITING + 10):
            journal.note("a", replace(CUTTING, line=line))
            if line % 100 == 0:
                await journal.flush()
    assert [record.message for record in caplog.records] == [
        "the journal of the jobs waits for the disk: The record could not be written to disk: the disk is full."
    ]
    await journal.keep_only(["a"])
    disk.failing = ""
    await journal.flush()
    assert len(disk.marks) == journal_module.WAITING
    assert disk.marks[-1].line == journal_module.WAITING + 9
    await journal.flush()
    await journal.keep_only([])
    assert disk.marks == []
    assert journal.known("a") is None


async def test_the_journal_writes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "FLUSH_S", 0.001)
    disk = MemoryJournal()
    journal = JobJournal(disk, FakeClock())
    task = asyncio.create_task(journal.run())
    journal.begin("a", 1, CUTTING)
    async with asyncio.timeout(5):
        while not disk.marks:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
