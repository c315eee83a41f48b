# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that a controller should have: kept by a person, compared at each connection, restored on a word."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.domain.errors import InfoMobilError, Refused
from edge.domain.hand import Setting, SettingDifference
from edge.domain.machine import Availability, Capability
from edge.domain.ports import EventStore
from edge.safety.permissives import Command
from edge.services.bus import EventBus, MachineChanged, Message, Notice
from edge.services.hand import MachineHand
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor

log = logging.getLogger(__name__)

PROFILE_KEY = "profile:"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the controller has, and where that is not what the profile says; kept tells whether there is a profile."""

    kept: bool
    settings: tuple[Setting, ...]
    differences: tuple[SettingDifference, ...]


def _same(one: str, other: str) -> bool:
    """Return whether two written values mean the same: a controller writes 250 as 250.000."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def differences(profile: Mapping[int, Setting], found: Sequence[Setting]) -> tuple[SettingDifference, ...]:
    """Return the settings that are not what `profile` says, in order; what only the controller has is no difference."""
    now = {setting.number: setting for setting in found}
    different = []
    for number, wanted in sorted(profile.items()):
        has = now.get(number)
        if has is None or not _same(wanted.value, has.value):
            value = None if has is None else has.value
            different.append(SettingDifference(number, wanted.value, value, wanted.name, wanted.unit))
    return tuple(different)


class SettingsProfile:
    """The stored profile of one machine."""

    def __init__(
        self,
        supervisor: MachineSupervisor,
        hand: MachineHand,
        *,
        store: EventStore,
        recorder: Recorder,
        bus: EventBus,
    ) -> None:
        self._supervisor = supervisor
        self._hand = hand
        self._store = store
        self._recorder = recorder
        self._bus = bus
        self._profile: dict[int, Setting] = {}
        self._differ: int | None = None
        self._compared = False
        self._wake = asyncio.Event()

    @property
    def _key(self) -> str:
        return PROFILE_KEY + self._supervisor.machine_id

    @property
    def differ(self) -> int | None:
        """Return how many settings differ from the profile; None where that is not known."""
        return self._differ

    async def load(self) -> None:
        """Take up the profile of the time before."""
        kept = (await self._store.load(self._key)).get(self._key)
        if kept is not None:
            self._profile = {row["number"]: Setting(**row) for row in json.loads(kept)}

    async def compare(self) -> Comparison:
        """Read the controller's settings and compare them. Raises MotionRefused, DriverRefused, DriverUnavailable."""
        return self._judge(await self._hand.read_settings())

    def _judge(self, found: tuple[Setting, ...]) -> Comparison:
        different = differences(self._profile, found)
        before, self._differ = self._differ, len(different) if self._profile else None
        if self._differ and self._differ != before:
            name = self._supervisor.info.name
            text = f"{name}: {self._differ} settings of the controller are not those of its profile."
            facts = (("machine", name), ("count", str(self._differ)))
            self._bus.publish(Notice("attention", text, "settings", facts))
        if self._differ != before:
            self._supervisor.changed()
        return Comparison(bool(self._profile), found, different)

    async def keep(self) -> Comparison:
        """Make what the controller has now the profile. Raises as `compare`, StoreUnavailable."""
        found = await self._hand.read_settings()
        rows = [{"number": s.number, "value": s.value, "name": s.name, "unit": s.unit} for s in found]
        await self._recorder.commit([], {self._key: json.dumps(rows, ensure_ascii=False)})
        self._profile = {setting.number: setting for setting in found}
        return self._judge(found)

    async def restore(self, numbers: Sequence[int]) -> Comparison:
        """Write the profile's values of `numbers` to the controller; its position is not trusted afterwards.

        Raises Refused where the profile has none of them, and as `compare`.
        """
        unknown = [number for number in numbers if number not in self._profile]
        if unknown or not numbers:
            why = f"The profile has no ${unknown[0]}." if unknown else "Nothing was chosen."
            raise Refused(what="The settings are not restored.", why=why, remedy="Choose from the list of differences.")
        await self._hand.write_settings({number: self._profile[number].value for number in numbers})
        return await self.compare()

    def _listen(self, message: Message) -> None:
        if isinstance(message, MachineChanged) and message.machine_id == self._supervisor.machine_id:
            self._wake.set()

    async def run(self) -> None:
        """Compare once per connection, as soon as the controller stands, until cancelled."""
        unsubscribe = self._bus.subscribe(self._listen)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._supervisor.state.availability is not Availability.AVAILABLE:
                    self._compared = False
                elif self._due():
                    self._compared = True
                    await self._compare_quietly()
        finally:
            unsubscribe()

    def _due(self) -> bool:
        return (
            not self._compared
            and bool(self._profile)
            and self._hand.able(Capability.SETTINGS)
            and not self._supervisor.view().refusals[Command.SETTINGS]
        )

    async def _compare_quietly(self) -> None:
        try:
            await self.compare()
        except InfoMobilError as error:
            log.warning("the settings of %s were not compared: %s", self._supervisor.machine_id, error)
