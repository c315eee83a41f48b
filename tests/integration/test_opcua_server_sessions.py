# SPDX-License-Identifier: GPL-3.0-or-later
"""What one client of the lab's own OPC UA server can do to another, and how much it may ask for at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.common.subscription import Subscription

from edge.opcua_server.sessions import LIMITS
from tests.support.grbl import eventually
from tests.support.opcua_server import Served, Umati, heard, plan, umati

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

CHANNEL = "router/Monitoring/Channel/ChannelState"
SESSIONS = 3
"""Those of `victim` and `other`, and one more."""
NOT_THERE = ua.StatusCodes.BadSubscriptionIdInvalid


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with Served(plan(tmp_path_factory.mktemp("served"), sessions=SESSIONS)) as server:
        server.show(heard())
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def victim(served: Served) -> AsyncIterator[Umati]:
    async with umati(served.endpoint) as client:
        await client.until(CHANNEL, 2)
        yield client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def watched(victim: Umati) -> Subscription:
    """Subscribe as the one whom the other would disturb."""
    subscription: Subscription = await victim.subscribe(CHANNEL)
    await eventually(lambda: victim.changes, "its first value")
    return subscription


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def other(served: Served) -> AsyncIterator[Umati]:
    async with umati(served.endpoint) as client:
        await client.subscribe(CHANNEL)
        yield client


def items_to_create(other: Umati, number: int, subscription: int) -> Any:
    wanted = ua.ReadValueId(NodeId=other.node(CHANNEL).nodeid, AttributeId=ua.AttributeIds.Value)
    asked = ua.MonitoredItemCreateRequest(ItemToMonitor=wanted, MonitoringMode=ua.MonitoringMode.Reporting)
    return ua.CreateMonitoredItemsParameters(SubscriptionId=subscription, ItemsToCreate=[asked] * number)


Service = Callable[[], Awaitable[Any]]


def naming(other: Umati, number: int) -> dict[str, Service]:
    """Return every service that names one subscription, as `other` asks for it."""
    session = other.client.uaclient.session
    items = [1, 2, 3]
    disable = ua.SetMonitoringModeParameters(number, ua.MonitoringMode.Disabled, items)
    return {
        "modify": lambda: session.update_subscription(ua.ModifySubscriptionParameters(number)),
        "create items": lambda: session.create_monitored_items(items_to_create(other, 1, number)),
        "modify items": lambda: session.modify_monitored_items(ua.ModifyMonitoredItemsParameters(number)),
        "delete items": lambda: session.delete_monitored_items(ua.DeleteMonitoredItemsParameters(number, items)),
        "monitoring mode": lambda: session.set_monitoring_mode(disable),
        "republish": lambda: session.republish(number, 1),
        "refresh": lambda: other.client.get_node(ua.NodeId(2782)).call_method(
            ua.NodeId(3875), ua.Variant(number, ua.VariantType.UInt32)
        ),
    }


async def test_no_client_reaches_the_subscription_of_another(
    served: Served, victim: Umati, watched: Subscription, other: Umati
) -> None:
    number = watched.subscription_id
    assert number is not None
    for name, ask in naming(other, number).items():
        with pytest.raises(ua.UaStatusCodeError) as refused:
            await ask()
        assert refused.value.code == NOT_THERE, name
    session = other.client.uaclient.session
    assert [one.value for one in await session.delete_subscriptions([number])] == [NOT_THERE]
    mute = ua.SetPublishingModeParameters(False, [number])
    assert [one.value for one in await session.set_publishing_mode(mute)] == [NOT_THERE]
    served.show(heard(execution="ACTIVE"))
    await eventually(lambda: (CHANNEL, 0, "Good") in victim.changes, "the other one still hears of changes")


async def test_no_subscription_goes_over_to_another_session(
    served: Served, victim: Umati, watched: Subscription, other: Umati
) -> None:
    wanted = ua.TransferSubscriptionsParameters([watched.subscription_id], True)
    for client in (other, victim):
        with pytest.raises(ua.UaStatusCodeError) as refused:
            await client.client.uaclient.session.transfer_subscriptions(wanted)
        assert refused.value.code == ua.StatusCodes.BadServiceUnsupported
    served.show(heard(execution="INTERRUPTED"))
    await eventually(lambda: (CHANNEL, 1, "Good") in victim.changes, "the other one still hears of changes")


async def test_a_client_does_with_its_own_what_it_likes(served: Served) -> None:
    async with umati(served.endpoint) as client:
        subscription = await client.subscribe(CHANNEL)
        await eventually(lambda: client.changes, "its first value")
        session, number = client.client.uaclient.session, subscription.subscription_id
        await session.update_subscription(ua.ModifySubscriptionParameters(number))
        foreign = 1
        assert foreign != number
        on = ua.SetPublishingModeParameters(True, [foreign, number])
        assert [one.value for one in await session.set_publishing_mode(on)] == [NOT_THERE, 0]
        made = await session.create_monitored_items(items_to_create(client, 1, number))
        items = [made[0].MonitoredItemId]
        mode = ua.SetMonitoringModeParameters(number, ua.MonitoringMode.Disabled, items)
        assert [one.value for one in await session.set_monitoring_mode(mode)] == [0]
        gone = ua.DeleteMonitoredItemsParameters(number, items)
        assert [one.value for one in await session.delete_monitored_items(gone)] == [0]
        assert [one.value for one in await session.delete_subscriptions([foreign, number])] == [NOT_THERE, 0]


def at_once(client: Umati, number: int) -> dict[str, Service]:
    """Return the services that name many nodes or items, by the limit of each, with `number` of them."""
    session = client.client.uaclient.session
    here = client.node(CHANNEL).nodeid
    read = ua.ReadParameters(NodesToRead=[ua.ReadValueId(here, ua.AttributeIds.Value)] * number)
    browse = ua.BrowseParameters(NodesToBrowse=[ua.BrowseDescription(here)] * number)
    path = ua.BrowsePath(here, ua.RelativePath([ua.RelativePathElement(TargetName=ua.QualifiedName("None"))]))
    call = ua.CallMethodRequest(here, here)
    return {
        "MaxNodesPerRead": lambda: session.read(read),
        "MaxNodesPerBrowse": lambda: session.browse(browse),
        "MaxNodesPerTranslateBrowsePathsToNodeIds": lambda: session.translate_browsepaths_to_nodeids([path] * number),
        "MaxNodesPerMethodCall": lambda: session.call([call] * number),
    }


def with_items(client: Umati, subscription: int, ids: list[int]) -> list[Service]:
    """Return the services that name items of a subscription."""
    session = client.client.uaclient.session
    wanted = ua.MonitoringParameters(QueueSize=2**31)
    modify = ua.ModifyMonitoredItemsParameters(subscription)
    modify.ItemsToModify = [ua.MonitoredItemModifyRequest(one, wanted) for one in ids]
    mode = ua.SetMonitoringModeParameters(subscription, ua.MonitoringMode.Reporting, ids)
    return [
        lambda: session.modify_monitored_items(modify),
        lambda: session.set_monitoring_mode(mode),
        lambda: session.delete_monitored_items(ua.DeleteMonitoredItemsParameters(subscription, ids)),
    ]


async def told_limit(client: Umati, name: str) -> int:
    place = getattr(ua.ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}")
    return int(await client.client.get_node(ua.NodeId(place)).read_value())


async def refuses(ask: Service) -> None:
    with pytest.raises(ua.UaStatusCodeError) as refused:
        await ask()
    assert refused.value.code == ua.StatusCodes.BadTooManyOperations


@pytest.mark.parametrize("limit", [name for name in LIMITS if name != "MaxMonitoredItemsPerCall"])
async def test_as_much_at_once_as_is_told_and_no_more(other: Umati, limit: str) -> None:
    most = await told_limit(other, limit)
    assert most == LIMITS[limit]
    assert len(await at_once(other, most)[limit]()) == most
    await refuses(at_once(other, most + 1)[limit])


async def test_as_many_items_at_once_as_is_told_and_no_more(served: Served) -> None:
    async with umati(served.endpoint) as client:
        number = (await client.subscribe()).subscription_id
        session, most = client.client.uaclient.session, await told_limit(client, "MaxMonitoredItemsPerCall")
        await refuses(lambda: session.create_monitored_items(items_to_create(client, most + 1, number)))
        made = [
            one.MonitoredItemId for one in await session.create_monitored_items(items_to_create(client, most, number))
        ]
        for ask in with_items(client, number, [*made, made[0]]):
            await refuses(ask)
        modify, *others = with_items(client, number, made)
        assert [one.RevisedQueueSize for one in await modify()] == [1_000] * most
        for ask in others:
            assert [one.value for one in await ask()] == [0] * most


async def test_no_more_sessions_than_permitted(served: Served, victim: Umati, other: Umati) -> None:
    async with umati(served.endpoint):
        await eventually(lambda: served.reports[-1].clients == SESSIONS, "all are counted")
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
            async with umati(served.endpoint):
                pass
    async with umati(served.endpoint) as late:
        assert await late.value(CHANNEL) is not None


async def test_a_connection_has_one_session(other: Umati) -> None:
    with pytest.raises(ua.UaStatusCodeError) as refused:
        await other.client.create_session()
    assert refused.value.code == ua.StatusCodes.BadTooManySessions


async def test_nobody_guesses_the_token_of_another_session(victim: Umati, other: Umati) -> None:
    tokens = [one.client.uaclient.session.authentication_token for one in (victim, other)]
    assert all(len(token.Identifier) == 32 for token in tokens)
    assert tokens[0] != tokens[1]


async def test_who_asks_and_does_not_read_the_answers_is_let_go(served: Served, victim: Umati, other: Umati) -> None:
    deaf = Client(served.endpoint, timeout=20)
    await deaf.connect()
    await eventually(lambda: served.reports[-1].clients == SESSIONS, "it is counted")
    wanted = ua.ReadValueId(NodeId=deaf.nodes.namespace_array.nodeid, AttributeId=ua.AttributeIds.Value)
    asked = ua.ReadParameters(NodesToRead=[wanted] * LIMITS["MaxNodesPerRead"])
    deaf.uaclient.protocol.transport.pause_reading()
    asking = [asyncio.create_task(deaf.uaclient.read(asked)) for _ in range(60)]
    await eventually(lambda: served.reports[-1].clients == SESSIONS - 1, "it is let go")
    assert await other.client.get_namespace_array()
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await deaf.disconnect()
