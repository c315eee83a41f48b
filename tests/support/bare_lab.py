# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory with the rooms that a test of the HTTP interfaces is about, and nothing in the others."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from edge.services.bus import EventBus
from edge.services.lab import Lab, SyncStatus
from edge.services.operators import OperatorDesk
from edge.services.supervisor import MachineSupervisor


def bare_lab(machines: Mapping[str, MachineSupervisor], desk: OperatorDesk, bus: EventBus, **rooms: Any) -> Lab:
    """Return a laboratory that is offline and speaks Lithuanian; `nothing` stands in all rooms that are not named."""
    nothing = rooms.pop("nothing", SimpleNamespace())
    each: dict[str, Any] = {
        **{key: {} for key in ("hands", "zeros", "profiles", "transfers")},
        **dict.fromkeys(("opening", "recordings", "jobs", "programs", "visits", "survey", "scenes", "twins"), nothing),
        **dict.fromkeys(("files", "observation"), nothing),
        "sync_status": lambda: SyncStatus(connected=False, waiting={}),
    }
    names = {"lab_id": "im-01", "name": "InfoMobil", "language": "lt"}
    return Lab(**names, machines=machines, desk=desk, bus=bus, **{**each, **rooms})
