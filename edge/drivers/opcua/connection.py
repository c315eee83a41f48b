# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to an OPC UA server: session, browsing, reading, methods; `subscription.py` has what is reported.

A connection is used once. asyncua 2.1 repairs connections by itself only against some servers and its `connect` can
hang for ever, so that here each connection has a Client of its own, each answer a time limit, and silence an end.
NodeIds cross this border as text (`ns=6;i=13`), values as plain Python values, a value without Good status as None.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from edge.drivers.opcua.calls import Calls
from edge.drivers.opcua.errors import LinkError, LinkLost, NeedsPerson, ServiceRefused
from edge.drivers.opcua.leftover import Leftover
from edge.drivers.opcua.models.model import AlarmSource, Item
from edge.drivers.opcua.names import Names
from edge.drivers.opcua.security import SecuredClient
from edge.drivers.opcua.settings import OpcUaSettings
from edge.drivers.opcua.subscription import Listener, Subscription
from edge.drivers.opcua.texts import clean
from edge.drivers.opcua.translate import FOREIGN, LOST, exactly, is_too_much, link_error, reading_of, ua
from edge.drivers.opcua.values import Value

if TYPE_CHECKING:
    from edge.pki import Pki

T = TypeVar("T")

_PORT = 4840
_CONNECT_S = 2.0
_CLOSE_S = 2.0
_SESSION_TIMEOUT_MIN_S = 4.0
_CHUNK = 100
_AT_ONCE = 8
_BROWSE_PAGE = 250
_MOST_REFERENCES = 10_000
# Servers may make their pages smaller than we allow, or leave one empty.
_MOST_PAGES = 1_000
_HIERARCHICAL_REFERENCES = 33
_HAS_SUBTYPE = 45
_MAX_NODES_PER_READ = 11705
_MAX_ITEMS_PER_CALL = 11714

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reference:
    """A child of a node: its browse name without namespace, its NodeId and the NodeId of its type."""

    name: str
    node_id: str
    type_id: str


class Connection:
    """An activated session; made by `open_connection`."""

    def __init__(self, settings: OpcUaSettings, pki: Pki | None, leftover: Leftover, names: Names) -> None:
        self.namespaces: tuple[str, ...] = ()
        self._settings = settings
        self._leftover = leftover
        self._names = names
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._subscription: Subscription | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._supertypes: dict[str, str | None] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._read_chunk = _CHUNK
        self._items_chunk = _CHUNK
        client = SecuredClient(settings, pki)
        # A session lost with its connection blocks one of a control's few places until its time-out. We read at least
        # every 1.2 s and give a connection up after `watchdog_s`: one in use never reaches this.
        client.session_timeout = round(1000 * max(_SESSION_TIMEOUT_MIN_S, settings.watchdog_s + _CLOSE_S))
        self._client: Any = client
        self._calls = Calls(client, self._ask, self, settings.timeout_s)

    async def start(self) -> None:
        """Connect and open a session. Raises LinkError."""
        # Connecting and the first greeting cost a control nothing: a short limit finds a link that is back early. The
        # keys of a channel and a session may take a small control seconds.
        client = self._client
        where = urlsplit(self._settings.endpoint)
        await self._ask("looking up its name", self._names.look_up(where.hostname or "", where.port or _PORT))
        await self._ask("choosing an endpoint", client.prepare(), 2 * self._settings.timeout_s)
        await self._ask("connecting", self._greet(), min(_CONNECT_S, self._settings.timeout_s))
        await self._ask("opening a channel", self._open_channel(renew=False))
        await self._ask("ending the session that was lost", self._leftover.end(client))
        await self._ask("opening a session", client.create_session())
        self._leftover.keep(client)
        await self._ask("opening a session", client._activate_with_credentials())  # noqa: SLF001
        self._leftover.keep(client)
        self._renewal = asyncio.create_task(self._renew_channel(), name="opcua-channel")
        found = await self._ask("reading the namespaces", client.get_namespace_array())
        if not isinstance(found, list):
            raise LinkError(reason="the server's answer makes no sense (namespaces: it has none)")
        self.namespaces = tuple(clean(str(one)) for one in found)
        await self._read_limits()

    async def close(self) -> None:
        """Delete the subscription, close session and socket; bounded, whatever the server does."""
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
            # One turn for the cancelled tasks, one for the transport's own ending.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self._set_lost(LOST)

    async def browse(self, node_id: str) -> list[Reference]:
        """Return the hierarchical children of a node. Raises LinkError."""
        found = await self._references(node_id, _HIERARCHICAL_REFERENCES, ua.BrowseDirection.Forward)
        return [
            Reference(clean(one.BrowseName.Name or ""), one.NodeId.to_string(), one.TypeDefinition.to_string())
            for one in found
        ]

    async def supertype(self, type_id: str) -> str | None:
        """Return the type that `type_id` is derived from, or None. Raises LinkError."""
        if type_id not in self._supertypes:
            found = await self._references(type_id, _HAS_SUBTYPE, ua.BrowseDirection.Inverse)
            self._supertypes[type_id] = found[0].NodeId.to_string() if found else None
        return self._supertypes[type_id]

    async def read(self, node_ids: Sequence[str]) -> list[object]:
        """Read values in bulk, in order. Raises LinkError."""
        return [one.value for one in await self.read_values(node_ids)]

    async def read_values(self, node_ids: Sequence[str]) -> list[Value]:
        """Read values with their source timestamps in bulk, in order. Raises LinkError."""
        values: list[Value] = []
        while len(values) < len(node_ids):
            request = ua.ReadParameters()
            request.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.NodesToRead = [_to_read(one) for one in node_ids[len(values) : len(values) + self._read_chunk]]
            try:
                async with self._at_once:
                    found = await self._ask("reading", self._client.uaclient.read(request))
            except ServiceRefused as error:
                if not is_too_much(error, len(request.NodesToRead)):
                    raise
                self._read_chunk = len(request.NodesToRead) // 2
                continue
            values.extend(reading_of(one) for one in exactly(len(request.NodesToRead), found))
        return values

    async def subscribe(
        self, items: Mapping[str, Item], alarms: AlarmSource | None, listener: Listener
    ) -> dict[str, str]:
        """Report changes of `items` by their keys, and alarms, to `listener`; return what is refused and why.

        Raises LinkError.
        """
        self._subscription = subscription = Subscription(
            self._client, self._ask, self._settings, self._items_chunk, listener, self._set_lost
        )
        return await subscription.start(items, alarms)

    async def refresh_conditions(self) -> None:
        """Let the server report all its alarms anew. Raises LinkError."""
        if self._subscription is not None:
            await self._subscription.refresh_conditions()

    async def call(
        self, object_id: str, method_id: str, *arguments: object, seconds: float | None = None
    ) -> list[object]:
        """Call a method and return its output arguments; seconds is the time limit of the answer.

        An argument is a plain value, which becomes what the method declares, or a Variant. Raises CallRefused and
        LinkError.
        """
        await self._calls.prepare(method_id)
        return await self.finish_call(method_id, self.begin_call(object_id, method_id, *arguments), seconds)

    async def prepare_call(self, method_id: str) -> None:
        """Learn which arguments a method takes, for `begin_call`. Raises LinkError."""
        await self._calls.prepare(method_id)

    def begin_call(self, object_id: str, method_id: str, *arguments: object) -> Awaitable[Any]:
        """Write a call to the wire before returning; `finish_call` takes what is returned. Raises LinkError."""
        if self._lost.done():
            raise LinkLost(reason=self._lost.result())
        try:
            return self._calls.begin(object_id, method_id, arguments)
        except OSError as error:
            raise LinkLost(reason=LOST) from error

    async def finish_call(self, method_id: str, begun: Awaitable[Any], seconds: float | None = None) -> list[object]:
        """Return the output arguments of a call that was begun. Raises CallRefused, LinkError."""
        return await self._calls.finish(method_id, begun, seconds)

    async def watch(self) -> NoReturn:
        """Raise LinkError as soon as the connection is lost or has been silent too long."""
        subscription = self._subscription
        assert subscription is not None
        checked = 0.0
        while (silent_s := self._loop.time() - subscription.heard) < subscription.silence_limit_s:
            if silent_s >= subscription.check_after_s and checked < subscription.heard:
                checked = self._loop.time()
                await subscription.check()
            left_s = min(subscription.silence_limit_s - silent_s, subscription.check_after_s)
            await asyncio.wait({self._lost}, timeout=left_s)
            if self._lost.done():
                raise LinkLost(reason=self._lost.result())
        raise LinkLost(reason=f"the server has said nothing for {subscription.silence_limit_s:g} s")

    async def _greet(self) -> None:
        await self._client.connect_socket()
        protocol = self._client.uaclient.protocol
        reported = protocol.on_connection_lost

        def lost(error: Exception | None) -> None:
            reported(error)
            self._set_lost(LOST)

        protocol.on_connection_lost = lost
        await self._client.send_hello()

    async def _open_channel(self, *, renew: bool) -> None:
        await self._client.open_secure_channel(renew=renew)
        security = self._client.uaclient.protocol._connection  # noqa: SLF001
        # The library counts a token's life from the server's clock, which may be wrong by years.
        for token in (security.security_token, security.next_security_token):
            token.CreatedAt = datetime.now(UTC)

    async def _renew_channel(self) -> None:
        while True:
            # OPC 10000-4, 5.5.2: after three quarters of the lifetime that the server granted.
            await asyncio.sleep(0.75 * self._client.secure_channel_timeout / 1000)
            try:
                await self._ask("renewing the channel", self._open_channel(renew=True))
            except LinkError as error:
                self._set_lost(str(error.reason))
                return
            self._client.uaclient.revolve_security_token()

    async def _read_limits(self) -> None:
        limits = await self.read([f"i={_MAX_NODES_PER_READ}", f"i={_MAX_ITEMS_PER_CALL}"])
        self._read_chunk, self._items_chunk = (
            min(limit, _CHUNK) if isinstance(limit, int) and limit > 0 else _CHUNK for limit in limits
        )

    async def _references(self, node_id: str, kind: int, direction: Any) -> list[Any]:
        description = ua.BrowseDescription()
        description.NodeId = ua.NodeId.from_string(node_id)
        description.BrowseDirection = direction
        description.ReferenceTypeId = ua.NodeId(kind)
        description.IncludeSubtypes = True
        description.ResultMask = ua.BrowseResultMask.All
        request = ua.BrowseParameters()
        # Pages: a folder of thousands of nodes must not hold up the loop while it is decoded.
        request.RequestedMaxReferencesPerNode = _BROWSE_PAGE
        request.NodesToBrowse = [description]
        async with self._at_once:
            (result,) = exactly(1, await self._ask("browsing", self._client.uaclient.browse(request)))
            found = list(result.References or ())
            pages = 1
            while result.ContinuationPoint:
                if len(found) > _MOST_REFERENCES or pages >= _MOST_PAGES:
                    raise NeedsPerson(reason=f"the server goes on naming nodes below {clean(node_id)} without an end")
                pages += 1
                further = ua.BrowseNextParameters()
                further.ContinuationPoints = [result.ContinuationPoint]
                (result,) = exactly(1, await self._ask("browsing", self._client.uaclient.browse_next(further)))
                found.extend(result.References or ())
        return found

    async def _end(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        if self._subscription is not None:
            try:
                await self._subscription.end(seconds=0.0 if self._lost.done() else _CLOSE_S / 2)
            except FOREIGN as error:
                _log.debug("the subscription was not deleted: %r", error)
        try:
            await self._client.close_session()
        except FOREIGN as error:
            _log.debug("the session was not closed: %r", error)
        else:
            if not self._lost.done():
                self._leftover.forget()
        await self._client.disconnect()

    def _set_lost(self, reason: str) -> None:
        if not self._lost.done():
            self._lost.set_result(reason)

    async def _ask(self, what: str, answer: Awaitable[T], seconds: float | None = None) -> T:
        limit = self._settings.timeout_s if seconds is None else seconds
        try:
            async with asyncio.timeout(limit):
                return await answer
        except TimeoutError as error:
            raise LinkLost(reason=f"no answer in time ({what})") from error
        except FOREIGN as error:
            if isinstance(error, ConnectionError) and self.namespaces:
                raise LinkLost(reason=LOST) from error
            raise link_error(error, self._settings.endpoint) from error


def _to_read(node_id: str) -> Any:
    request = ua.ReadValueId()
    request.NodeId = ua.NodeId.from_string(node_id)
    request.AttributeId = ua.AttributeIds.Value
    return request


@asynccontextmanager
async def open_connection(
    settings: OpcUaSettings, pki: Pki | None, leftover: Leftover | None = None, names: Names | None = None
) -> AsyncIterator[Connection]:
    """Open a connection and close it without a trace on the server. Raises LinkError.

    `leftover` remembers the session of a connection that was lost for the next connection, which ends it; `names` the
    lookup of the host for which that one did not wait to the end.
    """
    library = logging.getLogger("asyncua")
    if library.level == logging.NOTSET:
        # It logs each loss several times with tracebacks; we log it once, in words.
        library.setLevel(logging.CRITICAL + 1)
    connection = Connection(settings, pki, leftover or Leftover(), names or Names())
    try:
        await connection.start()
        yield connection
    finally:
        await connection.close()
