# SPDX-License-Identifier: GPL-3.0-or-later
"""asyncua's words without its type hints, which ask for Int32 and String where it takes int and str."""

from __future__ import annotations

from typing import Any

import asyncua
from asyncua.server.server import Server
from asyncua.ua.uatypes import DataValue, NodeId, QualifiedName, Variant

__all__ = ["DataValue", "NodeId", "QualifiedName", "Server", "Variant", "node_id", "status", "ua"]

ua: Any = asyncua.ua


def node_id(identifier: int | str, namespace: int = 0) -> NodeId:
    """Return the NodeId of a number or a text."""
    made: NodeId = ua.NodeId(identifier, namespace)
    return made


def status(code: str) -> Any:
    """Return the status code of a name of OPC 10000-4, 7.38.2, as "BadNotConnected"."""
    return ua.StatusCode(getattr(ua.StatusCodes, code))
