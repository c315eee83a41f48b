# SPDX-License-Identifier: GPL-3.0-or-later
"""Typical facts, and a clock that stands still, for tests of the store and the relay."""

from __future__ import annotations

from edge.domain.events import Event, EventType, Scalar

WALL_NS = 1_900_000_000_000_000_000


class FixedClock:
    """A Clock that tests turn by hand."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def boot_ns(self) -> int:
        """Return the time as set."""
        return self.now_ns

    def wall_ns(self) -> int:
        """Return the raw wall clock: years away."""
        return WALL_NS + self.now_ns

    def boot_id(self) -> str:
        """Return the id of this boot."""
        return "boot-1"


def session(number: int) -> Event:
    """Return a kiosk session."""
    body: dict[str, Scalar] = {"session": f"s{number}", "kiosk": "kiosk-1", "language": "lt", "visit": "v1"}
    return Event(EventType.KIOSK_SESSION, body, number * 1_000_000, WALL_NS + number)


def headcount(count: int, role: str = "pupil", reason: str = "") -> Event:
    """Return a headcount, or with a negative count a correction."""
    body: dict[str, Scalar] = {"visit": "v1", "group": "7a", "role": role, "count": count, "reason": reason}
    return Event(EventType.HEADCOUNT, body, 1, WALL_NS)


def metric(number: int) -> Event:
    """Return a reading of a machine."""
    body: dict[str, Scalar] = {
        "machine": "router",
        "availability": "AVAILABLE",
        "execution": "ACTIVE",
        "x": number / 7,
        "line": number,
    }
    return Event(EventType.MACHINE_STATE, body, number * 1_000_000, WALL_NS + number)


def fault(reason: str) -> Event:
    """Return a fault of a machine."""
    return Event(EventType.MACHINE_FAULT, {"machine": "router", "fault": "FAULT", "reason": reason}, 1, WALL_NS)


def gap(seconds: float | None, parts: int | None = None) -> Event:
    """Return a time during which nobody saw a machine."""
    began = None if seconds is None else 1_000_000_000
    body: dict[str, Scalar] = {
        "machine": "lathe",
        "began_boot_ns": began,
        "seconds": seconds,
        "reason": "the server fell silent",
        "parts": parts,
    }
    return Event(EventType.MACHINE_GAP, body, 1, WALL_NS)


def parts(count: int, total: int, *, after_gap: bool = False) -> Event:
    """Return parts that a machine has made."""
    body: dict[str, Scalar] = {
        "machine": "lathe",
        "count": count,
        "total": total,
        "program": "SHAFT.MPF",
        "after_gap": after_gap,
        "doubtful": False,
    }
    return Event(EventType.PARTS_MADE, body, 1, WALL_NS)


def loaded(*, reason: str = "") -> Event:
    """Return a program that was loaded into a machine, or for a reason was not."""
    body: dict[str, Scalar] = {
        "machine": "lathe",
        "file": "SHAFT.MPF",
        "bytes": 1234,
        "sha256": "0" * 64,
        "selected": not reason,
        "step": "FAILED" if reason else "LOADED",
        "reason": reason,
    }
    return Event(EventType.PROGRAM_LOADED, body, 1, WALL_NS)
