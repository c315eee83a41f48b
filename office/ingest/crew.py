# SPDX-License-Identifier: GPL-3.0-or-later
"""Several worker processes on the shared subscription: started, watched, started again, ended in order.

A batch that a worker had when it died was not acknowledged, so its lab sends it again, and the broker gives it to
another worker. Presence is one retained message a lab: one link in this process listens to it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import fields

from office.config import OfficeSettings
from office.facts import IngestFigures
from office.ingest.worker import Ingest
from office.ledger import Ledger

RESTART_FIRST_S = 0.5
RESTART_LONGEST_S = 30.0
STEADY_S = 60.0
"""A worker that lived as long as this is started again as soon as the first time."""
SILENT_S = 30.0
"""A worker that says nothing for so long hangs."""
END_S = 8.0
COMMAND = (sys.executable, "-m", "office.ingest.child")

_COUNTERS = ("received", "new", "duplicates", "rejected", "dropped")
_log = logging.getLogger(__name__)


class Crew:
    """The office's intake as `settings.ingest.workers` processes."""

    def __init__(self, settings: OfficeSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._presence = Ingest(settings.broker, ledger, ("presence",))
        self._told: dict[int, IngestFigures] = {}
        self._before = IngestFigures()
        self.pids: dict[int, int] = {}

    @property
    def connected(self) -> bool:
        """Return whether the labs' presence reaches us."""
        return self._presence.connected

    @property
    def figures(self) -> IngestFigures:
        """Return what passed since the start, of all workers together."""
        every = (self._before, self._presence.figures, *self._told.values())
        sums = {name: sum(getattr(item, name) for item in every) for name in _COUNTERS}
        workers = sum(item.workers for item in self._told.values())
        return IngestFigures(**sums, workers=workers, restarts=self._before.restarts)

    async def run(self) -> None:
        """Keep all workers going until cancelled, and end them then: what they have under way they finish."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._presence.run(), name="presence")
            for number in range(1, self._settings.ingest.workers + 1):
                group.create_task(self._keep(number), name=f"worker-{number}")

    async def _keep(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        delay = RESTART_FIRST_S
        while True:
            begin = loop.time()
            reason = await self._one(number)
            if loop.time() - begin >= STEADY_S:
                delay = RESTART_FIRST_S
            self._before.restarts += 1
            _log.error("ingest worker %d %s; another one starts in %.1f s", number, reason, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, RESTART_LONGEST_S)

    async def _one(self, number: int) -> str:
        """Run a worker until it ends or falls silent, and return what happened."""
        try:
            process = await asyncio.create_subprocess_exec(*COMMAND, stdin=PIPE, stdout=PIPE)
        except OSError as error:
            return f"does not start ({error})"
        self.pids[number] = process.pid
        hangs = False
        try:
            hangs = await self._follow(number, process)
        finally:
            await _end(process, at_once=hangs)
            self._keep_counters(number)
            self.pids.pop(number, None)
        return f"said nothing for {SILENT_S:g} s" if hangs else f"ended with {process.returncode}"

    async def _follow(self, number: int, process: Process) -> bool:
        """Give a worker its settings and take what it tells; True where it fell silent, False where it ended."""
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker is started with pipes")
        with suppress(ConnectionError):
            process.stdin.write(self._settings.model_dump_json().encode() + b"\n")
            await process.stdin.drain()
        while True:
            try:
                line = await asyncio.wait_for(process.stdout.readline(), SILENT_S)
            except TimeoutError:
                return True
            if not line:
                return False
            self._told[number] = IngestFigures(**json.loads(line))

    def _keep_counters(self, number: int) -> None:
        told = self._told.pop(number, None)
        if told is not None:
            for field in fields(told):
                if field.name in _COUNTERS:
                    setattr(self._before, field.name, getattr(self._before, field.name) + getattr(told, field.name))


async def _end(process: Process, *, at_once: bool) -> None:
    """End a worker: by closing its input, so that it finishes what it has, and by force where it does not."""
    if at_once:
        _kill(process)
    if process.stdin is not None:
        process.stdin.close()
    ending = asyncio.ensure_future(_drained(process))
    try:
        await asyncio.wait_for(asyncio.shield(ending), END_S)
    except TimeoutError:
        _kill(process)
        await ending


async def _drained(process: Process) -> None:
    """Read what a worker still says, so that no full pipe holds it up, until it has ended."""
    if process.stdout is not None:
        while await process.stdout.read(65_536):
            pass
    await process.wait()


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
