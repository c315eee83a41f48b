# SPDX-License-Identifier: GPL-3.0-or-later
"""The one thread that talks to SQLite: everything that waits is committed as one transaction (group commit)."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from edge.domain.errors import StoreUnavailable
from edge.store.ballast import Ballast
from edge.store.opening import DAMAGED, primary_code, reason

log = logging.getLogger(__name__)

MAX_GROUP = 1_000

# What sqlite3 raises for a value that SQLite cannot hold, and a call's own refusal: of one caller, not of the disk.
_UNFIT = (ValueError, OverflowError, StoreUnavailable)

Renew = Callable[[sqlite3.Connection, str], sqlite3.Connection]
RENEW_EVERY_S = 10.0
"""Seconds between two new databases at least: a disk that damages each at once would fill up with them."""

Result = TypeVar("Result")


class _NothingToGiveUp(Exception):
    """The disk is full and holds nothing that matters less."""


@dataclass(eq=False, slots=True)
class _Work:
    """One call on the connection, and who waits for it. Reads run between transactions, so they see committed rows."""

    call: Callable[[sqlite3.Connection], Any]
    writes: bool
    durable: bool
    frees: bool
    relief: Callable[[sqlite3.Connection], bool] | None
    committed: Callable[[], None] | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class Writer:
    """Owns the connection. `write` returns after the commit that holds the call's changes, `read` sees commits only.

    A durable write returns after fsync (WAL with synchronous=FULL); another may be lost with the power, as may
    everything after it and nothing before it, until the next durable one. A caller that is cancelled while it waits
    does not take its write back.

    Where SQLite finds the database damaged, `renew` gives another connection in its place, and what was to be done is
    done there.
    """

    def __init__(self, connection: sqlite3.Connection, ballast: Ballast, renew: Renew | None = None) -> None:
        self._connection = connection
        self._ballast = ballast
        self._renew = renew
        self._damage = ""
        self._renewed_at = -RENEW_EVERY_S
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._failing = False
        self._synchronous = ""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(
        self,
        call: Callable[[sqlite3.Connection], Result],
        *,
        durable: bool,
        frees: bool = False,
        relief: Callable[[sqlite3.Connection], bool] | None = None,
        committed: Callable[[], None] | None = None,
    ) -> Result:
        """Run `call` inside the next transaction; raises StoreUnavailable, and then nothing of it was kept.

        `frees` marks work that leads to pruning: on a full disk it may use the ballast. `relief` is for work that must
        not be refused: on a full disk it runs first, in the same transaction and on the ballast, gives up what matters
        less, and returns whether it found anything. `committed` is called on the writer's thread behind the commit and
        before anything else is done, whether the caller still waits or not.
        """
        return await self._submit(call, writes=True, durable=durable, frees=frees, relief=relief, committed=committed)

    async def read(self, call: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `call` outside of any transaction; raises StoreUnavailable."""
        return await self._submit(call, writes=False, durable=False, frees=False)

    async def _submit(
        self,
        call: Callable[[sqlite3.Connection], Result],
        *,
        writes: bool,
        durable: bool,
        frees: bool,
        relief: Callable[[sqlite3.Connection], bool] | None = None,
        committed: Callable[[], None] | None = None,
    ) -> Result:
        loop = asyncio.get_running_loop()
        work = _Work(call, writes, durable, frees, relief, committed, loop, loop.create_future())
        with self._lock:
            if self._closed:
                raise StoreUnavailable(reason="the record is closed")
            self._queue.put(work)
        result: Result = await work.future
        return result

    def close(self) -> None:
        """Commit what waits, then close the connection. Blocks for as long as the disk takes."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        group: list[_Work] = []
        try:
            while True:
                group, ended = self._next_group()
                writes = [work for work in group if work.writes]
                self._commit(writes)
                _report(writes)
                group = [work for work in group if not work.writes]
                for work in group:
                    self._attempt_read(work)
                _report(group)
                group = []
                if ended:
                    return
        except BaseException:
            # A fault in our own code: whoever waits must hear it, because a tap that is never answered is worse.
            with self._lock:
                self._closed = True
            while (left := self._take()) is not None:
                group.append(left)
            for work in group:
                work.error = StoreUnavailable(reason="the writer stopped")
            _report(group)
            raise
        finally:
            self._connection.close()

    def _take(self) -> _Work | None:
        try:
            return self._queue.get_nowait()
        except Empty:
            return None

    def _next_group(self) -> tuple[list[_Work], bool]:
        group: list[_Work] = []
        work: _Work | None = self._queue.get()
        while work is not None:
            group.append(work)
            if len(group) == MAX_GROUP:
                return group, False
            try:
                work = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _commit(self, group: Sequence[_Work]) -> None:
        if not group:
            return
        try:
            self._transaction(group)
        except _UNFIT:
            self._commit_singly(group)
        except sqlite3.Error as error:
            if primary_code(error) == "SQLITE_FULL" or self._replaced(error):
                self._commit_singly(group)
            else:
                _refuse(group, error)
        self._log_change(group)

    def _commit_singly(self, group: Sequence[_Work]) -> None:
        """Give each work its own transaction: a small fact may fit on a full disk where a large one does not."""
        for work in group:
            try:
                self._transaction([work])
            except _UNFIT as error:
                work.error = error
            except sqlite3.Error as error:
                if primary_code(error) != "SQLITE_FULL" or not self._commit_on_ballast(work):
                    _refuse([work], error)

    def _replaced(self, error: sqlite3.Error) -> bool:
        """Return whether another connection has taken the place of a damaged one."""
        if self._renew is None or (not self._damage and primary_code(error) not in DAMAGED):
            return False
        self._damage = self._damage or str(error)
        if time.monotonic() < self._renewed_at + RENEW_EVERY_S:
            return False
        try:
            self._connection = self._renew(self._connection, self._damage)
        except StoreUnavailable as unavailable:
            log.error("No new database can be begun: %s", unavailable)  # noqa: TRY400 - the reason is the sentence
            return False
        finally:
            self._renewed_at = time.monotonic()
        self._damage = self._synchronous = ""
        return True

    def _commit_on_ballast(self, work: _Work) -> bool:
        """Commit in the room of the ballast, which is taken again before anyone else may write.

        Only work that frees room may use it, or what gives up as much as it takes: then the file does not grow.
        """
        if not (work.frees or work.relief) or not self._ballast.in_place:
            return False
        self._ballast.release()
        try:
            self._empty_log()
            self._transaction([work], relief=work.relief)
        except (_NothingToGiveUp, sqlite3.Error):
            return False
        finally:
            self._empty_log()
            self._ballast.restore()
        return True

    def _empty_log(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _log_change(self, group: Sequence[_Work]) -> None:
        errors = (work.error for work in group if isinstance(work.error, StoreUnavailable))
        error = next((error for error in errors if isinstance(error.__cause__, sqlite3.Error)), None)
        if error is not None and not self._failing:
            log.error("%s", error)
        elif error is None and self._failing:
            log.info("The record is written again.")
        self._failing = error is not None

    def _transaction(
        self, group: Sequence[_Work], *, relief: Callable[[sqlite3.Connection], bool] | None = None
    ) -> None:
        connection = self._connection
        synchronous = "FULL" if any(work.durable for work in group) else "NORMAL"
        if synchronous != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        connection.execute("BEGIN IMMEDIATE")
        try:
            if relief is not None and not relief(connection):
                raise _NothingToGiveUp
            results = [work.call(connection) for work in group]
            connection.execute("COMMIT")
        except BaseException:
            # SQLite rolls back by itself for some errors and not for others (https://sqlite.org/lang_transaction.html).
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        for work, result in zip(group, results, strict=True):
            work.result = result
            if work.committed is not None:
                work.committed()

    def _attempt_read(self, work: _Work) -> None:
        try:
            work.result = work.call(self._connection)
        except _UNFIT as error:
            work.error = error
        except sqlite3.Error as error:
            if self._replaced(error):
                self._attempt_read(work)
            else:
                _refuse([work], error)


def _refuse(group: Sequence[_Work], error: sqlite3.Error) -> None:
    for work in group:
        work.error = StoreUnavailable(reason=reason(error))
        work.error.__cause__ = error


def _report(group: Sequence[_Work]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Work]] = {}
    for work in group:
        by_loop.setdefault(work.loop, []).append(work)
    for loop, works in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more, the commit stands
            loop.call_soon_threadsafe(_resolve, works)


def _resolve(works: Sequence[_Work]) -> None:
    for work in works:
        if work.future.done():
            continue
        if work.error is not None:
            work.future.set_exception(work.error)
        else:
            work.future.set_result(work.result)
