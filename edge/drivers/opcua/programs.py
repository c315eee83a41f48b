# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of programs into one machine, and its job control, on one connection: what ProgramReceiver promises.

A file is brought over, read back, compared, and only then selected; nothing here starts a machine but `start_loaded`.
What was begun on one connection is not continued on the next: a load that loses its link has failed, and what was
stored but not started is not started any more.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered, TransferFailed
from edge.domain.machine import Capability, Execution, MachineState
from edge.domain.transfer import MAX_BYTES, ProgramFile, TransferStep
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.file_transfer import OLD, OURS, Check, Differs, FileStore, Link, NotDone, Tell
from edge.drivers.opcua.job_control import NEEDED, JobControl
from edge.drivers.opcua.models.model import Item, ProgramPath
from edge.drivers.opcua.settings import OpcUaSettings
from edge.drivers.opcua.vendor_files import ONE_CALL_BYTES, Exists, SinumerikFiles

JOB_LIST = "jobs:list"
"""The key under which `monitored` names the job order list."""

_LONGEST_NAME = 64
# Longer together than any session of ours outlives its connection.
_SWEEP_AGAIN_S = 2.0
_SWEEPS = 60
# Names of devices, with whatever after a dot, that no Windows lets be files: many controls run on one.
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)(\.|$)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
# Where it is not known what the channel does, the control itself refuses.
_BUSY = (Execution.ACTIVE, Execution.INTERRUPTED, Execution.FEED_HOLD)
_NOT_IN_RESET = "its channel does not stand in reset, and only then it selects a program"
_USE_PANEL = "use the machine's own panel"
_NOT_PERMITTED = "writing is not permitted: `write` is not set in its settings"
_NO_JOB_CONTROL = "its job control is not configured, or it offers none: " + _USE_PANEL

_log = logging.getLogger(__name__)


class _Abandoned(Exception):
    """The person who asked for the load took it back."""


class Programs:
    """The programs of one machine on one connection.

    state returns the newest reading of the machine. report_fault is called, on the loop, where a hold that was written
    is not confirmed: a person has to see that.
    """

    def __init__(
        self,
        machine_id: str,
        settings: OpcUaSettings,
        path: ProgramPath,
        link: Link,
        state: Callable[[], MachineState],
        report_fault: Callable[[str], None],
    ) -> None:
        self._machine_id = machine_id
        self._timeout_s = settings.timeout_s
        self._writes = settings.write
        self._state = state
        self._report_fault = report_fault
        self._store: FileStore | SinumerikFiles | None = None
        self._jobs: JobControl | None = None
        # What takes a file in pieces; beside a maker's own methods that is for files too large for one call.
        self._pieces: FileStore | None = None
        directory = path.directory
        if not settings.write or (directory is not None and "CreateFile" not in directory.methods):
            directory = None
        if settings.write and path.files is not None:
            self._store = SinumerikFiles(link, path.files, path.select, settings.program_folder, settings.channel)
            if directory is not None and "MoveOrCopy" in directory.methods and self._store.is_default_folder:
                self._pieces = FileStore(link, directory, "")
        elif directory is not None:
            self._store = self._pieces = FileStore(link, directory, settings.program_folder)
        if settings.write and settings.job_control and path.jobs is not None:
            if all(name in path.jobs.methods for name in NEEDED):
                self._jobs = JobControl(link, path.jobs)
        self._selects = isinstance(self._store, SinumerikFiles) and path.select is not None
        # What job control begins is what it stored itself: a file from where its order can name it.
        self._orders = self._jobs is not None and isinstance(self._store, FileStore)
        self._loading: asyncio.Task[bool] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._memory = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()
        self._stored: str | None = None
        self._taken: object = None
        self._closed = False

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what the machine offers and the settings permit."""
        found = set()
        if self._store is not None:
            found.add(Capability.LOAD_PROGRAM)
        if self._jobs is not None:
            found.add(Capability.STOP)
            if self._orders:
                found.add(Capability.JOB_CONTROL)
            if self._jobs.offers("Pause"):
                found.add(Capability.HOLD)
        return frozenset(found)

    async def prepare(self) -> None:
        """Get ready before the first load, and put right what an upload that was cut off has left. Raises LinkError."""
        if self._jobs is not None:
            await self._jobs.prepare()
        if self._pieces is not None and (reason := await self._sweep(self._pieces)):
            _log.warning("%s: its program memory is not in order: %s", self._machine_id, reason)
            self._sweep_later(self._pieces)

    def monitored(self) -> Mapping[str, Item]:
        """Return the nodes that `take` wants the values of, by key."""
        if self._jobs is None or self._jobs.list_node is None:
            return {}
        return {JOB_LIST: Item(self._jobs.list_node)}

    def take(self, values: Mapping[str, object]) -> None:
        """Look at the newest values of what `monitored` named; None is unknown. Other keys are not looked at."""
        if self._jobs is not None and JOB_LIST in values and values[JOB_LIST] is not self._taken:
            self._taken = values[JOB_LIST]
            self._jobs.take(self._taken)

    async def load(self, file: ProgramFile, tell: Tell) -> bool:
        """Do what ProgramReceiver.load says. A cancelled load ends after the call that is on its way was answered."""
        self._check(file)
        abandoned = asyncio.Event()
        work = asyncio.create_task(self._load(file, tell, abandoned), name=f"{self._machine_id}-load")
        self._loading = work
        self._keep(work)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            abandoned.set()
            await asyncio.wait({work})
            if work.cancelled():
                raise
            error = work.exception()
            if error is None and work.result():
                # It was done in the very moment in which it was cancelled.
                error = await self._take_back(file)
            if isinstance(error, TransferFailed) and error.selected:
                raise error from None
            raise

    async def start_loaded(self) -> None:
        """Let the machine's job control begin the order that `load` stored on this connection, once.

        Raises DriverRefused, DriverUnavailable.
        """
        jobs = self._need_jobs("start")
        if self._loading is not None and not self._loading.done():
            self._refuse("start", "a program is being loaded")
        if not self._orders:
            self._refuse("start", "its job control does not store what is loaded: use the machine's own panel")
        if self._stored is None:
            self._refuse("start", "no program was loaded since the last start or since the link is there: load it")
        # Once, whatever becomes of it.
        job_id, self._stored = self._stored, None
        try:
            await jobs.start(job_id)
        except NotDone as error:
            self._refuse("start", str(error.reason))
        except LinkError as error:
            raise DriverUnavailable(machine_id=self._machine_id, reason=_unanswered("start", error)) from error

    def hold(self) -> None:
        """Write to the wire what pauses every running job order, before this returns. Raises StopNotDelivered.

        Where the machine does not confirm it in time, `report_fault` is called.
        """
        if self._jobs is None:
            raise StopNotDelivered(machine_id=self._machine_id, reason=_NO_JOB_CONTROL)
        try:
            calls = self._jobs.begin_hold()
        except LinkError as error:
            raise StopNotDelivered(machine_id=self._machine_id, reason=str(error.reason)) from error
        if not calls:
            raise StopNotDelivered(machine_id=self._machine_id, reason="no job order is running that could be paused")
        self._keep(asyncio.create_task(self._confirm(self._jobs, calls), name=f"{self._machine_id}-hold"))

    async def stop(self) -> None:
        """End every running job order. Raises StopNotDelivered."""
        if self._jobs is None:
            raise StopNotDelivered(machine_id=self._machine_id, reason=_NO_JOB_CONTROL)
        try:
            await self._jobs.stop()
        except (NotDone, LinkError) as error:
            raise StopNotDelivered(machine_id=self._machine_id, reason=str(error.reason)) from error

    async def resume(self) -> None:
        """Go on with the interrupted job orders. Raises DriverRefused, DriverUnavailable."""
        jobs = self._need_jobs("resume")
        try:
            await jobs.resume()
        except NotDone as error:
            self._refuse("resume", str(error.reason))
        except LinkError as error:
            raise DriverUnavailable(machine_id=self._machine_id, reason=_unanswered("resume", error)) from error

    async def close(self) -> None:
        """Wait, on a connection that is closed, until everything that was under way has ended."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _check(self, file: ProgramFile) -> None:
        command = f"to load {file.name}"
        if not self._writes:
            self._refuse(command, _NOT_PERMITTED)
        if self._store is None:
            self._refuse(command, "it offers no way to bring a program over")
        if (reason := name_refused(file.name)) is not None:
            self._refuse("to load a program", reason)
        if not file.content:
            self._refuse(command, "the file is empty")
        if len(file.content) > MAX_BYTES:
            self._refuse(command, f"the file has {len(file.content)} bytes, the most is {MAX_BYTES}")
        if self._pieces is None and isinstance(self._store, SinumerikFiles) and len(file.content) > ONE_CALL_BYTES:
            self._refuse(
                command,
                f"the file has {len(file.content)} bytes, the most that it takes at once is {ONE_CALL_BYTES}: "
                "copy it at the panel",
            )
        if self._loading is not None and not self._loading.done():
            self._refuse(command, "another program is being loaded")
        if (reason := self._busy_with(file)) is not None:
            self._refuse(command, reason)

    def _busy_with(self, file: ProgramFile) -> str | None:
        """Say what the machine does that keeps it from getting a file, None where nothing does."""
        state = self._state()
        if state.execution not in _BUSY:
            return None
        if self._selects:
            return _NOT_IN_RESET
        if state.program in (file.name, file.name.rpartition(".")[0]):
            return "it is running a program of that name"
        return None

    async def _sweep(self, store: FileStore) -> str:
        try:
            async with self._memory:
                for done in await store.sweep():
                    _log.warning("%s: %s", self._machine_id, done)
        except NotDone as error:
            return str(error.reason)
        return ""

    def _sweep_later(self, store: FileStore) -> None:
        if not self._closed and (self._sweeping is None or self._sweeping.done()):
            self._sweeping = asyncio.create_task(self._sweep_again(store), name=f"{self._machine_id}-sweep")
            self._keep(self._sweeping)

    async def _sweep_again(self, store: FileStore) -> None:
        for _ in range(_SWEEPS):
            await asyncio.sleep(_SWEEP_AGAIN_S)
            try:
                if not await self._sweep(store):
                    return
            except LinkError as error:
                # The connection's end ends this; an answer that came too late does not.
                _log.debug("%s: its program memory is not looked at: %s", self._machine_id, error)

    async def _load(self, file: ProgramFile, tell: Tell, abandoned: asyncio.Event) -> bool:
        def check() -> None:
            if abandoned.is_set():
                raise _Abandoned

        def ready() -> None:
            # The upload took its time: somebody may have begun something at the panel.
            if (reason := self._busy_with(file)) is not None:
                raise NotDone(reason=reason)

        self._stored = None
        tell(TransferStep.UPLOADING, 0)
        try:
            async with self._memory:
                path = await self._bring(file, tell, check, ready)
        except _Abandoned:
            raise self._failed(file, "the load was cancelled") from None
        except Differs as error:
            raise self._failed(file, str(error.reason)) from error
        except NotDone as error:
            self._refuse(f"to load {file.name}", str(error.reason), error)
        if abandoned.is_set():
            raise self._failed(file, "the load was cancelled; the file is on the machine, not selected")
        if not self._orders and not self._selects:
            return False
        tell(TransferStep.SELECTING, 0)
        try:
            await self._select(file, path)
        except NotDone as error:
            self._refuse(f"to select {file.name}, which it has now", str(error.reason), error)
        except LinkError as error:
            reason = f"the link was lost ({error.reason}) while it was selected: look at its panel"
            raise self._failed(file, reason) from error
        if abandoned.is_set():
            raise await self._take_back(file)
        return True

    async def _bring(self, file: ProgramFile, tell: Tell, check: Check, ready: Check) -> str:
        if isinstance(self._store, SinumerikFiles) and len(file.content) <= ONE_CALL_BYTES:
            try:
                return await self._store.store(file, tell, check, ready, replace=self._pieces is None)
            except Exists:
                check()
            except LinkError as error:
                rest = "look at its panel whether it has it, and whole"
                if self._pieces is None:
                    rest += f"; a program of that name that it had is there as {OLD}{file.name}"
                raise self._failed(file, f"the link was lost ({error.reason}); {rest}") from error
        assert self._pieces is not None
        try:
            return await self._pieces.store(file, tell, check, ready)
        except LinkError as error:
            # Where only an answer came too late, there is no next connection that would put it right.
            self._sweep_later(self._pieces)
            rest = "what it has of it is removed when the machine is heard again"
            raise self._failed(file, f"the link was lost ({error.reason}); {rest}") from error

    async def _select(self, file: ProgramFile, path: str) -> None:
        if isinstance(self._store, SinumerikFiles):
            if self._state().execution in _BUSY:
                raise NotDone(reason=_NOT_IN_RESET)
            await self._store.select(file.name)
        elif self._jobs is not None:
            self._stored = await self._jobs.store(file.name, path)

    async def _take_back(self, file: ProgramFile) -> TransferFailed:
        if self._jobs is None or self._stored is None:
            reason = "the load was cancelled too late: the machine has selected the program"
            return TransferFailed(name=file.name, machine_id=self._machine_id, reason=reason, selected=True)
        job_id, self._stored = self._stored, None
        try:
            await self._jobs.cancel(job_id)
        except (NotDone, LinkError) as error:
            _log.warning("%s: job order %s stays stored, not started: %s", self._machine_id, job_id, error.reason)
        return self._failed(file, "the load was cancelled; the file is on the machine, not selected")

    async def _confirm(self, jobs: JobControl, calls: list[tuple[str, str, object]]) -> None:
        try:
            await jobs.confirm(calls)
        except (NotDone, LinkError) as error:
            self._report_fault(f"the hold is not confirmed ({error.reason}): {_USE_PANEL}")

    def _failed(self, file: ProgramFile, reason: str) -> TransferFailed:
        return TransferFailed(name=file.name, machine_id=self._machine_id, reason=reason, selected=False)

    def _need_jobs(self, command: str) -> JobControl:
        if not self._writes:
            self._refuse(command, _NOT_PERMITTED)
        if self._jobs is None:
            self._refuse(command, _NO_JOB_CONTROL)
        return self._jobs

    def _refuse(self, command: str, reason: str, cause: Exception | None = None) -> NoReturn:
        raise DriverRefused(machine_id=self._machine_id, command=command, reason=reason) from cause

    def _keep(self, task: asyncio.Task[bool] | asyncio.Task[None]) -> None:
        self._tasks.add(task)

        def done(ended: asyncio.Task[object]) -> None:
            self._tasks.discard(ended)
            if not ended.cancelled():
                ended.exception()  # looked at: the one who asked may be gone

        task.add_done_callback(done)


def name_refused(name: str) -> str | None:
    """Say in a person's words why controls would not take a file name, None where they would."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is not a file name that controls take: letters, digits, and _ - . after the first"
    if len(name) > _LONGEST_NAME:
        return f"the file name has {len(name)} characters, the most is {_LONGEST_NAME}"
    if ".." in name or name.endswith("."):
        return f"{name!r} is not a file name that controls take: its dots"
    if _DEVICE.match(name):
        return f"{name!r} is not a file name that controls take: Windows keeps it for a device"
    if OURS.match(name):
        return f"{name!r} is a file name that files have while one is brought over"
    return None


def _unanswered(command: str, error: LinkError) -> str:
    return f"{error.reason}; whether it took the {command} is not known, and it is not asked again"
