# SPDX-License-Identifier: GPL-3.0-or-later
"""The address space of a control: variables by name, an object whose events are alarms."""

from __future__ import annotations

from typing import Any

from asyncua import Node, Server, ua
from asyncua.common.event_objects import AlarmCondition, RefreshEndEvent, RefreshStartEvent

_CONDITION_REFRESH = 3875

_VARIANTS: dict[type, Any] = {
    bool: ua.VariantType.Boolean,
    int: ua.VariantType.Int32,
    float: ua.VariantType.Double,
    str: ua.VariantType.String,
}
_DATA_TYPES: dict[type, int] = {
    bool: ua.ObjectIds.Boolean,
    int: ua.ObjectIds.Int32,
    float: ua.ObjectIds.Double,
    str: ua.ObjectIds.String,
}


class Space:
    """The nodes of one control in one server; `source` fires its alarms."""

    def __init__(self, server: Server, index: int) -> None:
        self.server = server
        self.index = index
        self.variables: dict[str, Node] = {}
        self.alarms: dict[str, str] = {}
        self.source: Node | None = None
        self.alarm_type: ua.NodeId = ua.NodeId(ua.ObjectIds.AlarmConditionType)
        self.code_field = "AlarmIdentifier"
        self._values: dict[str, object] = {}

    async def add_object(self, parent: Node, name: str, node_id: str, type_id: ua.NodeId | None = None) -> Node:
        """Add an object in the control's own namespace."""
        return await parent.add_object(
            ua.NodeId(node_id, self.index), ua.QualifiedName(name, self.index), type_id or ua.ObjectIds.BaseObjectType
        )

    async def add_variable(
        self, parent: Node, name: str, node_id: str, value: Any, key: str | None = None, namespace: int | None = None
    ) -> Node:
        """Add a variable that control lines know by `key`, or by its NodeId's text."""
        browse_name = ua.QualifiedName(name, self.index if namespace is None else namespace)
        variant = ua.Variant(value, _VARIANTS.get(type(value)))
        data_type = _DATA_TYPES.get(type(value))
        node = await parent.add_variable(
            ua.NodeId(node_id, self.index),
            browse_name,
            variant,
            datatype=None if data_type is None else ua.NodeId(data_type),
        )
        self.variables[key or node_id] = node
        self._values[key or node_id] = value
        return node

    def value(self, key: str) -> object:
        """Return what a variable was set to."""
        return self._values[key]

    async def set(self, key: str, value: Any, *, good: bool = True) -> None:
        """Set a variable; its type stays. Raises KeyError, TypeError."""
        kind = type(self._values[key])
        converted = float(value) if kind is float and isinstance(value, int) else value
        if type(converted) is not kind:
            raise TypeError(f"{key} is a {kind.__name__}")
        self._values[key] = converted
        data = ua.DataValue(ua.Variant(converted, _VARIANTS[kind]))
        if not good:
            data = ua.DataValue(ua.Variant(None), ua.StatusCode(ua.StatusCodes.BadCommunicationError))
        await self.server.write_attribute_value(self.variables[key].nodeid, data)

    async def allow_events(self, source: Node) -> None:
        """Let `source` be subscribed to for alarms, and answer ConditionRefresh."""
        self.source = source
        await source.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        self.server.link_method(self.server.get_node(ua.NodeId(_CONDITION_REFRESH)), self._refresh)

    async def raise_alarm(self, code: str, text: str, *, active: bool, subscription_id: int | None = None) -> None:
        """Fire an alarm's event, or that of its end."""
        if active:
            self.alarms[code] = text
        else:
            self.alarms.pop(code, None)
        event = AlarmCondition(message=text, severity=1000)
        event.EventType = self.alarm_type
        event.add_property(self.code_field, code, ua.VariantType.String)
        event.add_property("NodeId", ua.NodeId(f"Alarm/{code}", self.index), ua.VariantType.NodeId)
        # A Sinumerik calls every condition so: its number stands in AlarmIdentifier.
        event.ConditionName = "SystemCondition"
        event.Retain = active
        setattr(event, "ActiveState/Id", active)
        generator = await self.server.get_event_generator(event, self.source)
        await generator.trigger(message=text, subscription_id=subscription_id)

    async def _refresh(self, _parent: ua.NodeId, subscription: ua.Variant) -> list[ua.Variant]:
        await self._frame(RefreshStartEvent(), subscription.Value)
        for code, text in list(self.alarms.items()):
            await self.raise_alarm(code, text, active=True, subscription_id=subscription.Value)
        await self._frame(RefreshEndEvent(), subscription.Value)
        return []

    async def _frame(self, event: Any, subscription_id: int) -> None:
        generator = await self.server.get_event_generator(event, self.source)
        await generator.trigger(subscription_id=subscription_id)
