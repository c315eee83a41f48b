# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server reports by itself: one subscription of one connection.

We send the publish requests ourselves: asyncua 2.1 goes on in silence when the server says that the subscription is
gone, keeps one request at the server only, and does not look at sequence numbers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from asyncua.ua.ua_binary import struct_from_binary

from edge.drivers.opcua.alarms import ALARMS, ConditionEvent
from edge.drivers.opcua.calls import Asking
from edge.drivers.opcua.errors import LinkLost, ServiceRefused
from edge.drivers.opcua.events import CONDITION_REFRESH, CONDITION_TYPE, condition_event, event_filter
from edge.drivers.opcua.models.model import AlarmSource, Item
from edge.drivers.opcua.settings import KEEP_ALIVE_COUNT, OpcUaSettings
from edge.drivers.opcua.translate import FOREIGN, LOST, exactly, is_too_much, reading_of, status_words, ua
from edge.drivers.opcua.values import Value

COUNTER_QUEUE = 100
_LIFETIME_S = 60.0
_NOTIFICATIONS_PER_PUBLISH = 200
_REQUESTS_AT_SERVER = 2
_SEQUENCE_LIMIT = 2**32 - 1
# Larger messages are decoded beside the loop: 1,000 values take tens of milliseconds.
_DECODE_INLINE_BYTES = 4_000
_BAD_MESSAGES = 3

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Takes what a server reports, on the loop."""

    def __call__(self, values: Mapping[str, Value], events: Sequence[ConditionEvent], *, gap: bool) -> None:
        """Take values by key and events; both empty at a mere sign of life. gap: reports were lost before this one."""
        ...


def silence_limit_s(settings: OpcUaSettings, publishing_ms: float, keep_alive_count: int) -> float:
    """Return the silence, s, that means a dead link, for the publishing interval that the server granted.

    A server may revise the interval upwards; then two of its keep-alives have to fit in, as in the settings.
    """
    return max(settings.watchdog_s, 2 * keep_alive_count * publishing_ms / 1000)


class Sequence32:
    """The sequence numbers of a subscription's messages (OPC 10000-4, 5.13.1.1): 1 to 2**32 - 1, then 1 again."""

    def __init__(self) -> None:
        self._next = 1

    def missed(self, number: int, *, keep_alive: bool) -> bool:
        """Return whether messages are missing before this one. A keep-alive bears the number of the next message."""
        expected = self._next
        # Some servers repeat the number of the last message in a keep-alive.
        in_order = number == expected or (keep_alive and number in (expected - 1, 0))
        if not keep_alive or not in_order:
            self._next = number if keep_alive else number % _SEQUENCE_LIMIT + 1
        return not in_order


class Subscription:
    """A subscription and its monitored items; ended with its connection."""

    def __init__(
        self,
        client: Any,
        ask: Asking,
        settings: OpcUaSettings,
        chunk: int,
        listener: Listener,
        lose: Callable[[str], None],
    ) -> None:
        self._client = client
        self._ask = ask
        self._settings = settings
        self._chunk = chunk
        self._listener: Listener | None = listener
        self._lose = lose
        self._loop = asyncio.get_running_loop()
        self.heard = self._loop.time()
        self.silence_limit_s = settings.watchdog_s
        self.check_after_s = settings.watchdog_s
        self._id: int | None = None
        self._has_alarms = False
        self._keys: dict[int, str] = {}
        self._sequence = Sequence32()
        self._acknowledge: list[Any] = []
        self._bad_messages = 0
        self._requests = _REQUESTS_AT_SERVER
        self._decoding = asyncio.Lock()
        self._publishing: set[asyncio.Task[None]] = set()

    async def start(self, items: Mapping[str, Item], alarms: AlarmSource | None) -> dict[str, str]:
        """Subscribe; return what the server refuses to report and why, by key (ALARMS for the alarms).

        Raises LinkError.
        """
        settings = self._settings
        request = ua.CreateSubscriptionRequest()
        request.Parameters.RequestedPublishingInterval = settings.publishing_ms
        request.Parameters.RequestedMaxKeepAliveCount = KEEP_ALIVE_COUNT
        lifetime = max(3 * KEEP_ALIVE_COUNT, int(_LIFETIME_S * 1000 / settings.publishing_ms))
        request.Parameters.RequestedLifetimeCount = lifetime
        request.Parameters.MaxNotificationsPerPublish = _NOTIFICATIONS_PER_PUBLISH
        request.Parameters.PublishingEnabled = True
        granted = (await self._request("subscribing", request, ua.CreateSubscriptionResponse)).Parameters
        self._id = granted.SubscriptionId
        self.heard = self._loop.time()
        self.silence_limit_s = silence_limit_s(
            settings, granted.RevisedPublishingInterval, granted.RevisedMaxKeepAliveCount
        )
        self.check_after_s = granted.RevisedMaxKeepAliveCount * granted.RevisedPublishingInterval / 1000 / 2
        for number in range(self._requests):
            task = asyncio.create_task(self._publish(), name=f"opcua-publish-{number}")
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)
        refused = await self._monitor(items)
        if alarms is not None and (status := await self._monitor_alarms(len(items) + 1, alarms)) is not None:
            refused[ALARMS] = status
        return refused

    async def end(self, seconds: float) -> None:
        """Report nothing more; delete the subscription where the server answers within `seconds`."""
        self._listener = None
        for task in self._publishing:
            task.cancel()
        if self._id is not None and seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._client.uaclient.delete_subscriptions([self._id])
            except FOREIGN as error:
                _log.debug("the subscription was not deleted: %r", error)

    async def check(self) -> None:
        """Ask whether the server still has the subscription: some delete it without a word. Raises LinkError."""
        wanted = ua.SetPublishingModeParameters()
        wanted.PublishingEnabled = True
        wanted.SubscriptionIds = [self._id]
        try:
            answer = self._client.uaclient.session.set_publishing_mode(wanted)
            (status,) = exactly(1, await self._ask("asking for the subscription", answer))
        except ServiceRefused as error:
            _log.debug("the server does not say whether it has the subscription: %s", error)
        else:
            if not status.is_good():
                raise LinkLost(reason=status_words(status.name))

    async def refresh_conditions(self) -> None:
        """Let the server report all its alarms anew, where it reports alarms. Raises LinkError."""
        if not self._has_alarms:
            return
        call = ua.CallMethodRequest()
        call.ObjectId = ua.NodeId(CONDITION_TYPE)
        call.MethodId = ua.NodeId(CONDITION_REFRESH)
        call.InputArguments = [ua.Variant(self._id, ua.VariantType.UInt32)]
        # Optional in the standard: without it alarms raised before we came stay unknown.
        try:
            (result,) = exactly(1, await self._ask("asking for alarms", self._client.uaclient.call([call])))
        except ServiceRefused as error:
            _log.debug("no condition refresh: %s", error)
        else:
            if not result.StatusCode.is_good():
                _log.debug("no condition refresh: %s", result.StatusCode.name)

    async def _monitor(self, items: Mapping[str, Item]) -> dict[str, str]:
        requests = []
        for handle, (key, item) in enumerate(items.items(), 1):
            self._keys[handle] = key
            request = _item_request(handle, item.node_id, ua.AttributeIds.Value)
            request.RequestedParameters.SamplingInterval = self._settings.sampling_ms
            request.RequestedParameters.QueueSize = COUNTER_QUEUE if item.counter else 1
            requests.append(request)
        refused = {}
        while requests:
            chunk = requests[: self._chunk]
            try:
                results = await self._create(chunk)
            except ServiceRefused as error:
                if not is_too_much(error, self._chunk):
                    raise
                self._chunk //= 2
                continue
            requests = requests[self._chunk :]
            for request, one in zip(chunk, results, strict=True):
                if not one.StatusCode.is_good():
                    refused[self._keys[request.RequestedParameters.ClientHandle]] = one.StatusCode.name
        return refused

    async def _monitor_alarms(self, handle: int, alarms: AlarmSource) -> str | None:
        # A server may not know the field of an alarm's number; then the alarms come without it.
        status = ""
        for source in (alarms, AlarmSource(alarms.node_id)):
            request = _item_request(handle, source.node_id, ua.AttributeIds.EventNotifier)
            request.RequestedParameters.QueueSize = COUNTER_QUEUE
            request.RequestedParameters.Filter = event_filter(source)
            try:
                (result,) = await self._create([request])
            except ServiceRefused as error:
                status = str(error.status)
                continue
            if result.StatusCode.is_good():
                self._has_alarms = True
                await self.refresh_conditions()
                return None
            status = result.StatusCode.name
        return status

    async def _create(self, requests: Sequence[Any]) -> Sequence[Any]:
        create = ua.CreateMonitoredItemsParameters()
        create.SubscriptionId = self._id
        create.ItemsToCreate = list(requests)
        create.TimestampsToReturn = ua.TimestampsToReturn.Both
        results = await self._ask("subscribing", self._client.uaclient.create_monitored_items(create))
        return exactly(len(requests), results)

    async def _request(self, what: str, request: Any, response: Any) -> Any:
        async def answer() -> Any:
            data = await self._client.uaclient.protocol.send_request(request)
            return struct_from_binary(response, data)

        return await self._ask(what, answer())

    async def _publish(self) -> None:
        """Keep one publish request at the server."""
        while True:
            try:
                response = await self._next_message()
            except FOREIGN as error:
                name = type(error).__name__ if isinstance(error, ua.UaStatusCodeError) else ""
                if name == "BadTimeout":
                    continue  # a server may answer a request that waits for long like that
                if name == "BadTooManyPublishRequests" and self._requests > 1:
                    self._requests -= 1
                    return
                self._lose(LOST if isinstance(error, ConnectionError) else status_words(name or type(error).__name__))
                return
            if response is None:
                self._bad_messages += 1
                if self._bad_messages >= _BAD_MESSAGES:
                    self._lose("the server's answer makes no sense (reports: they cannot be decoded)")
                    return
                self._loop.call_soon(partial(self._tell, (), gap=True))
            elif response.Parameters.SubscriptionId == self._id:
                self._bad_messages = 0
                self._take(response.Parameters.NotificationMessage)

    async def _next_message(self) -> Any:
        """Return the next publish response, None where it cannot be decoded."""
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements, self._acknowledge = self._acknowledge, []
        # Without a time limit of its own: silence is the watchdog's business.
        data = await self._client.uaclient.protocol.send_request(request, timeout=0)
        # The lock keeps the order of messages of which one is decoded elsewhere.
        async with self._decoding:
            try:
                if len(data) > _DECODE_INLINE_BYTES:
                    return await asyncio.to_thread(struct_from_binary, ua.PublishResponse, data)
                return struct_from_binary(ua.PublishResponse, data)
            except FOREIGN as error:
                _log.debug("a report that cannot be decoded: %r", error)
                return None

    def _take(self, message: Any) -> None:
        self.heard = self._loop.time()
        notifications = message.NotificationData or ()
        gap = self._sequence.missed(message.SequenceNumber, keep_alive=not notifications)
        if notifications:
            acknowledgement = ua.SubscriptionAcknowledgement()
            acknowledgement.SubscriptionId = self._id
            acknowledgement.SequenceNumber = message.SequenceNumber
            self._acknowledge.append(acknowledgement)
        # What a listener raises ends no publishing: the loop reports it.
        self._loop.call_soon(partial(self._tell, notifications, gap=gap))

    def _tell(self, notifications: Iterable[Any], *, gap: bool) -> None:
        values: dict[str, Value] = {}
        events: list[ConditionEvent] = []
        for one in notifications:
            if isinstance(one, ua.DataChangeNotification):
                for item in one.MonitoredItems or ():
                    if (key := self._keys.get(item.ClientHandle)) is not None:
                        values[key] = value = reading_of(item.Value)
                        gap = gap or value.overflowed
            elif isinstance(one, ua.EventNotificationList):
                for fields in one.Events or ():
                    if (event := condition_event(fields.EventFields)) is not None:
                        events.append(event)
            elif isinstance(one, ua.StatusChangeNotification):
                self._lose(status_words(one.Status.name))
                return
        if self._listener is not None:
            self._listener(values, events, gap=gap)


def _item_request(handle: int, node_id: str, attribute: Any) -> Any:
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor.NodeId = ua.NodeId.from_string(node_id)
    request.ItemToMonitor.AttributeId = attribute
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters.ClientHandle = handle
    request.RequestedParameters.DiscardOldest = True
    return request
