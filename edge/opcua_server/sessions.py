# SPDX-License-Identifier: GPL-3.0-or-later
"""One client's session: it reaches its own subscriptions only, and asks for no more than so many nodes at once.

asyncua finds a subscription by its number alone, whoever asks, and the numbers count up; and it does whatever fits into
a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession

from edge.opcua_server.stack import node_id, status, ua

REFRESH = (
    node_id(ua.ObjectIds.ConditionType_ConditionRefresh),
    node_id(ua.ObjectIds.ConditionType_ConditionRefresh2),
)
LIMITS = {
    "MaxNodesPerRead": 1_000,
    "MaxNodesPerBrowse": 500,
    "MaxNodesPerTranslateBrowsePathsToNodeIds": 500,
    "MaxNodesPerMethodCall": 10,
    "MaxMonitoredItemsPerCall": 1_000,
}
"""How much is done at one request, by the name of the node that tells clients (OPC 10000-5, 6.3.11).

Each request is answered in one piece, while the others wait: a thousand values take some ten milliseconds.
"""


class Session(InternalSession):
    """A session whose subscriptions nobody else reaches (OPC 10000-4, 5.14.1)."""

    @property
    def own(self) -> frozenset[int]:
        """Return the numbers of the session's subscriptions."""
        made = self.subscription_service.subscriptions
        return frozenset(number for number, one in made.items() if one.session_id == self.session_id)

    async def read(self, params: Any) -> list[Any]:
        """Read attributes. Raises ServiceError, as all below, for more at once than LIMITS says."""
        _bound("MaxNodesPerRead", params.NodesToRead)
        return list(await super().read(params))

    async def browse(self, params: Any) -> list[Any]:
        """Return references."""
        _bound("MaxNodesPerBrowse", params.NodesToBrowse)
        return list(await super().browse(params))

    async def translate_browsepaths_to_nodeids(self, params: list[Any]) -> list[Any]:
        """Return where paths lead."""
        _bound("MaxNodesPerTranslateBrowsePathsToNodeIds", params)
        return list(await super().translate_browsepaths_to_nodeids(params))

    def modify_subscription(self, params: Any) -> Any:
        """Modify a subscription. Raises ServiceError, as all below, for one that is not the session's."""
        self._require(params.SubscriptionId)
        return super().modify_subscription(params)

    async def create_monitored_items(self, params: Any) -> list[Any]:
        """Watch nodes."""
        self._require(params.SubscriptionId)
        _bound("MaxMonitoredItemsPerCall", params.ItemsToCreate)
        return list(await super().create_monitored_items(params))

    async def modify_monitored_items(self, params: Any) -> list[Any]:
        """Watch otherwise, with queues no longer than those of new items."""
        self._require(params.SubscriptionId)
        _bound("MaxMonitoredItemsPerCall", params.ItemsToModify)
        most = self.iserver.max_monitored_item_queue_size
        for one in params.ItemsToModify:
            one.RequestedParameters.QueueSize = min(one.RequestedParameters.QueueSize or most, most)
        return list(await super().modify_monitored_items(params))

    async def delete_monitored_items(self, params: Any) -> list[Any]:
        """Watch no more."""
        self._require(params.SubscriptionId)
        _bound("MaxMonitoredItemsPerCall", params.MonitoredItemIds)
        return list(await super().delete_monitored_items(params))

    async def set_monitoring_mode(self, params: Any) -> list[Any]:
        """Turn reporting of items on or off."""
        self._require(params.SubscriptionId)
        _bound("MaxMonitoredItemsPerCall", params.MonitoredItemIds)
        return list(await super().set_monitoring_mode(params))

    def republish(self, params: Any) -> Any:
        """Send what was sent once more."""
        self._require(params.SubscriptionId)
        return super().republish(params)

    async def set_publishing_mode(self, params: Any) -> list[Any]:
        """Turn publishing on or off for each subscription; those of others are refused one by one."""

        async def switch(ids: list[int]) -> list[Any]:
            asked = ua.SetPublishingModeParameters(params.PublishingEnabled, ids)
            return list(await super(Session, self).set_publishing_mode(asked))

        return await self._each(params.SubscriptionIds, switch)

    async def delete_subscriptions(self, ids: list[int]) -> list[Any]:
        """End subscriptions; those of others are refused one by one."""
        return await self._each(ids, super().delete_subscriptions)

    def publish(self, acks: Iterable[Any] | None = None) -> tuple[int, list[Any]]:
        """Take what was received as received; return how many subscriptions there are, and what became of each.

        Raises ServiceError where there are none.
        """
        own, asked = self.own, list(acks or ())
        if not own:
            raise ServiceError(ua.StatusCodes.BadNoSubscription)
        _, taken = super().publish([one for one in asked if one.SubscriptionId in own])
        results = iter(taken)
        return len(own), [next(results) if one.SubscriptionId in own else _not_there() for one in asked]

    async def call(self, params: list[Any]) -> list[Any]:
        """Call methods; the alarms that stand are told again to subscriptions of this session only."""
        _bound("MaxNodesPerMethodCall", params)
        return [
            ua.CallMethodResult(StatusCode=_not_there())
            if one.MethodId in REFRESH and not self._is_refreshed_by(one)
            else (await super(Session, self).call([one]))[0]
            for one in params
        ]

    def _is_refreshed_by(self, call: Any) -> bool:
        return bool(call.InputArguments) and call.InputArguments[0].Value in self.own

    def _require(self, subscription: int) -> None:
        if subscription not in self.own:
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)

    async def _each(self, ids: Sequence[int], act: Callable[[list[int]], Any]) -> list[Any]:
        """Act for those of `ids` that are the session's; return a status for each, in their order."""
        own = self.own
        done = iter(await act([one for one in ids if one in own]))
        return [next(done) if one in own else _not_there() for one in ids]


def _bound(limit: str, asked: Sequence[Any] | None) -> None:
    if len(asked or ()) > LIMITS[limit]:
        raise ServiceError(ua.StatusCodes.BadTooManyOperations)


def _not_there() -> Any:
    return status("BadSubscriptionIdInvalid")
