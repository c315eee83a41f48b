# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of conditions: which fields we ask a server for, and what they say (OPC 10000-9, 5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.drivers.opcua.alarms import ConditionEvent, Frame
from edge.drivers.opcua.models.model import AlarmSource
from edge.drivers.opcua.texts import clean
from edge.drivers.opcua.translate import plain, ua

CONDITION_TYPE = 2782
CONDITION_REFRESH = 3875
_BASE_EVENT_TYPE = 2041
_ALARM_CONDITION_TYPE = 2915
_FRAMES = {
    "i=2787": Frame.REFRESH_BEGINS,
    "i=2788": Frame.REFRESH_ENDS,
    "i=2789": Frame.REFRESH_NEEDED,
    "i=3035": Frame.REFRESH_NEEDED,  # EventQueueOverflowEventType: some were lost
}
_FIELDS = 10


def event_filter(source: AlarmSource) -> Any:
    """Return the filter whose fields `condition_event` reads."""
    base = ua.NodeId(_BASE_EVENT_TYPE)
    condition = ua.NodeId(CONDITION_TYPE)
    alarm = ua.NodeId(_ALARM_CONDITION_TYPE)

    def value(type_id: Any, *path: str) -> Any:
        names = [ua.QualifiedName(one) for one in path]
        return ua.SimpleAttributeOperand(TypeDefinitionId=type_id, BrowsePath=names, AttributeId=ua.AttributeIds.Value)

    clauses = [
        value(base, "EventType"),
        ua.SimpleAttributeOperand(TypeDefinitionId=condition, BrowsePath=[], AttributeId=ua.AttributeIds.NodeId),
        value(base, "Message"),
        value(base, "Severity"),
        value(condition, "Retain"),
        value(alarm, "ActiveState", "Id"),
        value(condition, "BranchId"),
        value(condition, "ConditionName"),
        value(base, "SourceName"),
    ]
    if source.code_type is not None:
        path = [ua.QualifiedName(name, namespace) for namespace, name in source.code_path]
        code_type = ua.NodeId.from_string(source.code_type)
        operand = ua.SimpleAttributeOperand(
            TypeDefinitionId=code_type, BrowsePath=path, AttributeId=ua.AttributeIds.Value
        )
        clauses.append(operand)
    return ua.EventFilter(SelectClauses=clauses)


def condition_event(fields: Sequence[Any]) -> ConditionEvent | None:
    """Return the alarm that the fields of an event tell of, None where they tell of none.

    A server may leave any field empty, or fill it with something else.
    """
    values = [plain(getattr(one, "Value", None)) for one in fields or ()]
    values += [None] * (_FIELDS - len(values))
    kind, condition, text, severity, retain, active, branch, name, source, code = values[:_FIELDS]
    if (frame := _FRAMES.get(str(kind))) is not None:
        return ConditionEvent("", "", "", 0, active=False, frame=frame)
    if branch not in (None, "", "i=0"):
        return None  # a former state that nobody has acknowledged: what is now, the condition itself says
    if condition is None and not isinstance(retain, bool):
        return None  # a plain message
    return ConditionEvent(
        condition=f"{source}/{name}/{code}" if condition in (None, "i=0") else str(condition),
        code=clean(str(name or "") if code is None else str(code)),
        text=clean(str(text or "")),
        severity=severity if isinstance(severity, int) else 0,
        # ActiveState where the condition has one: conditions without it are of interest or not.
        active=bool(retain if active is None else active),
    )
