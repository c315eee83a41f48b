# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to an OPC UA server: with `translate.py` all that knows asyncua.

A connection is used once. asyncua 2.1 repairs connections by itself only against some servers and its `connect` can
hang for ever, so that here each connection has a Client of its own, each answer a time limit, and silence an end.
NodeIds cross this border as text (`ns=6;i=13`), values as plain Python values, a value without Good status as None.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from asyncua.client.client import Client

from edge.drivers.opcua.errors import CredentialsRefused, LinkError
from edge.drivers.opcua.settings import KEEP_ALIVE_COUNT, OpcUaSettings
from edge.drivers.opcua.translate import (
    CONDITION_TYPE,
    COUNTER_QUEUE,
    FOREIGN,
    REFUSED_USER,
    ConditionEvent,
    condition_event,
    event_request,
    item_request,
    reason_of,
    status_words,
    ua,
    value_of,
)

T = TypeVar("T")

_READ_CHUNK = 100
_SESSION_TIMEOUT_MIN_S = 4.0
_LIFETIME_S = 60.0
_CLOSE_S = 2.0
_LOST = "the connection was lost"
_CONDITION_REFRESH = 3875
_HIERARCHICAL_REFERENCES = 33
_HAS_SUBTYPE = 45

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reference:
    """A child of a node: its browse name without namespace, its NodeId and the NodeId of its type."""

    name: str
    node_id: str
    type_id: str


@dataclass(frozen=True, slots=True)
class Item:
    """A node to report on change; of a counter no value is skipped."""

    node_id: str
    counter: bool = False


Listener = Callable[[Mapping[str, object], Sequence[ConditionEvent]], None]


def silence_limit_s(settings: OpcUaSettings, publishing_ms: float, keep_alive_count: int) -> float:
    """Return the silence, s, that means a dead link, for the publishing interval that the server granted.

    A server may revise the interval upwards; then two of its keep-alives have to fit in, as in the settings.
    """
    return max(settings.watchdog_s, 2 * keep_alive_count * publishing_ms / 1000)


class Connection:
    """An activated session; made by `open_connection`."""

    def __init__(self, settings: OpcUaSettings, password: str | None) -> None:
        self.namespaces: tuple[str, ...] = ()
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._heard = self._loop.time()
        self._silence_limit_s = settings.watchdog_s
        self._listener: Listener | None = None
        self._keys: dict[int, str] = {}
        self._subscription: int | None = None
        # The library's own probe must not be stricter than our time limit.
        client = Client(settings.endpoint, timeout=settings.timeout_s, watchdog_intervall=settings.timeout_s)
        client.name = client.description = "InfoMobil"
        client.application_uri = "urn:infomobil:edge"
        # A session lost with its connection blocks one of a control's few places until its time-out. Keep-alives come
        # at least twice per watchdog time, so that a session in use never reaches this one.
        client.session_timeout = round(1000 * max(_SESSION_TIMEOUT_MIN_S, 2 * settings.watchdog_s))
        client.connection_lost_callback = self._on_connection_lost
        if settings.user is not None and password is not None:
            client.set_user(settings.user)
            client.set_password(password)
        self._client: Any = client

    async def start(self) -> None:
        """Connect and open a session. Raises LinkError."""
        await self._ask("connecting", self._client.connect(), 2 * self._settings.timeout_s)
        self.namespaces = tuple(await self._ask("reading the namespaces", self._client.get_namespace_array()))

    async def close(self) -> None:
        """Delete the subscription, close session and socket; bounded, whatever the server does."""
        self._listener = None
        protocol = self._client.uaclient.protocol
        transport = None if protocol is None else protocol.transport
        ending = asyncio.create_task(self._end(), name="opcua-close")
        deadline = self._loop.time() + _CLOSE_S
        try:
            await asyncio.wait({ending}, timeout=_CLOSE_S)
        finally:
            # Cancelled meanwhile or not: what was begun is ended within its time.
            await asyncio.wait({ending}, timeout=max(0.0, deadline - self._loop.time()))
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
            self._client.disconnect_socket()
            if transport is not None:
                transport.abort()
            # One turn for the cancelled publish loop, one for the transport's own ending.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self._lost.cancel()

    async def _end(self) -> None:
        if self._subscription is not None and not self._lost.done():
            try:
                async with asyncio.timeout(_CLOSE_S / 2):
                    await self._client.uaclient.delete_subscriptions([self._subscription])
            except FOREIGN as error:
                _log.debug("the subscription was not deleted: %r", error)
        await self._client.disconnect()

    async def browse(self, node_id: str) -> list[Reference]:
        """Return the hierarchical children of a node. Raises LinkError."""
        node = self._client.get_node(node_id)
        found = await self._ask("browsing", node.get_references(_HIERARCHICAL_REFERENCES, ua.BrowseDirection.Forward))
        return [Reference(one.BrowseName.Name, one.NodeId.to_string(), one.TypeDefinition.to_string()) for one in found]

    async def supertype(self, type_id: str) -> str | None:
        """Return the type that `type_id` is derived from, or None. Raises LinkError."""
        node = self._client.get_node(type_id)
        found = await self._ask("browsing types", node.get_references(_HAS_SUBTYPE, ua.BrowseDirection.Inverse))
        return found[0].NodeId.to_string() if found else None

    async def read(self, node_ids: Sequence[str]) -> list[object]:
        """Read values in bulk, in order. Raises LinkError."""
        values: list[object] = []
        for start in range(0, len(node_ids), _READ_CHUNK):
            nodes = [ua.NodeId.from_string(one) for one in node_ids[start : start + _READ_CHUNK]]
            request = self._client.uaclient.read_attributes(nodes, ua.AttributeIds.Value)
            values.extend(value_of(one) for one in await self._ask("reading", request))
        return values

    async def subscribe(
        self, items: Mapping[str, Item], events_of: str | None, tool_namespace: int, listener: Listener
    ) -> None:
        """Report changes of `items` by their keys, and alarms of the node `events_of`, to `listener`.

        The listener is called at each sign of life, with nothing at all where nothing changed. Raises LinkError.
        """
        settings = self._settings
        self._listener = listener
        parameters = ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = settings.publishing_ms
        parameters.RequestedMaxKeepAliveCount = KEEP_ALIVE_COUNT
        parameters.RequestedLifetimeCount = max(3 * KEEP_ALIVE_COUNT, int(_LIFETIME_S * 1000 / settings.publishing_ms))
        parameters.PublishingEnabled = True
        result = await self._ask("subscribing", self._client.uaclient.create_subscription(parameters, self._on_publish))
        self._subscription = result.SubscriptionId
        self._silence_limit_s = silence_limit_s(
            settings, result.RevisedPublishingInterval, result.RevisedMaxKeepAliveCount
        )
        requests = [self._item_request(handle, key, item) for handle, (key, item) in enumerate(items.items(), 1)]
        if events_of is not None:
            requests.append(event_request(len(requests) + 1, events_of, tool_namespace))
        create = ua.CreateMonitoredItemsParameters()
        create.SubscriptionId = self._subscription
        create.ItemsToCreate = requests
        create.TimestampsToReturn = ua.TimestampsToReturn.Source
        results = await self._ask("subscribing", self._client.uaclient.create_monitored_items(create))
        for request, one in zip(requests, results, strict=True):
            if not one.StatusCode.is_good():
                node = request.ItemToMonitor.NodeId.to_string()
                _log.debug("%s is not monitored: %s", node, one.StatusCode.name)
        if events_of is not None:
            await self._refresh_conditions()

    async def watch(self) -> NoReturn:
        """Raise LinkError as soon as the connection is lost or has been silent too long."""
        while (left := self._heard + self._silence_limit_s - self._loop.time()) > 0:
            await asyncio.wait({self._lost}, timeout=left)
            if self._lost.done():
                raise LinkError(reason=self._lost.result())
        raise LinkError(reason=f"the server has said nothing for {self._silence_limit_s:g} s")

    async def _refresh_conditions(self) -> None:
        call = ua.CallMethodRequest()
        call.ObjectId = ua.NodeId(CONDITION_TYPE)
        call.MethodId = ua.NodeId(_CONDITION_REFRESH)
        call.InputArguments = [ua.Variant(self._subscription, ua.VariantType.UInt32)]
        # Optional in the standard: without it alarms raised before we came stay unknown.
        try:
            (result,) = await self._ask("asking for alarms", self._client.uaclient.call([call]))
        except LinkError as error:
            if not isinstance(error.__cause__, ua.UaStatusCodeError):
                raise
            _log.debug("no condition refresh: %s", error)
        else:
            if not result.StatusCode.is_good():
                _log.debug("no condition refresh: %s", result.StatusCode.name)

    def _item_request(self, handle: int, key: str, item: Item) -> Any:
        self._keys[handle] = key
        request = item_request(handle, item.node_id, ua.AttributeIds.Value)
        request.RequestedParameters.SamplingInterval = self._settings.sampling_ms
        request.RequestedParameters.QueueSize = COUNTER_QUEUE if item.counter else 1
        return request

    def _on_publish(self, result: Any) -> None:
        self._heard = self._loop.time()
        # asyncua swallows what its callbacks raise; the loop reports it.
        self._loop.call_soon(self._dispatch, list(result.NotificationMessage.NotificationData or ()))

    def _dispatch(self, notifications: Iterable[Any]) -> None:
        values: dict[str, object] = {}
        events: list[ConditionEvent] = []
        for one in notifications:
            if isinstance(one, ua.DataChangeNotification):
                for item in one.MonitoredItems:
                    if (key := self._keys.get(item.ClientHandle)) is not None:
                        values[key] = value_of(item.Value)
            elif isinstance(one, ua.EventNotificationList):
                events.extend(event for fields in one.Events if (event := condition_event(fields.EventFields)))
            elif isinstance(one, ua.StatusChangeNotification) and not one.Status.is_good():
                self._set_lost(status_words(one.Status.name))
        if self._listener is not None and not self._lost.done():
            self._listener(values, events)

    async def _on_connection_lost(self, error: Exception) -> None:
        self._set_lost("the server does not answer" if isinstance(error, TimeoutError) else _LOST)

    def _set_lost(self, reason: str) -> None:
        if not self._lost.done():
            self._lost.set_result(reason)

    async def _ask(self, what: str, answer: Awaitable[T], seconds: float | None = None) -> T:
        limit = self._settings.timeout_s if seconds is None else seconds
        try:
            async with asyncio.timeout(limit):
                return await answer
        except TimeoutError as error:
            raise LinkError(reason=f"no answer in time ({what})") from error
        except FOREIGN as error:
            if type(error).__name__ in REFUSED_USER:
                raise CredentialsRefused(reason="the server refuses this user and password") from error
            if isinstance(error, ConnectionError) and self.namespaces:
                raise LinkError(reason=_LOST) from error
            raise LinkError(reason=reason_of(error, self._settings.endpoint)) from error


@asynccontextmanager
async def open_connection(settings: OpcUaSettings, password: str | None) -> AsyncIterator[Connection]:
    """Open a connection and close it without a trace on the server. Raises LinkError."""
    library = logging.getLogger("asyncua")
    if library.level == logging.NOTSET:
        # It logs each loss several times with tracebacks; we log it once, in words.
        library.setLevel(logging.CRITICAL + 1)
    connection = Connection(settings, password)
    try:
        await connection.start()
        yield connection
    finally:
        await connection.close()
