# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of the van as the console is told of them: a router in several states, and a lathe on OPC UA."""

from __future__ import annotations

from typing import Any

from tests.e2e.program_world import gear_path

Json = dict[str, Any]

DOOR_OPEN: Json = {
    "permissive": "input.door",
    "what": "The router does not start.",
    "why": "Door: open, read 0.2 s ago from the router's door pin.",
    "source": "router door pin",
    "age_ms": 200,
    "remedy": "Close the door, then press Reset at the console.",
}
NOT_HOMED: Json = {
    "permissive": "homed",
    "what": "The router does not start.",
    "why": "Homed: no, read 0.1 s ago from the controller.",
    "source": "controller",
    "age_ms": 100,
    "remedy": "Look that nothing is in the way, then press Home.",
}

COMMANDS = (
    "start",
    "home",
    "resume",
    "reset",
    "unlock",
    "jog",
    "probe",
    "zero",
    "override",
    "settings",
    "load",
    "start_loaded",
)


def _input(name: str, label: str, source: str, status: str, age_ms: int | None, remedy: str) -> Json:
    return {"name": name, "label": label, "source": source, "status": status, "age_ms": age_ms, "remedy": remedy}


def _interlock(state: str = "PERMITTED", door: str = "HEALTHY", air: str = "HEALTHY") -> Json:
    cause = None if state == "PERMITTED" else {**DOOR_OPEN, "what": "The interlock of the router tripped."}
    return {
        "state": state,
        "cause": cause,
        "inputs": [
            _input("estop", "E-stop circuit", "safety relay, GPIO 17", "HEALTHY", 40, "Turn the button back."),
            _input("door", "Door", "router door pin", door, 120, "Close the door until it clicks."),
            _input("dust", "Dust extraction", "GPIO 22", "HEALTHY", 60, "Switch the extractor on at its box."),
            _input(
                "air",
                "Air pressure",
                "GPIO 27",
                air,
                None if air == "UNKNOWN" else 80,
                "Look at the plug of the pressure switch behind the left panel.",
            ),
        ],
    }


def router(**changes: Any) -> Json:
    """A GRBL router that is ready."""
    state: Json = {
        "id": "router",
        "name": "Router",
        "kind": "router",
        "driver": "grbl",
        "controller": "Grbl 1.1h",
        "capabilities": [
            "run_program",
            "hold",
            "stop",
            "home",
            "unlock",
            "jog",
            "probe",
            "work_zero",
            "override",
            "settings",
        ],
        "lacks": [],
        "travel": {"low": [-300, -200, -60], "high": [0, 0, 0], "max_feed": 3000, "max_spindle": 12000},
        "availability": "AVAILABLE",
        "execution": "READY",
        "mode": "AUTOMATIC",
        "emergency_stop": "ARMED",
        "door": "CLOSED",
        "machine_position": [-262.5, -152.25, -4.0],
        "work_position": [0.0, 0.0, 5.0],
        "work_offset": [-262.5, -152.25, -9.0],
        "homed": True,
        "feed": 0.0,
        "spindle": "OFF",
        "spindle_speed": 0.0,
        "overrides": {"feed": 100, "rapid": 100, "spindle": 100},
        "program": None,
        "line": None,
        "total_lines": None,
        "progress": None,
        "remaining_s": None,
        "part_count": None,
        "alarms": [],
        "fault": "NONE",
        "fault_reason": "",
        "age_ms": 90,
        "job": None,
        "interlock": _interlock(),
        "link": link(),
        "hand": hand(),
        "settings_differ": 0,
        "transfer": None,
        "source_time": None,
        "clock_off_s": None,
        "last_gap": None,
        "refusals": {command: [] for command in COMMANDS},
    }
    return {**state, **changes}


def hand(**changes: Any) -> Json:
    """What the router has for motion by hand: everything."""
    value: Json = {
        "plate": True,
        "corner": True,
        "tool_setter": True,
        "park": True,
        "max_feed": 1500.0,
        "max_step": 10.0,
    }
    return {**value, **changes}


def link(**changes: Any) -> Json:
    """A wire that carries well."""
    value: Json = {
        "grade": "GOOD",
        "lines": 48211,
        "damaged": 0,
        "unknown": 0,
        "latency_ms": 7.9,
        "latency_spindle_ms": 8.4,
        "cause": None,
    }
    return {**value, **changes}


def cutting() -> Json:
    """The router in the middle of a gear."""
    points = gear_path()["points"]
    at = points[len(points) * 11 // 20]
    return router(
        execution="ACTIVE",
        work_position=at,
        machine_position=[at[0] - 262.5, at[1] - 152.25, at[2] - 9],
        feed=812.0,
        spindle="CLOCKWISE",
        spindle_speed=10000.0,
        overrides={"feed": 90, "rapid": 100, "spindle": 100},
        program="gear",
        line=len(points) * 11 // 20 + 6,
        total_lines=len(points) + 8,
        progress=0.55,
        remaining_s=83.0,
        job="j1",
    )


def tripped() -> Json:
    """The router after somebody opened its door in mid cut."""
    return {
        **cutting(),
        "execution": "STOPPED",
        "feed": 0.0,
        "spindle": "OFF",
        "spindle_speed": 0.0,
        "door": "OPEN",
        "fault": "FAULT",
        "fault_reason": "The door was opened while the program ran.",
        "interlock": _interlock("TRIPPED", door="OPEN", air="UNKNOWN"),
        "refusals": {
            "start": [DOOR_OPEN, NOT_HOMED],
            "home": [DOOR_OPEN],
            "resume": [DOOR_OPEN],
            "reset": [{**DOOR_OPEN, "what": "The interlock of the router stays tripped."}],
            "unlock": [],
            "jog": [{**DOOR_OPEN, "what": "The router is not moved by hand."}],
            "probe": [DOOR_OPEN],
            "zero": [],
            "override": [],
            "settings": [],
            "load": [],
            "start_loaded": [],
        },
    }


def lathe(**changes: Any) -> Json:
    """An OPC UA lathe, which is watched and not commanded."""
    state = router(
        id="lathe",
        name="Lathe",
        kind="lathe",
        driver="opcua",
        controller="OPC 40501-1 machine tool",
        capabilities=[],
        travel=None,
        execution="ACTIVE",
        machine_position=None,
        work_position=None,
        work_offset=None,
        door="CLOSED",
        feed=None,
        spindle="UNAVAILABLE",
        spindle_speed=None,
        overrides={"feed": 80, "rapid": 100, "spindle": 100},
        program="flansas_2026_11.mpf",
        part_count=14,
        age_ms=400,
        interlock=None,
        link=None,
        hand=None,
        settings_differ=None,
    )
    return {**state, **changes}


def in_alarm(controller: str) -> Json:
    """Return the router after ALARM:10, which means one thing to GRBL and another to grblHAL."""
    alarm = {"code": "ALARM:10", "text": "The stop circuit is open.", "position_kept": False}
    reason = "The program gear ended before its end: line 12 'G1X': no feed rate was given (error:22)."
    return router(
        controller=controller, execution="STOPPED", homed=False, alarms=[alarm], fault="FAULT", fault_reason=reason
    )
