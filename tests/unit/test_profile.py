# SPDX-License-Identifier: GPL-3.0-or-later
"""The profile of a controller's settings: kept, compared once per connection, restored on a person's word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge.domain.errors import MotionRefused, Refused
from edge.domain.hand import Setting, SettingDifference
from edge.domain.machine import Availability, Execution
from edge.services.bus import Message, Notice
from edge.services.profile import SettingsProfile, differences
from tests.unit.test_hand import Bench


class Kept(Bench):
    """A bench with a profile."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.profile = self.another()
        self.notices: list[Notice] = []
        self.bus.subscribe(self._note)

    def another(self) -> SettingsProfile:
        return SettingsProfile(self.supervisor, self.hand, store=self.store, recorder=self.recorder, bus=self.bus)

    def _note(self, message: Message) -> None:
        if isinstance(message, Notice):
            self.notices.append(message)

    @property
    def reads(self) -> int:
        return self.driver.wire.count("$$")


@pytest.fixture
async def bench() -> AsyncIterator[Kept]:
    bench = Kept()
    watching = asyncio.create_task(bench.profile.run())
    await asyncio.sleep(0)
    bench.driver.ready()
    yield bench
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_written_values_are_compared_by_what_they_mean() -> None:
    profile = {n: Setting(n, v) for n, v in ((0, "10"), (100, "250"), (110, "500.000"), (130, "200"), (300, "van"))}
    found = [Setting(0, "10"), Setting(100, "250.000"), Setting(110, "600"), Setting(300, "Van"), Setting(5, "1")]
    assert differences(profile, found) == (
        SettingDifference(110, "500.000", "600"),
        SettingDifference(130, "200", None),
        SettingDifference(300, "van", "Van"),
    )


async def test_without_a_profile_nothing_is_read_and_nothing_differs(bench: Kept) -> None:
    await settle()
    assert (bench.reads, bench.profile.differ) == (0, None)
    compared = await bench.profile.compare()
    assert (compared.kept, compared.differences, bench.profile.differ) == (False, (), None)


async def test_what_is_kept_is_compared_at_the_next_connection_and_told_once(bench: Kept) -> None:
    await bench.profile.keep()
    assert bench.profile.differ == 0
    bench.driver.show(availability=Availability.UNAVAILABLE)
    await settle()
    bench.driver.values[100] = "80.000"
    bench.driver.ready()
    await settle()
    assert bench.profile.differ == 1
    assert [(notice.level, notice.code) for notice in bench.notices] == [("attention", "settings")]
    reads = bench.reads
    bench.driver.ready()
    await settle()
    assert (bench.reads, len(bench.notices)) == (reads, 1)


async def test_a_machine_at_work_is_not_asked(bench: Kept) -> None:
    await bench.profile.keep()
    bench.driver.show(availability=Availability.UNAVAILABLE)
    await settle()
    reads = bench.reads
    bench.driver.show(availability=Availability.AVAILABLE, execution=Execution.ACTIVE)
    await settle()
    assert bench.reads == reads
    with pytest.raises(MotionRefused, match="ACTIVE"):
        await bench.profile.compare()
    bench.driver.show(execution=Execution.READY)
    await settle()
    assert bench.reads == reads + 1


async def test_a_restore_writes_what_was_chosen_and_takes_the_position_away(bench: Kept) -> None:
    await bench.profile.keep()
    bench.driver.values.update({100: "80.000", 130: "100.000"})
    compared = await bench.profile.restore([100])
    assert [item.number for item in compared.differences] == [130]
    assert bench.driver.values == {100: "250.000", 130: "100.000"}
    assert not bench.supervisor.state.homed
    for numbers in ([], [999]):
        with pytest.raises(Refused):
            await bench.profile.restore(numbers)


async def test_the_profile_outlives_a_restart(bench: Kept) -> None:
    await bench.profile.keep()
    later = bench.another()
    await later.load()
    bench.driver.values[130] = "1"
    assert [item.number for item in (await later.compare()).differences] == [130]
