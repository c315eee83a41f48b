# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the screens' faces may call, in one value. Made by `app.py`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.domain.errors import NotFound
from edge.domain.machine import Capability, MachineInfo, Position
from edge.services.bus import EventBus
from edge.services.hand import MachineHand
from edge.services.jobs import JobService
from edge.services.observation import Observation
from edge.services.opening import Opening
from edge.services.operators import OperatorDesk
from edge.services.probing import WorkZero
from edge.services.profile import SettingsProfile
from edge.services.programs import ProgramCatalog
from edge.services.scenes import NOBODY, Scenes
from edge.services.second_opinion import SecondOpinion
from edge.services.supervisor import MachineSupervisor
from edge.services.survey import Survey
from edge.services.transfer import FileShelf, ProgramTransfer
from edge.services.twin import Twins
from edge.services.visits import VisitCounter
from edge.story.export import Recording


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """The way to the office: facts that wait per stream, ages in seconds, counters since the start."""

    connected: bool
    waiting: Mapping[str, int]
    oldest_waiting_s: float | None = None
    last_ack_age_s: float | None = None
    sent: int = 0
    resent: int = 0
    last_error: str = ""


class RecordingEntry(Protocol):
    """One recording of the black box: when it began (UTC ns of the raw wall clock), and how what ran in it ended."""

    @property
    def name(self) -> str:
        """Return its name, unique for its machine."""
        ...

    @property
    def program(self) -> str | None:
        """Return the id of the program that ran in it."""
        ...

    @property
    def bytes(self) -> int:
        """Return its size."""
        ...

    @property
    def began_ns(self) -> int:
        """Return when it began."""
        ...

    @property
    def ended(self) -> str:
        """Return how it ended, in words."""
        ...


class RecordingShelf(Protocol):
    """The recordings of all machines. Reads files: not on the loop's thread."""

    def newest_first(self, machine_id: str) -> Sequence[RecordingEntry]:
        """Return what there is of a machine."""
        ...

    def load(self, machine_id: str, name: str) -> Recording:
        """Return one recording; raises NotFound."""
        ...


class OpcUaServerStatus(Protocol):
    """How the lab's own OPC UA server does."""

    @property
    def endpoint(self) -> str:
        """Return its address."""
        ...

    @property
    def listening(self) -> bool:
        """Return whether clients are let in."""
        ...

    @property
    def clients(self) -> int:
        """Return the number of sessions."""
        ...

    @property
    def error(self) -> str:
        """Return in a person's words why it does not listen; empty where it does."""
        ...


class OpcUaServer(Protocol):
    """The lab's own OPC UA server, where the configuration has one."""

    def status(self) -> OpcUaServerStatus:
        """Return how it does now."""
        ...


@dataclass(frozen=True, slots=True)
class Lab:
    """The services of one laboratory."""

    lab_id: str
    name: str
    language: str
    machines: Mapping[str, MachineSupervisor]
    hands: Mapping[str, MachineHand]
    zeros: Mapping[str, WorkZero]
    jobs: JobService
    programs: ProgramCatalog
    visits: VisitCounter
    profiles: Mapping[str, SettingsProfile]
    opening: Opening
    desk: OperatorDesk
    recordings: RecordingShelf
    bus: EventBus
    sync_status: Callable[[], SyncStatus]
    transfers: Mapping[str, ProgramTransfer]
    files: FileShelf
    observation: Observation
    survey: Survey
    scenes: Scenes
    twins: Twins
    opcua_server: OpcUaServer | None = None

    def standing(
        self, machine_id: str | None = None, kinds: Collection[str] | None = None
    ) -> tuple[MachineInfo, Position | None]:
        """Return a machine and its work offset, as it stands, for which a program is drawn; raises NotFound.

        Without a name it is the first that runs programs, and is of one of `kinds` where these are given; where there
        is none, nobody's.
        """
        if machine_id is not None and machine_id not in self.machines:
            raise NotFound(what="machine", key=machine_id)
        able = (
            key
            for key, item in self.machines.items()
            if Capability.RUN_PROGRAM in item.info.capabilities and (kinds is None or item.info.kind in kinds)
        )
        found = machine_id or next(able, None)
        if found is None:
            return NOBODY, None
        return self.machines[found].info, self.machines[found].state.work_offset

    @property
    def second_opinion(self) -> SecondOpinion:
        """Return what asks the machines' controllers about programs."""
        return SecondOpinion(self.machines, self.programs)
