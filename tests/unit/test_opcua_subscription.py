# SPDX-License-Identifier: GPL-3.0-or-later
"""What a subscription makes of a server's answers, with a server that says what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import (
    BadDecodingError,
    BadMethodInvalid,
    BadNoSubscription,
    BadServiceUnsupported,
    BadSubscriptionIdInvalid,
    BadTimeout,
    BadTooManyOperations,
    BadTooManyPublishRequests,
)

from edge.drivers.opcua.alarms import ConditionEvent
from edge.drivers.opcua.errors import LinkError, LinkLost, ServiceRefused
from edge.drivers.opcua.models.model import AlarmSource, Item
from edge.drivers.opcua.settings import OpcUaSettings
from edge.drivers.opcua.subscription import Subscription
from edge.drivers.opcua.translate import FOREIGN, link_error
from edge.drivers.opcua.values import Value

T = TypeVar("T")

SETTINGS = OpcUaSettings.model_validate({"driver": "opcua", "endpoint": "opc.tcp://192.0.2.7:4840", "security": "none"})
ALARMS = AlarmSource("ns=4;s=Messages", "ns=6;i=39", ((6, "ErrorCode"),))
ID = 77


async def ask(_what: str, answer: Awaitable[T], _seconds: float | None = None) -> T:
    try:
        return await answer
    except FOREIGN as error:
        raise link_error(error, SETTINGS.endpoint) from error


def status(name: str) -> ua.StatusCode:
    return ua.StatusCode(getattr(ua.StatusCodes, name))


class ScriptedServer:
    """The part of asyncua's client that a subscription uses; answers are put into `published`."""

    def __init__(self) -> None:
        self.published: asyncio.Queue[object] = asyncio.Queue()
        self.acknowledged: list[int] = []
        self.created: list[list[Any]] = []
        self.most = 1_000
        self.forgets = False
        self.refuse: set[str] = set()
        self.refreshed: object = status("Good")
        self.mode: object = status("Good")
        self.refreshes = 0
        self.uaclient = self.protocol = self.session = self

    async def send_request(self, request: Any, timeout: float | None = None) -> Any:
        if isinstance(request, ua.CreateSubscriptionRequest):
            assert request.Parameters.RequestedLifetimeCount * request.Parameters.RequestedPublishingInterval >= 60_000
            answer: Any = ua.CreateSubscriptionResponse()
            answer.Parameters.SubscriptionId = ID
            answer.Parameters.RevisedPublishingInterval = 500.0
            answer.Parameters.RevisedMaxKeepAliveCount = 10
            return ua.utils.Buffer(struct_to_binary(answer))
        assert timeout == 0
        self.acknowledged += [one.SequenceNumber for one in request.Parameters.SubscriptionAcknowledgements]
        answer = await self.published.get()
        if isinstance(answer, Exception):
            raise answer
        return ua.utils.Buffer(answer)

    async def create_monitored_items(self, create: Any) -> list[Any]:
        if len(create.ItemsToCreate) > self.most:
            raise BadTooManyOperations
        assert create.TimestampsToReturn == ua.TimestampsToReturn.Both
        self.created.append(create.ItemsToCreate)
        names = ["BadNodeIdUnknown" if self._refuses(one) else "Good" for one in create.ItemsToCreate]
        return [SimpleNamespace(StatusCode=status(name)) for name in names[self.forgets :]]

    async def call(self, _methods: Sequence[Any]) -> list[Any]:
        self.refreshes += 1
        if isinstance(self.refreshed, Exception):
            raise self.refreshed
        return [SimpleNamespace(StatusCode=self.refreshed)]

    async def set_publishing_mode(self, wanted: Any) -> list[Any]:
        assert wanted.SubscriptionIds == [ID]
        if isinstance(self.mode, Exception):
            raise self.mode
        return [self.mode]

    def publish(self, number: int, *notifications: Any) -> None:
        response = ua.PublishResponse()
        response.Parameters.SubscriptionId = ID
        response.Parameters.NotificationMessage.SequenceNumber = number
        response.Parameters.NotificationMessage.NotificationData = list(notifications)
        self.published.put_nowait(struct_to_binary(response))

    def _refuses(self, request: Any) -> bool:
        fields = getattr(request.RequestedParameters.Filter, "SelectClauses", ())
        return request.ItemToMonitor.NodeId.to_string() in self.refuse or f"{len(fields)} fields" in self.refuse


class Reported:
    """What the listener was told."""

    def __init__(self) -> None:
        self.values: list[Mapping[str, Value]] = []
        self.gaps: list[bool] = []
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._came = asyncio.Event()

    def __call__(self, values: Mapping[str, Value], events: Sequence[ConditionEvent], *, gap: bool) -> None:
        self.values.append(values)
        self.gaps.append(gap)
        self._came.set()

    def lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.values) < count:
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def subscribed(
    server: ScriptedServer, items: Mapping[str, Item] | None = None, alarms: AlarmSource | None = None
) -> AsyncIterator[tuple[Subscription, Reported, dict[str, str]]]:
    reported = Reported()
    subscription = Subscription(server, ask, SETTINGS, 3, reported, reported.lose)
    try:
        yield subscription, reported, await subscription.start(items or {"a": Item("ns=1;s=a")}, alarms)
    finally:
        await subscription.end(0.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def change(handle: int, value: object, code: int = 0) -> Any:
    item = ua.MonitoredItemNotification()
    item.ClientHandle = handle
    item.Value = ua.DataValue(ua.Variant(value), ua.StatusCode(code))
    notification = ua.DataChangeNotification()
    notification.MonitoredItems = [item]
    return notification


async def test_values_come_by_their_keys_and_messages_are_acknowledged() -> None:
    server = ScriptedServer()
    async with subscribed(server, {"a": Item("ns=1;s=a"), "b": Item("ns=1;s=b", counter=True)}) as (_, reported, _):
        server.publish(1, change(1, 5), change(2, 6), change(99, 7))
        server.publish(2)
        await reported.until(2)
        assert reported.values == [{"a": Value(5), "b": Value(6)}, {}]
        assert reported.gaps == [False, False]
        server.publish(2, change(1, 8))
        await reported.until(3)
        assert server.acknowledged == [1, 2]
    assert [one.RequestedParameters.QueueSize for one in server.created[0]] == [1, 100]


async def test_items_are_created_in_pieces_and_refused_ones_are_told() -> None:
    server = ScriptedServer()
    server.refuse = {"ns=1;s=5"}
    items = {f"item {number}": Item(f"ns=1;s={number}") for number in range(8)}
    async with subscribed(server, items) as (_, _, refused):
        assert [len(one) for one in server.created] == [3, 3, 2]
        assert refused == {"item 5": "BadNodeIdUnknown"}


async def test_a_server_with_a_limit_that_it_does_not_tell_gets_smaller_pieces() -> None:
    server = ScriptedServer()
    server.most = 1
    items = {f"item {number}": Item(f"ns=1;s={number}") for number in range(4)}
    async with subscribed(server, items) as (_, _, refused):
        assert [len(one) for one in server.created] == [1, 1, 1, 1]
        assert refused == {}
    server.most = 0
    with pytest.raises(ServiceRefused):
        async with subscribed(server, items):
            raise AssertionError("not reached")


async def test_too_few_answers_make_no_sense() -> None:
    server = ScriptedServer()
    server.forgets = True
    with pytest.raises(LinkError, match="answers: 1 to 2 questions"):
        async with subscribed(server, {"a": Item("ns=1;s=a"), "b": Item("ns=1;s=b")}):
            raise AssertionError("not reached")


async def test_a_missing_message_and_an_overflow_are_gaps() -> None:
    server = ScriptedServer()
    async with subscribed(server) as (_, reported, _):
        for number, code in ((1, 0), (3, 0), (4, 0x480), (5, 0)):
            server.publish(number, change(1, number, code))
        await reported.until(4)
        assert reported.gaps == [False, True, True, False]
        assert [one["a"].value for one in reported.values] == [1, 3, 4, 5]


async def test_messages_keep_their_order_where_one_is_decoded_elsewhere() -> None:
    server = ScriptedServer()
    async with subscribed(server) as (_, reported, _):
        large = change(1, 1)
        large.MonitoredItems = large.MonitoredItems * 2_000
        server.publish(1, large)
        server.publish(2, change(1, 2))
        await reported.until(2)
        assert [one["a"].value for one in reported.values] == [1, 2]
        assert reported.gaps == [False, False]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([BadNoSubscription()], "the server has forgotten our subscription"),
        ([BadSubscriptionIdInvalid()], "the server has forgotten our subscription"),
        ([ConnectionError()], "the connection was lost"),
        ([BadTooManyPublishRequests(), BadTooManyPublishRequests()], "the server answered BadTooManyPublishRequests"),
        ([b"nonsense"] * 3, "the server's answer makes no sense (reports: they cannot be decoded)"),
    ],
)
async def test_what_ends_a_subscription(answers: list[object], words: str) -> None:
    server = ScriptedServer()
    async with subscribed(server) as (_, reported, _), asyncio.timeout(5):
        for answer in answers:
            server.published.put_nowait(answer)
        assert await reported.lost == words


async def test_what_does_not_end_a_subscription() -> None:
    server = ScriptedServer()
    async with subscribed(server) as (_, reported, _):
        for answer in (BadTimeout(), BadTooManyPublishRequests(), b"nonsense"):
            server.published.put_nowait(answer)
        server.publish(1, change(1, 5))
        await reported.until(2)
        assert reported.gaps == [True, False]
        assert not reported.lost.done()


async def test_a_status_change_ends_a_subscription() -> None:
    server = ScriptedServer()
    async with subscribed(server) as (_, reported, _), asyncio.timeout(5):
        notification = ua.StatusChangeNotification()
        notification.Status = status("BadTimeout")
        server.publish(1, notification)
        assert await reported.lost == "the server has ended our subscription"


async def test_alarms_come_without_their_number_where_the_server_does_not_know_it() -> None:
    server = ScriptedServer()
    server.refuse = {"10 fields"}
    async with subscribed(server, alarms=ALARMS) as (subscription, _, refused):
        assert refused == {}
        assert server.refreshes == 1
        await subscription.refresh_conditions()
        assert server.refreshes == 2


async def test_a_server_that_does_not_understand_the_filter_reports_no_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ScriptedServer()
    create_items = server.create_monitored_items

    async def create(wanted: Any) -> list[Any]:
        if wanted.ItemsToCreate[0].ItemToMonitor.AttributeId == ua.AttributeIds.EventNotifier:
            raise BadDecodingError
        return await create_items(wanted)

    monkeypatch.setattr(server, "create_monitored_items", create)
    async with subscribed(server, alarms=ALARMS) as (_, _, refused):
        assert refused == {"alarms": "BadDecodingError"}


async def test_refused_alarms_are_told_and_not_asked_for_again() -> None:
    server = ScriptedServer()
    server.refuse = {ALARMS.node_id}
    async with subscribed(server, alarms=ALARMS) as (subscription, _, refused):
        assert refused == {"alarms": "BadNodeIdUnknown"}
        await subscription.refresh_conditions()
        assert server.refreshes == 0


@pytest.mark.parametrize("answer", [status("BadNothingToDo"), BadServiceUnsupported(), BadMethodInvalid()])
async def test_a_server_without_condition_refresh_is_watched_all_the_same(answer: object) -> None:
    server = ScriptedServer()
    server.refreshed = answer
    async with subscribed(server, alarms=ALARMS) as (_, _, refused):
        assert refused == {}


async def test_a_link_that_is_lost_meanwhile_is_lost() -> None:
    server = ScriptedServer()
    server.refreshed = ConnectionResetError()
    with pytest.raises(LinkError):
        async with subscribed(server, alarms=ALARMS):
            raise AssertionError("not reached")


async def test_a_subscription_that_is_gone_is_noticed_when_asked_for() -> None:
    server = ScriptedServer()
    async with subscribed(server) as (subscription, _, _):
        await subscription.check()
        server.mode = BadServiceUnsupported()
        await subscription.check()
        for answer in (status("BadSubscriptionIdInvalid"), ConnectionResetError()):
            server.mode = answer
            with pytest.raises(LinkLost):
                await subscription.check()


async def test_an_ended_subscription_reports_nothing() -> None:
    server = ScriptedServer()
    async with subscribed(server) as (subscription, reported, _):
        server.publish(1, change(1, 5))
        await reported.until(1)
        await subscription.end(0.0)
        server.publish(2, change(1, 6))
        await asyncio.sleep(0.01)
        assert len(reported.values) == 1
