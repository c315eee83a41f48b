# SPDX-License-Identifier: GPL-3.0-or-later
"""Between asyncua's objects and ours: values, alarms, requests, and what went wrong, in words."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncua
import asyncua.ua.uaerrors

# asyncua's own types cannot be written down strictly: NodeIds and status codes are NewTypes that it does not keep to.
ua: Any = asyncua.ua

COUNTER_QUEUE = 100
CONDITION_TYPE = 2782
_BASE_EVENT_TYPE = 2041
_ALARM_CONDITION_TYPE = 2915
_ALERT_TYPE = 39

# A server that answers nonsense makes asyncua's decoder fail in any of these ways.
FOREIGN = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    struct.error,
)
REFUSED_USER = frozenset(
    ("BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid", "BadUserSignatureInvalid")
)
_STATUS_WORDS = {
    "BadTooManySessions": "the server has no free session",
    "BadMaxConnectionsReached": "the server has no free session",
    "BadSessionIdInvalid": "the server has forgotten our session",
    "BadSessionClosed": "the server has closed our session",
    "BadSubscriptionIdInvalid": "the server has forgotten our subscription",
    "BadNoSubscription": "the server has forgotten our subscription",
    "BadTcpEndpointUrlInvalid": "the server does not know this endpoint: check its path",
    "BadSecurityPolicyRejected": "the server accepts secured connections only",
    "BadShutdown": "the connection was lost",
    "BadTimeout": "the server has ended our subscription",
}


@dataclass(frozen=True, slots=True)
class ConditionEvent:
    """An alarm that came or went; severity is 1 to 1000 (OPC 10000-5)."""

    condition: str
    code: str
    text: str
    severity: int
    active: bool


def status_words(name: str) -> str:
    """Say in a person's words what a status code means."""
    return _STATUS_WORDS.get(name, f"the server answered {name}")


def reason_of(error: BaseException, endpoint: str) -> str:
    """Say in a person's words why `error` ended or prevented a connection."""
    where = urlsplit(endpoint).netloc
    match error:
        case socket.gaierror():
            return f"the host name in {where} is not known"
        case ConnectionRefusedError():
            return f"nothing listens at {where}"
        case ConnectionError():
            return f"{where} closed the connection: is it an OPC UA server?"
        case OSError():
            return f"{where} cannot be reached ({error.strerror or error})"
        case asyncua.ua.uaerrors.UaStatusCodeError():
            name = type(error).__name__
            return status_words(name)
        case _ if str(error).startswith("No matching endpoints"):
            return "the server accepts secured connections only"
        case _:
            return f"the server's answer makes no sense ({type(error).__name__}: {error})"


def plain(value: Any) -> object:
    """Return texts and NodeIds as str, everything else as it is."""
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, ua.NodeId):
        return value.to_string()
    return value


def value_of(data: Any) -> object:
    """Return the value of a DataValue, None without Good status."""
    if data is None or data.Value is None:
        return None
    if data.StatusCode is not None and not data.StatusCode.is_good():
        return None
    return plain(data.Value.Value)


def item_request(handle: int, node_id: str, attribute: Any) -> Any:
    """Return the request to monitor an attribute, reported under `handle`."""
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor.NodeId = ua.NodeId.from_string(node_id)
    request.ItemToMonitor.AttributeId = attribute
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters.ClientHandle = handle
    request.RequestedParameters.DiscardOldest = True
    return request


def event_request(handle: int, node_id: str, tool_namespace: int) -> Any:
    """Return the request to report alarms of a node with the fields that `condition_event` reads."""
    base = ua.NodeId(_BASE_EVENT_TYPE)
    condition = ua.NodeId(CONDITION_TYPE)
    alarm = ua.NodeId(_ALARM_CONDITION_TYPE)
    alert = ua.NodeId(_ALERT_TYPE, tool_namespace)

    def select(type_id: Any, path: Sequence[Any], attribute: Any) -> Any:
        return ua.SimpleAttributeOperand(TypeDefinitionId=type_id, BrowsePath=list(path), AttributeId=attribute)

    def name(text: str, namespace: int = 0) -> Any:
        return ua.QualifiedName(text, namespace)

    request = item_request(handle, node_id, ua.AttributeIds.EventNotifier)
    request.RequestedParameters.QueueSize = COUNTER_QUEUE
    request.RequestedParameters.Filter = ua.EventFilter(
        SelectClauses=[
            select(condition, (), ua.AttributeIds.NodeId),
            select(base, (name("Message"),), ua.AttributeIds.Value),
            select(base, (name("Severity"),), ua.AttributeIds.Value),
            select(condition, (name("Retain"),), ua.AttributeIds.Value),
            select(alarm, (name("ActiveState"), name("Id")), ua.AttributeIds.Value),
            select(alert, (name("ErrorCode", tool_namespace),), ua.AttributeIds.Value),
        ]
    )
    return request


def condition_event(fields: Sequence[Any]) -> ConditionEvent | None:
    """Return the alarm that the fields of an event tell of, None where they tell of none."""
    condition, text, severity, retain, active, code = (plain(one.Value) for one in fields)
    if condition is None:
        return None  # a plain message, or the frame around a condition refresh
    return ConditionEvent(
        condition=str(condition),
        code=str(code or ""),
        text=str(text or ""),
        severity=int(severity) if isinstance(severity, int) else 0,
        active=bool(retain if active is None else active),
    )
