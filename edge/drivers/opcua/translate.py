# SPDX-License-Identifier: GPL-3.0-or-later
"""Between asyncua's objects and ours: values, and what went wrong, in words."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncua
import asyncua.ua.uaerrors

from edge.drivers.opcua.errors import CredentialsRefused, LinkError, LinkLost, ServerBusy, ServiceRefused
from edge.drivers.opcua.texts import clean
from edge.drivers.opcua.values import Value

# asyncua's own types cannot be written down strictly: NodeIds and status codes are NewTypes that it does not keep to.
ua: Any = asyncua.ua

LOST = "the connection was lost"

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
_REFUSED_USER = frozenset(
    ("BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid", "BadUserSignatureInvalid")
)
_BUSY = frozenset(("BadTooManySessions", "BadMaxConnectionsReached", "BadTcpServerTooBusy", "BadTooManySubscriptions"))
# What a server says that restarts, or that has lost track of us: a new connection puts it right.
_AWAY = frozenset(
    (
        "BadSessionIdInvalid",
        "BadSessionClosed",
        "BadSessionNotActivated",
        "BadSubscriptionIdInvalid",
        "BadNoSubscription",
        "BadSecureChannelIdInvalid",
        "BadSecureChannelClosed",
        "BadTcpSecureChannelUnknown",
        "BadConnectionClosed",
        "BadCommunicationError",
        "BadShutdown",
        "BadServerHalted",
        "BadTimeout",
    )
)
# Some servers have limits that they do not tell.
_TOO_MUCH = frozenset(
    ("BadTooManyOperations", "BadResponseTooLarge", "BadRequestTooLarge", "BadEncodingLimitsExceeded")
)
_STATUS_WORDS = {
    "BadTooManySessions": "the server has no free session",
    "BadMaxConnectionsReached": "the server has no free session",
    "BadTcpServerTooBusy": "the server has no free connection",
    "BadTooManySubscriptions": "the server has no free subscription",
    "BadSessionIdInvalid": "the server has forgotten our session",
    "BadSessionClosed": "the server has closed our session",
    "BadSubscriptionIdInvalid": "the server has forgotten our subscription",
    "BadNoSubscription": "the server has forgotten our subscription",
    "BadTcpEndpointUrlInvalid": "the server does not know this endpoint: check its path",
    "BadSecurityPolicyRejected": "the server accepts secured connections only",
    "BadSecurityModeRejected": "the server accepts secured connections only",
    "BadServerHalted": "the server is stopping or starting",
    "BadShutdown": LOST,
    "BadTimeout": "the server has ended our subscription",
}
_OVERFLOW = 0x480  # info type DataValue with the overflow bit (OPC 10000-4, 7.39.1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def status_words(name: str) -> str:
    """Say in a person's words what a status code means."""
    return _STATUS_WORDS.get(name, f"the server answered {name}")


def link_error(error: BaseException, endpoint: str) -> LinkError:
    """Return, in a person's words, why `error` ended or prevented a connection, and of which kind that is."""
    where = urlsplit(endpoint).netloc
    match error:
        case socket.gaierror():
            return LinkLost(reason=f"the host name in {where} is not known")
        case ConnectionRefusedError():
            return LinkLost(reason=f"nothing listens at {where}")
        case ConnectionError():
            return LinkLost(reason=f"{where} closed the connection: is it an OPC UA server?")
        case OSError():
            return LinkLost(reason=f"{where} cannot be reached ({error.strerror or error})")
        case asyncua.ua.uaerrors.UaStatusCodeError():
            return _refusal(type(error).__name__)
        case _ if str(error).startswith("No matching endpoints"):
            return LinkError(reason="the server accepts secured connections only")
        case _:
            told = clean(f"{type(error).__name__}: {error}")
            return LinkError(reason=f"the server's answer makes no sense ({told})")


def _refusal(name: str) -> LinkError:
    if name in _REFUSED_USER:
        return CredentialsRefused(reason="the server refuses this user and password")
    if name in _BUSY:
        return ServerBusy(reason=status_words(name))
    if name in _AWAY:
        return LinkLost(reason=status_words(name))
    return ServiceRefused(reason=status_words(name), status=name)


def exactly(count: int, answers: Sequence[Any] | None) -> list[Any]:
    """Return the answers of a server to `count` questions. Raises LinkError where it answered others."""
    found = list(answers or ())
    if len(found) != count:
        raise LinkError(reason=f"the server's answer makes no sense (answers: {len(found)} to {count} questions)")
    return found


def is_too_much(error: ServiceRefused, asked: int) -> bool:
    """Return whether a server refused a request because it asked for `asked` things at once, and fewer may do."""
    return error.status in _TOO_MUCH and asked > 1


def plain(value: Any) -> object:
    """Return texts as clean str, NodeIds as exact str, everything else as it is."""
    if isinstance(value, ua.LocalizedText):
        value = value.Text
    if isinstance(value, ua.NodeId):
        return value.to_string()  # to ask with: the server's own bytes
    return clean(value) if isinstance(value, str) else value


def reading_of(data: Any) -> Value:
    """Return the value of a DataValue, None without Good status, and when its source says that it came to be."""
    if data is None:
        return Value(None)
    status = data.StatusCode
    overflowed = status is not None and status.value & _OVERFLOW == _OVERFLOW
    value = None
    if data.Value is not None and (status is None or status.is_good()):
        value = plain(data.Value.Value)
        value = clean(value) if isinstance(value, str) else value
    return Value(value, _unix_ns(data.SourceTimestamp), overflowed, _unix_ns(data.ServerTimestamp))


def _unix_ns(stamp: datetime | None) -> int | None:
    if stamp is None:
        return None
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    return (stamp - _EPOCH) // _MICROSECOND * 1000
