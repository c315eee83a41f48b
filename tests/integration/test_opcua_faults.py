# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong between a machine on OPC UA and the lab, each fault on two independent stacks.

After each fault the machine is seen again, the time without it is a gap, no part is counted twice or lost, and the
server had one session of ours at any time and has none at the end (`trial` checks that).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from edge.domain.errors import TransferFailed
from edge.domain.machine import Availability, Execution
from edge.domain.transfer import ProgramFile
from tests.support.opcua import PATIENCE_S, Lathe, settings
from tests.support.opcua_load import STACKS, Told, digest, kept
from tests.support.opcua_trial import Trial, trial
from tests.support.proxy import Way

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=STACKS)
async def lathe_of_all(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lathe]:
    async with STACKS[request.param](tmp_path_factory.mktemp("lathe"), "--idle", "--speed", "100") as lathe:
        yield lathe


@pytest_asyncio.fixture(loop_scope="module")
async def lathe(lathe_of_all: Lathe) -> Lathe:
    await lathe_of_all.ctl("reset")
    return lathe_of_all


async def producing(one: Trial) -> int:
    """Let the lathe make parts; return how many it had made when it was seen first."""
    before = (await one.watch.until_available()).part_count
    assert before is not None
    await one.census.ctl("start")
    await one.watch.until(lambda state: (state.part_count or 0) > before, "a part")
    return before


async def test_a_cut_connection_comes_back(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        one.proxy.cut()
        await one.watch.until_unavailable()
        await one.watch.until_available()
        await one.check_parts(before)
        assert len(one.gaps) == 1


async def test_a_refused_network_comes_back(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        await one.outage(one.proxy.refuse, one.proxy.accept)
        await one.check_parts(before)
        (gap,) = one.gaps
        assert gap.body["seconds"]


@pytest.mark.parametrize("ways", [("up",), ("down",), ("up", "down")], ids=["up", "down", "both"])
async def test_a_silent_network_is_noticed_and_comes_back(lathe: Lathe, ways: tuple[Way, ...]) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        one.proxy.silence(*ways)
        state = await one.watch.until_unavailable()
        assert "said nothing" in state.fault_reason or "no answer" in state.fault_reason
        one.proxy.talk()
        await one.watch.until_available()
        await one.check_parts(before)
        assert len(one.gaps) == 1


async def test_a_session_that_the_server_still_believes_in_is_ended_before_another_begins(lathe: Lathe) -> None:
    # The server forgets a session that is silent for 8 s: here it comes back before that.
    async with trial(lathe, partial(settings, watchdog_s=6.0)) as one:
        before = await producing(one)
        one.proxy.half_open = True
        one.proxy.silence()
        await one.watch.until_unavailable()
        # The driver has given the connection up; the server has not heard of it.
        async with asyncio.timeout(PATIENCE_S):
            while one.proxy.accepted < 2:
                await asyncio.sleep(0.02)
        assert (await one.census.ctl("state"))["sessions"] == 1
        one.proxy.talk()
        await one.watch.until_available()
        assert (await one.census.ctl("state"))["connections"] == 2
        await one.check_parts(before)


async def test_a_slow_network_is_no_outage(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        one.proxy.delay_s = 0.1
        await asyncio.sleep(2.0)
        await one.check_parts(before)
        assert one.gaps == []


async def test_a_server_killed_and_started_with_other_namespace_indexes(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        await one.census.ctl("restart")
        await one.watch.until(lambda _state: len(one.gaps) == 1, "a gap")
        await one.check_parts(before)
        await one.census.ctl("override 55")
        await one.watch.until(lambda state: state.overrides is not None and state.overrides.feed == 55, "55 %")


async def test_a_server_that_lost_its_power(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        await one.watch.until_available()
        await one.census.kill()
        await one.watch.until_unavailable()
        await one.census.start()
        await one.watch.until_available()
        assert len(one.gaps) == 1
        assert one.parts == 0


async def test_a_subscription_that_the_server_deleted_is_made_anew(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        await one.census.ctl("subscription-delete")
        await one.census.until(lambda facts: facts["subscriptions"] == 1, "a new subscription")
        await one.check_parts(before)


async def test_sessions_that_the_server_forgot_are_made_anew(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        await one.census.ctl("drop-session")
        await one.watch.until(lambda _state: len(one.gaps) == 1, "a gap")
        await one.check_parts(before)


async def test_too_many_sessions_are_waited_for_and_not_stormed(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        await one.census.ctl("max-sessions 0")
        one.proxy.cut()
        state = await one.watch.until(lambda state: "no free session" in state.fault_reason, "no free session")
        assert state.availability is Availability.UNAVAILABLE
        await one.census.ctl("max-sessions off")
        await one.watch.until_available()
        await one.check_parts(before)
        assert len(one.gaps) == 1


async def test_bad_quality_is_unknown_and_no_count(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        before = await producing(one)
        await one.census.ctl("badquality on")
        state = await one.watch.until_unavailable()
        assert state.part_count is None
        assert state.execution is Execution.UNAVAILABLE
        await one.census.ctl("badquality off")
        await one.watch.until_available()
        await one.check_parts(before)
        assert len(one.gaps) == 1


@pytest.mark.parametrize("years", [-30, 15])
async def test_a_clock_wrong_by_years_changes_nothing(lathe: Lathe, years: int) -> None:
    async with trial(lathe, settings) as one:
        first = await one.watch.until_available()
        await one.census.ctl(f"clock {years * 365 * 86400}")
        before = await producing(one)
        state = await one.watch.until(lambda state: state.taken_ns > first.taken_ns, "a newer reading")
        assert state.availability is Availability.AVAILABLE
        await one.census.ctl("clock 0")
        await one.check_parts(before)
        assert one.gaps == []


async def test_a_missing_node_is_named_and_the_rest_works(lathe: Lathe) -> None:
    inputs = (
        {"name": "door", "node": "Interlock/DoorClosed", "shows": "door"},
        {"name": "coolant", "node": "Interlock/CoolantLevel"},
    )
    async with trial(lathe, partial(settings, inputs=inputs)) as one:
        state = await one.watch.until_available()
        assert state.door.value == "CLOSED"
        assert one.driver.missing == ("input coolant: the server has no node Interlock/CoolantLevel",)


MAPPING = """
root = "nsu=http://opcfoundation.org/UA/Machinery/;i=1001"

[signal.execution]
node = "Lathe/Monitoring/Channel1/ChannelState"
values = { 0 = "ACTIVE", 1 = "INTERRUPTED", 2 = "READY" }

[signal.part_count]
node = "Lathe/Production/Statistics/PartsProducedInLifetime"

[signal.feed]
node = "Lathe/Monitoring/Channel1/FeedInMetresPerMinute"
unit = "m/min"
"""


async def test_a_missing_node_of_a_mapping_is_named_and_the_rest_works(lathe: Lathe, tmp_path: Path) -> None:
    file = tmp_path / "lathe.toml"
    file.write_text(MAPPING, encoding="utf-8")
    async with trial(lathe, partial(settings, model="mapping", mapping_file=file)) as one:
        before = await producing(one)
        assert one.driver.missing == (
            "signal feed: the server has no node Lathe/Monitoring/Channel1/FeedInMetresPerMinute",
        )
        one.proxy.cut()
        await one.watch.until(lambda _state: len(one.gaps) == 1, "a gap")
        await one.check_parts(before)
        assert one.driver.state().feed is None


async def test_an_alarm_that_came_and_one_that_went_while_nobody_saw_are_known_afterwards(lathe: Lathe) -> None:
    async with trial(lathe, settings) as one:
        await one.watch.until_available()
        await one.census.ctl("alarm Bar feeder empty")
        await one.watch.until(lambda state: [alarm.text for alarm in state.alarms] == ["Bar feeder empty"], "an alarm")
        await one.proxy.refuse()
        await one.watch.until_unavailable()
        await one.census.ctl("alarm")
        await one.census.ctl("alarm Coolant low")
        await one.proxy.accept()
        await one.watch.until(
            lambda state: [alarm.text for alarm in state.alarms] == ["Coolant low"], "the other alarm"
        )
        await one.census.ctl("alarm")
        await one.watch.until(lambda state: state.alarms == (), "no alarm")


async def test_an_upload_that_the_network_cuts_is_never_selected(lathe: Lathe) -> None:
    file = ProgramFile("SHAFT.NC", os.urandom(1_000_000))
    async with trial(lathe, partial(settings, write=True, job_control=True)) as one:
        await one.watch.until_available()
        one.proxy.cut_after = 500_000
        with pytest.raises(TransferFailed, match="the link was lost"):
            await one.driver.load(file, Told())
        await one.watch.until(lambda _state: len(one.gaps) == 1, "a gap")
        facts = await one.census.until(lambda facts: facts["files"] == [], "the rest removed")
        assert "Store" not in facts["calls"]
        assert facts["jobs"] == []
        # And then it works.
        await one.watch.until_available()
        assert await one.driver.load(file, Told()) is True
        assert kept(await one.census.ctl("state")) == {file.name: digest(file.content)}
