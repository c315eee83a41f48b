# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a connection with the simulated lathe: lost reports and subscriptions, full servers, wrong clocks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from asyncua.client.ua_session import UaSession
from asyncua.common.connection import SecureConnection
from asyncua.ua.uaerrors import BadServiceUnsupported

from edge.domain.machine import Availability, DoorState
from edge.drivers.opcua.connection import Connection, open_connection
from edge.drivers.opcua.errors import CallRefused
from edge.drivers.opcua.models.model import Item
from edge.drivers.opcua.security import SecuredClient
from edge.services.clock import SystemClock
from tests.support.opcua import PATIENCE_S, Lathe, lathe_process, settings, watched

DOOR = {"name": "door", "node": "Interlock/DoorClosed", "shows": "door"}
URI = "urn:infomobil:simulator:lathe"
YEAR_NS = 31_557_600_000_000_000

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lathe_of_all(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lathe]:
    async with lathe_process(tmp_path_factory.mktemp("lathe"), "--idle") as lathe:
        yield lathe


@pytest_asyncio.fixture(loop_scope="module")
async def lathe(lathe_of_all: Lathe) -> Lathe:
    await lathe_of_all.ctl("reset")
    return lathe_of_all


async def test_a_lost_report_is_noticed_and_everything_read_anew(
    lathe: Lathe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="edge.drivers.opcua")
    async with watched(lathe.endpoint, refresh_s=1.2) as watch:
        await watch.until_available()
        await lathe.ctl("lose 70")
        await watch.until(lambda state: state.overrides is not None and state.overrides.feed == 70, "override 70")
        # The next report or keep-alive shows that one is missing.
        await watch.until(lambda _state: "reports were lost" in caplog.text, "the loss is told")
    assert all(state.availability is Availability.AVAILABLE for state in watch.states[1:-1])


async def test_an_overflow_is_noticed(lathe: Lathe, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="edge.drivers.opcua")
    async with watched(lathe.endpoint, inputs=(DOOR,)) as watch:
        await watch.until(lambda state: state.door is DoorState.CLOSED, "closed")
        await lathe.ctl("overflow")
        await watch.until(lambda _state: "reports were lost" in caplog.text, "the loss is told")
        assert watch.driver.state().door is DoorState.CLOSED


async def test_a_deleted_subscription_is_replaced_by_a_new_connection(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await lathe.ctl("subscription-delete")
        # The server answers no publish request after that, and none that it holds: it has to be asked.
        state = await watch.until_unavailable()
        assert state.fault_reason == "the server has forgotten our subscription"
        await watch.until_available()
        async with asyncio.timeout(PATIENCE_S):
            while (facts := await lathe.ctl("state"))["sessions"] != 1:
                await asyncio.sleep(0.05)
        assert facts["subscriptions"] == 1


async def test_a_server_that_does_not_say_whether_it_has_the_subscription_is_watched_all_the_same(
    lathe: Lathe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def set_publishing_mode(_session: UaSession, _parameters: Any) -> None:
        nonlocal asked
        asked += 1
        raise BadServiceUnsupported

    monkeypatch.setattr(UaSession, "set_publishing_mode", set_publishing_mode)
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await watch.until(lambda _state: asked > 2, "asked")
        assert all(state.availability is Availability.AVAILABLE for state in watch.states)


async def test_a_server_without_a_free_session_is_asked_politely(lathe: Lathe) -> None:
    await lathe.ctl("max-sessions 0")
    async with watched(lathe.endpoint) as watch:
        state = await watch.until(lambda state: bool(state.fault_reason), "the reason")
        assert state.fault_reason == "the server has no free session"
        await lathe.ctl("max-sessions 1")
        await watch.until_available()
        assert (await lathe.ctl("state"))["sessions"] == 1


async def test_the_servers_clock_is_shown_and_never_believed(lathe: Lathe) -> None:
    clock = SystemClock()
    for years in (0, -20, 7):
        # The clock is wrong before we come, and is set while we watch.
        await lathe.ctl(f"clock {years * 31_557_600}")
        async with watched(lathe.endpoint) as watch:
            await watch.until_available()
            await lathe.ctl("override 90")
            state = await watch.until(lambda state: state.overrides is not None and state.overrides.feed == 90, "90")
            assert state.source_ns is not None
            assert abs(state.source_ns - clock.wall_ns() - years * YEAR_NS) < YEAR_NS / 100
            assert abs(state.taken_ns - clock.boot_ns()) < 5_000_000_000
            await lathe.ctl("clock -300000000")
            await lathe.ctl("override 80")
            state = await watch.until(lambda state: state.overrides is not None and state.overrides.feed == 80, "80")
            assert state.availability is Availability.AVAILABLE
        await lathe.ctl("reset")


async def test_a_quiet_machine_is_never_older_than_the_period_of_reading(lathe: Lathe) -> None:
    """With publishing so slow that keep-alives come every 10 s."""
    clock = SystemClock()
    async with watched(lathe.endpoint, publishing_ms=1000, watchdog_s=25, refresh_s=0.3) as watch:
        first = await watch.until_available()
        oldest_ns = 0
        while watch.driver.state().taken_ns < first.taken_ns + 2_000_000_000:
            await asyncio.sleep(0.02)
            oldest_ns = max(oldest_ns, clock.boot_ns() - watch.driver.state().taken_ns)
        assert oldest_ns < 1_500_000_000


async def test_what_is_missing_is_named_once(lathe: Lathe, caplog: pytest.LogCaptureFixture) -> None:
    missing = {"name": "coolant", "node": "Interlock/NoSuchNode"}
    async with watched(lathe.endpoint, inputs=(DOOR, missing)) as watch:
        await watch.until_available()
        await lathe.ctl("cut")
        await watch.until_unavailable()
        state = await watch.until_available()
        assert state.fault_reason == ""
        assert watch.driver.missing == ("input coolant: the server has no node Interlock/NoSuchNode",)
    assert caplog.text.count("NoSuchNode") == 1


async def test_a_thousand_items_are_subscribed_in_pieces_and_a_refused_one_is_named(lathe: Lathe) -> None:
    async with open_connection(settings(lathe.endpoint), None) as connection:
        namespace = connection.namespaces.index(URI)
        good = f"ns={namespace};s=Interlock/DoorClosed"
        items = {f"item {number}": Item(good, counter=number % 2 == 0) for number in range(1000)}
        items["wrong"] = Item(f"ns={namespace};s=NoSuchNode")
        reported: set[str] = set()
        refused = await connection.subscribe(items, None, lambda values, events, *, gap: reported.update(values))
        assert list(refused) == ["wrong"]
        assert refused["wrong"].startswith("BadNodeId")
        async with asyncio.timeout(PATIENCE_S):
            while len(reported) < 1000:
                await asyncio.sleep(0.02)
        assert await connection.read([good] * 1000) == [True] * 1000


async def test_an_alarm_that_went_while_the_link_was_away_is_gone(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await lathe.ctl("alarm Chip conveyor jammed")
        await lathe.ctl("alarm Door contact worn")
        await watch.until(lambda state: len(state.alarms) == 2, "two alarms")
        await lathe.ctl("cut")
        await watch.until_unavailable()
        await lathe.ctl("alarm")
        await watch.until_available()
        await lathe.ctl("alarm Oil low")
        state = await watch.until(lambda state: bool(state.alarms), "an alarm")
        assert [alarm.text for alarm in state.alarms] == ["Oil low"]


async def _job_receiver(connection: Connection) -> dict[str, str]:
    """Return object and methods of the lathe's job receiver by name."""
    found: dict[str, str] = {}
    level = [f"ns={connection.namespaces.index(URI)};s=Lathe"]
    while level and "Store" not in found:
        following = []
        for node_id in level:
            for one in await connection.browse(node_id):
                found[one.name] = one.node_id
                following.append(one.node_id)
                if one.name == "Store":
                    found["parent"] = node_id
        level = following
    return found


async def test_methods_are_called_with_the_types_that_they_declare(lathe: Lathe) -> None:
    async with open_connection(settings(lathe.endpoint), None) as connection:
        nodes = await _job_receiver(connection)
        await connection.prepare_call(nodes["Start"])
        begun = connection.begin_call(nodes["parent"], nodes["Start"], "no such order", [])
        (status,) = await connection.finish_call(nodes["Start"], begun)
        assert isinstance(status, int)
        await lathe.ctl("refuse Start BadUserAccessDenied")
        with pytest.raises(CallRefused) as refusal:
            await connection.call(nodes["parent"], nodes["Start"], "no such order", [])
        assert refusal.value.status == "BadUserAccessDenied"
        with pytest.raises(CallRefused):
            await connection.call(nodes["parent"], "i=2253")


async def test_a_channel_is_renewed_whatever_the_servers_clock_says(
    lathe: Lathe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncua refuses messages under a token that ran out, and counts its life from the server's clock."""
    renewals = 0
    real_open, real_set = SecuredClient.open_secure_channel, SecureConnection.set_channel

    async def open_secure_channel(client: SecuredClient, renew: bool = False) -> None:
        nonlocal renewals
        await real_open(client, renew)
        renewals += renew

    def set_channel(secure: SecureConnection, parameters: Any, *arguments: Any) -> None:
        parameters.SecurityToken.CreatedAt -= timedelta(days=7000)
        real_set(secure, parameters, *arguments)

    monkeypatch.setattr(SecuredClient, "open_secure_channel", open_secure_channel)
    monkeypatch.setattr(SecureConnection, "set_channel", set_channel)
    lifetime = property(lambda _client: 400, lambda _client, _value: None)
    monkeypatch.setattr(SecuredClient, "secure_channel_timeout", lifetime, raising=False)
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await watch.until(lambda _state: renewals >= 4, "renewed")
        assert watch.driver.state().availability is Availability.AVAILABLE
        assert all(state.availability is Availability.AVAILABLE for state in watch.states)


async def test_a_report_that_cannot_be_decoded_is_read_instead(
    lathe: Lathe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from edge.drivers.opcua import subscription

    caplog.set_level(logging.INFO, logger="edge.drivers.opcua")
    real = subscription.struct_from_binary
    broken = 0

    def decode(kind: Any, data: Any) -> Any:
        nonlocal broken
        if kind.__name__ == "PublishResponse" and broken > 0:
            broken -= 1
            raise ValueError("a field of an unknown type")
        return real(kind, data)

    monkeypatch.setattr(subscription, "struct_from_binary", decode)
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        broken = 1
        await lathe.ctl("override 55")
        await watch.until(lambda state: state.overrides is not None and state.overrides.feed == 55, "override 55")
        await watch.until(lambda _state: "reports were lost" in caplog.text, "the loss is told")
        broken = 3
        await watch.until(lambda state: "makes no sense" in state.fault_reason, "given up")
        await watch.until_available()
