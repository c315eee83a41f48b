# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes where jobs are while they run, and knows it afterwards. Noting costs no I/O; the disk follows once a second."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import replace

from edge.domain.errors import StoreUnavailable
from edge.domain.machine import Availability, Execution, MachineState
from edge.domain.ports import Clock, JobMark, Journal

log = logging.getLogger(__name__)

FLUSH_S = 1.0
WAITING = 600
_UNDER_WAY = frozenset({Execution.ACTIVE, Execution.FEED_HOLD, Execution.INTERRUPTED, Execution.STOPPED})


class JobJournal:
    """One mark per reading that says something new. While the disk refuses, the newest ones wait in memory."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._last: dict[str, JobMark] = {}
        self._waiting: deque[JobMark] = deque(maxlen=WAITING)
        self._failing = False

    def begin(self, job_id: str, line: int, state: MachineState) -> None:
        """Note that a run of the job begins with `line` of the source."""
        self._last[job_id] = JobMark(job_id, self._clock.boot_ns(), begun=line)
        self.note(job_id, state)

    def note(self, job_id: str, state: MachineState) -> None:
        """Note a reading of the machine that works on the job.

        A position counts only while it is trusted: a controller that has restarted stands at 0, 0, 0 by its own word. A
        line counts only while a program is under way: what is shown before may be the last line of another run.
        """
        before = self._last.get(job_id) or JobMark(job_id, 0)
        under_way = state.execution in _UNDER_WAY
        trusted = state.homed and state.availability is Availability.AVAILABLE
        mark = JobMark(
            job_id=job_id,
            boot_ns=before.boot_ns,
            begun=before.begun,
            line=state.line if under_way and state.line is not None else before.line,
            sent_line=state.sent_line if under_way and state.sent_line is not None else before.sent_line,
            machine_position=(state.machine_position if trusted else None) or before.machine_position,
            work_offset=(state.work_offset if trusted else None) or before.work_offset,
            execution=state.execution.value,
            spindle=state.spindle.value,
            homed=trusted,
        )
        if mark != before:
            mark = replace(mark, boot_ns=self._clock.boot_ns())
            self._last[job_id] = mark
            self._waiting.append(mark)

    def known(self, job_id: str) -> JobMark | None:
        """Return the newest mark of this life of the service, without I/O."""
        return self._last.get(job_id)

    async def last(self, job_id: str) -> JobMark | None:
        """Return the newest mark of a job, also of an earlier life of the service. Raises StoreUnavailable."""
        return self._last.get(job_id) or await self._journal.last(job_id)

    async def flush(self) -> None:
        """Write what waits. While the disk refuses it goes on waiting; the log says so once."""
        marks = list(self._waiting)
        if not marks:
            return
        try:
            await self._journal.write(marks)
        except StoreUnavailable as error:
            if not self._failing:
                log.error("the journal of the jobs waits for the disk: %s", error)  # noqa: TRY400
            self._failing = True
            return
        self._failing = False
        written = set(map(id, marks))
        self._waiting = deque((mark for mark in self._waiting if id(mark) not in written), maxlen=WAITING)

    async def keep_only(self, job_ids: Collection[str]) -> None:
        """Forget all other jobs; what the disk refuses is tried again with the next."""
        for job_id in [key for key in self._last if key not in job_ids]:
            del self._last[job_id]
        try:
            await self._journal.keep_only(job_ids)
        except StoreUnavailable as error:
            log.warning("the journal of old jobs is not pruned: %s", error)

    async def run(self) -> None:
        """Write once a second, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()
