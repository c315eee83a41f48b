# SPDX-License-Identifier: GPL-3.0-or-later
"""asyncua's services with what they leave open shut: nobody outside writes, calls, or asks for too much."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from asyncua.common.methods import uamethod
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AttributeService, MethodService
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.subscription_service import SubscriptionService
from asyncua.server.user_managers import UserManager

from edge.opcua_server.sessions import REFRESH, Session
from edge.opcua_server.stack import NodeId, node_id, status, ua

_ADMIN = User(role=UserRole.Admin)
_NOBODY = User(role=UserRole.Anonymous)
_SERVER = node_id(ua.ObjectIds.Server)
_SUBSCRIPTIONS_EACH = 4
_QUEUE = 1_000
_TOKEN_BYTES = 32
_ACTIVATION_S = 10.0
# A session outlives its connection for so long; clients that reconnect without a word must not use all of them up.
_SESSION_MS = 60_000
_REFRESH_SEVERITY = 1
_PASSWORD_ENCRYPTIONS = (None, "", "http://www.w3.org/2001/04/xmlenc#rsa-oaep")
"""As the endpoints say it: not at all within an encrypted channel, else by the offered policies (OPC 10000-7).

asyncua would decrypt PKCS #1 v1.5 as well, and whoever may ask often enough reads by the answers what was encrypted.
"""


class _Attributes(AttributeService):
    """Lets only the server itself write."""

    async def write(self, params: Any, user: User = _ADMIN) -> list[Any]:
        """Write for the server, refuse for everybody else."""
        if user.role is UserRole.Admin:
            return list(await super().write(params, user))
        return [status("BadNotWritable") for _ in params.NodesToWrite]


class _Methods(MethodService):
    """Lets clients call for the alarms that stand, and for nothing else."""

    async def call(self, methods: list[Any]) -> list[Any]:
        """Answer every call."""
        return [
            (await super(_Methods, self).call([one]))[0]
            if one.MethodId in REFRESH
            else ua.CallMethodResult(StatusCode=status("BadUserAccessDenied"))
            for one in methods
        ]


class Subscriptions(SubscriptionService):
    """Subscriptions with a lower bound of their period, and events that reach whoever listens further up as well."""

    publishing_min_ms = 100.0

    def __init__(self, aspace: Any, iserver: InternalServer) -> None:
        super().__init__(aspace, iserver)
        self._standing: dict[NodeId, tuple[Any, Sequence[NodeId]]] = {}

    async def create_subscription(self, params: Any, *arguments: Any, **more: Any) -> Any:
        """Create a subscription that publishes no faster than is good for the computer (OPC 10000-4, 5.14.2)."""
        params.RequestedPublishingInterval = max(params.RequestedPublishingInterval, self.publishing_min_ms)
        return await super().create_subscription(params, *arguments, **more)

    async def tell(self, event: Any, notifiers: Sequence[NodeId]) -> None:
        """Send an event of a condition to whoever subscribed to one of `notifiers`; keep it while it is retained."""
        if event.Retain:
            self._standing[event.NodeId] = (event, notifiers)
        else:
            self._standing.pop(event.NodeId, None)
        for subscription in list(self.subscriptions.values()):
            await self._send(subscription, event, notifiers)

    async def announce(self, event: Any) -> None:
        """Send an event of the server itself."""
        for subscription in list(self.subscriptions.values()):
            await self._send(subscription, event, [_SERVER])

    @uamethod
    async def condition_refresh(self, parent: Any, subscription_id: int, item: int | None = None) -> Any:
        """Send the standing alarms once more to one subscription (OPC 10000-9, 5.5.7)."""
        subscription = self.subscriptions.get(subscription_id)
        if subscription is None:
            return status("BadSubscriptionIdInvalid")
        everybody = sorted({_SERVER, *(one for _, notifiers in self._standing.values() for one in notifiers)}, key=str)
        await self._mark(subscription, ua.ObjectIds.RefreshStartEventType, everybody)
        for event, notifiers in list(self._standing.values()):
            await self._send(subscription, event, notifiers, item)
        await self._mark(subscription, ua.ObjectIds.RefreshEndEventType, everybody)
        return None

    async def _mark(self, subscription: Any, kind: int, notifiers: Sequence[NodeId]) -> None:
        generator = self.standard_events[kind]
        for notifier in notifiers:
            generator.event.emitting_node = notifier
            await generator.trigger(subscription_id=subscription.data.SubscriptionId)

    @staticmethod
    async def _send(subscription: Any, event: Any, notifiers: Sequence[NodeId], item: int | None = None) -> None:
        for notifier in notifiers:
            event.emitting_node = notifier
            await subscription.monitored_item_srv.trigger_event(event, item)


class ReadOnlyServer(InternalServer):
    """The services behind every connection, with limits for a small computer."""

    def __init__(self, users: UserManager, *, sessions: int, publishing_min_ms: int) -> None:
        super().__init__(user_manager=users)
        self.method_service.stop()
        self.attribute_service = _Attributes(self.aspace)
        self.method_service = _Methods(self.aspace)
        subscriptions = Subscriptions(self.aspace, self)
        subscriptions.publishing_min_ms = float(publishing_min_ms)
        self.subscriptions = subscriptions
        self.subscription_service = subscriptions
        self.isession.subscription_service = subscriptions
        self.allow_remote_admin = False
        self.bind_condition_methods = _REFRESH_SEVERITY
        self.max_connections = 2 * sessions
        self.max_subscriptions = _SUBSCRIPTIONS_EACH * sessions
        self.max_monitored_item_queue_size = _QUEUE
        self.max_pending_activation_seconds = _ACTIVATION_S
        self.max_session_timeout_ms = _SESSION_MS
        InternalSession.max_connections = sessions

    def create_session(self, name: str, user: User = _NOBODY, external: bool = False) -> InternalSession:  # noqa: FBT001, FBT002
        """Create a session with a token that nobody guesses: who has it takes the session over (OPC 10000-4, 5.7.2)."""
        session = Session(self, self.aspace, self.subscription_service, name, user=user, external=external)
        if external:
            self.unregister_external_session(session)
            session.auth_token = ua.NodeId(secrets.token_bytes(_TOKEN_BYTES), 0, ua.NodeIdType.ByteString)
            self.register_external_session(session)
        return session

    def decrypt_user_token(self, isession: Any, token: Any) -> tuple[str, str]:
        """Return a user's name and password. Raises ServiceError for an encryption that no endpoint asks for."""
        if token.EncryptionAlgorithm not in _PASSWORD_ENCRYPTIONS:
            raise ServiceError(ua.StatusCodes.BadIdentityTokenRejected)
        return super().decrypt_user_token(isession, token)

    @property
    def clients(self) -> int:
        """Return how many sessions are active."""
        return sum(session.is_activated() for session in self._external_sessions.values())
