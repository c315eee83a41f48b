# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of the server. A machine's alarms are conditions of AlertType (OPC 40501-1, 9.2) at its messages.

Nobody acknowledges them here: an alarm ends at the machine, or at the operator's console.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from asyncua.common.event_objects import AlarmCondition, GeneralModelChangeEvent

from edge.opcua_server.facts import AlarmFacts
from edge.opcua_server.machine_tool import MachineTool
from edge.opcua_server.readonly import Subscriptions
from edge.opcua_server.stack import NodeId, node_id, ua

_ALERT_TYPE = 39
_SEVERITY = 800
_REFERENCES_CHANGED = 4 | 8
"""ReferenceAdded and ReferenceDeleted (OPC 10000-3, 9.32.7)."""
_condition: Any = AlarmCondition
_model_change: Any = GeneralModelChangeEvent
_SERVER = node_id(ua.ObjectIds.Server)


class Alarms:
    """The alarms of one machine: tells what came and what went."""

    def __init__(self, machine: MachineTool, subscriptions: Subscriptions, tool_namespace: int) -> None:
        self._machine = machine
        self._subscriptions = subscriptions
        self._alert_type = node_id(_ALERT_TYPE, tool_namespace)
        self._standing: set[AlarmFacts] = set()
        self._notifiers: tuple[NodeId, ...] = (machine.node("Notification/Messages"), machine.node(), _SERVER)

    async def show(self, alarms: tuple[AlarmFacts, ...], *, heard: bool) -> None:
        """Tell subscribers what changed; of a machine that is not heard nobody knows that an alarm has gone."""
        now = set(alarms) if heard else self._standing | set(alarms)
        for alarm in sorted(self._standing - now, key=str):
            await self._tell(alarm, active=False)
        for alarm in sorted(now - self._standing, key=str):
            await self._tell(alarm, active=True)
        self._standing = now

    async def _tell(self, alarm: AlarmFacts, *, active: bool) -> None:
        await self._subscriptions.tell(self._event(alarm, active=active), self._notifiers)

    def _event(self, alarm: AlarmFacts, *, active: bool) -> Any:
        plate, now = self._machine.plate, datetime.now(UTC)
        source = self._machine.node()
        event = _condition(message=alarm.text, severity=_SEVERITY if active else 1)
        event.EventType = self._alert_type
        event.EventId = uuid.uuid4().bytes
        event.Time = event.ReceiveTime = now
        event.SourceNode, event.SourceName = source, plate.name
        event.InputNode = ua.NodeId()
        event.BranchId = ua.NodeId()
        event.ConditionName = alarm.code
        event.ConditionClassId = node_id(ua.ObjectIds.SystemConditionClassType)
        event.ConditionClassName = ua.LocalizedText("SystemConditionClassType")
        event.Retain = active
        event.Quality = ua.StatusCode(0)
        event.LastSeverity = _SEVERITY
        event.Comment = ua.LocalizedText("")
        event.ClientUserId = ""
        event.SuppressedOrShelved = False
        states = {"EnabledState": ("Enabled", True), "ActiveState": ("Active" if active else "Inactive", active)}
        for name, (text, value) in {**states, "AckedState": ("Acknowledged", True)}.items():
            setattr(event, name, ua.LocalizedText(text))
            setattr(event, f"{name}/Id", value)
        event.add_property("ActiveState/TransitionTime", now, ua.VariantType.DateTime)
        event.add_property("ErrorCode", alarm.code, ua.VariantType.String)
        condition = node_id(f"{plate.machine_id}/Notification/Messages/{alarm.code}", source.NamespaceIndex)
        event.add_property("NodeId", condition, ua.VariantType.NodeId)
        return event


def plan_changed(plan: NodeId) -> Any:
    """Return the event that says that jobs came to a production plan or left it (OPC 10000-3, 9.32.7)."""
    event = _model_change(message="the production plan has changed")
    event.EventId = uuid.uuid4().bytes
    event.Time = event.ReceiveTime = datetime.now(UTC)
    event.SourceNode, event.SourceName = _SERVER, "Server"
    change = ua.ModelChangeStructureDataType(Affected=plan, Verb=_REFERENCES_CHANGED)
    event.add_property("Changes", [change], ua.VariantType.ExtensionObject)
    return event
