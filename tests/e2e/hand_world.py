# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand, recovery, the opening checklist and the black box, as plain values in the contract's form."""

from __future__ import annotations

from typing import Any

from tests.e2e import console_world as world
from tests.e2e.console_world import Json

HOME_AGAIN: Json = {
    "permissive": "homed",
    "what": "The job does not go on.",
    "why": "Homed: no, read 0.1 s ago from the controller.",
    "source": "controller",
    "age_ms": 100,
    "remedy": "Look that nothing is in the way, then press Home.",
}


def noisy_link() -> Json:
    """The wire of a van whose spindle cable lies beside it."""
    cause = (
        "Replies are damaged while the spindle is on and not while it is off: interference. Lay the USB cable"
        " away from the spindle's cable, and use a short shielded one."
    )
    return world.link(
        grade="DAMAGED", lines=48211, damaged=37, unknown=4, latency_ms=7.9, latency_spindle_ms=61.2, cause=cause
    )


def interrupted(**changes: Any) -> Json:
    """The first job, broken off in mid cut."""
    return world.job(
        1,
        "INTERRUPTED",
        **{"line": 104, "progress": 0.55, "reason": "the port is gone", **changes},
    )


def waiting(kind: str = "tool", **changes: Any) -> Json:
    """The first job at a tool change or a stop of its program."""
    tool = 2 if kind == "tool" else None
    text = "2 mm end mill" if kind == "tool" else "Turn the piece over"
    return world.job(
        1, "HELD", progress=0.4, line=82, waits={"kind": kind, "tool": tool, "line": 82, "text": text}, **changes
    )


def recovery(line: int = 98, *, homed: bool = True) -> Json:
    """What the journal says about the interrupted gear."""
    points = world.gear_path()["points"]
    return {
        "job": "j1",
        "line": line,
        "total_lines": 190,
        "position": "kept" if homed else "home again",
        "evidence": [
            "The job was interrupted: the port is gone.",
            "The controller had taken line 98; line 104 had been sent.",
            "Its last trusted position was machine X-248.763 Y-138.513 Z-10.500, 0.01 mm from the path of line 98.",
            "The controller has kept its position since then."
            if homed
            else "Its position is not trusted any more: the machine has to be homed.",
        ],
        "plan": [
            "Raise the tool to machine Z-5, then go above X13.737 Y13.737.",
            "Turn on the spindle (S10000M3), wait 4 s.",
            f"Go down to Z-1.5 at F200, then go on with line {line} of 190: G1X13.737Y13.737.",
        ],
        "moves": [
            {
                "line": line + index,
                "text": f"G1 X{points[line - 6 + index][0]:.3f} Y{points[line - 6 + index][1]:.3f}",
                "to": points[line - 6 + index],
            }
            for index in range(10)
        ],
        "choices": [
            {"line": 98, "text": "the line that was being cut"},
            {"line": 62, "text": "the beginning of this cut"},
            {"line": 8, "text": "the first motion of the program"},
        ],
        "refusals": [] if homed else [HOME_AGAIN],
        "changes": [],
    }


def opening(**done: bool) -> Json:
    """The checklist of the router and the lathe; `done` names the router's items that are."""
    items = [("stop_circuit", "input"), ("door", "input"), ("home", "input"), ("clamps", "person")]
    router = [{"item": item, "done": done.get(item, False), "by": by, "text": ""} for item, by in items]
    laser = [
        {"item": item, "done": item == "door", "by": "person" if item == "stop_circuit" else by, "text": ""}
        for item, by in items
    ]
    needed = not all(entry["done"] for entry in [*router, *laser])
    return {"needed": needed, "machines": {"router": router, "laser": laser}}


def laser() -> Json:
    """A second machine that takes commands."""
    return world.router(id="laser", name="Lazeris", kind="laser", controller="GrblHAL 1.1f", homed=False)


def settings() -> Json:
    """The controller's settings, two of which are not what the profile says."""
    rows = [
        (0, "Step pulse time", "microseconds", "10"),
        (1, "Step idle delay", "milliseconds", "25"),
        (20, "Soft limits enable", "boolean", "0"),
        (22, "Homing cycle enable", "boolean", "1"),
        (100, "X-axis travel resolution", "step/mm", "250.000"),
        (110, "X-axis maximum rate", "mm/min", "500.000"),
        (130, "X-axis maximum travel", "mm", "300.000"),
    ]
    listed = [{"number": n, "name": name, "unit": unit, "value": value} for n, name, unit, value in rows]
    differences = [
        {"number": 20, "name": "Soft limits enable", "unit": "boolean", "wanted": "1", "found": "0"},
        {"number": 110, "name": "X-axis maximum rate", "unit": "mm/min", "wanted": "3000.000", "found": "500.000"},
    ]
    return {"profile": True, "settings": listed, "differences": differences}


def recordings() -> list[Json]:
    """Two recordings of jobs and one of a connection."""
    return [
        {
            "name": "000003",
            "job": "j1",
            "claim": 1,
            "bytes": 1_482_113,
            "began": "2026-11-23T09:15:00Z",
            "ended": "the port is gone",
        },
        {
            "name": "000002",
            "job": "j6",
            "claim": 6,
            "bytes": 803_020,
            "began": "2026-11-23T08:58:10Z",
            "ended": "",
        },
        {
            "name": "000001",
            "job": None,
            "claim": None,
            "bytes": 20_400,
            "began": "2026-11-23T08:44:00Z",
            "ended": "",
        },
    ]


def story() -> Json:
    """What happened in the first recording."""
    return {
        "sentences": [
            "The job began at 09:15:00 and 104 of 190 lines were sent.",
            "After 81.4 s the port vanished in the middle of a cut.",
            "The last position that was heard is X 14.2 Y 51.7 Z -1.5.",
        ]
    }
