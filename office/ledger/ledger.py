# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger for asyncio: one thread that writes, one that reads, so that no query ever stands in the loop's way.

What reads for minutes has a third one, so that nobody who looks at the dashboard waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from office.facts import Item
from office.ledger.checks import Findings, check
from office.ledger.database import Database
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.recount import Recount, recount
from office.ledger.relearn import relearn
from office.ledger.writer import Recorded, record

T = TypeVar("T")


class Ledger:
    """The office's ledger behind a database URL. Opens and migrates the database when it is first needed."""

    def __init__(self, url: str, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._writer, self._reader, self._counter = connect(url), connect(url), connect(url)
        self._now_ns = now_ns
        self._migrated = False
        self._writing = ThreadPoolExecutor(1, "ledger-writer")
        self._reading = ThreadPoolExecutor(1, "ledger-reader")
        self._counting = ThreadPoolExecutor(1, "ledger-counter")

    async def record(self, items: Sequence[Item]) -> Recorded:
        """Take `items` in, all or nothing; returns after the commit. Raises LedgerUnavailable or LedgerRefused."""
        return await self._run(self._writing, self._record, items)

    async def read(self, question: Callable[[Database], T]) -> T:
        """Return the answer to `question`, asked of one moment of the ledger. Raises LedgerUnavailable."""
        if not self._migrated:
            await self._run(self._writing, self._migrate)
        return await self._run(self._reading, self._ask, self._reader, question)

    async def change(self, work: Callable[[Database], T]) -> T:
        """Return what `work` returns, in one writing transaction: all of it or nothing.

        Raises LedgerUnavailable, LedgerRefused, and what `work` raises.
        """
        return await self._run(self._writing, self._change, work)

    async def recount(self) -> Recount:
        """Add all facts up again and say whether the figures agree."""
        return await self._read_long(recount)

    async def check(self) -> Findings:
        """Recount, and check the chains of all batches and that of the audit. Ended by `close`."""
        return await self._read_long(lambda database: check(database, self._now_ns()))

    async def close(self) -> None:
        """Wait for what is under way, but for what reads long, and close all connections."""
        self._counter.stop()
        for executor, database in (
            (self._counting, self._counter),
            (self._reading, self._reader),
            (self._writing, self._writer),
        ):
            await asyncio.to_thread(executor.shutdown)
            database.close()

    async def _read_long(self, question: Callable[[Database], T]) -> T:
        if not self._migrated:
            await self._run(self._writing, self._migrate)
        return await self._run(self._counting, self._ask, self._counter, question)

    @staticmethod
    async def _run(executor: ThreadPoolExecutor, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, call, *arguments)

    def _migrate(self) -> None:
        if not self._migrated:
            migrate(self._writer)
            relearn(self._writer, self._now_ns())
            self._migrated = True

    def _record(self, items: Sequence[Item]) -> Recorded:
        self._migrate()
        return record(self._writer, items, self._now_ns())

    def _change(self, work: Callable[[Database], T]) -> T:
        self._migrate()
        with self._writer.transaction(write=True):
            return work(self._writer)

    @staticmethod
    def _ask(database: Database, question: Callable[[Database], T]) -> T:
        with database.transaction(write=False):
            return question(database)
