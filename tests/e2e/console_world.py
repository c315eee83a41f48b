# SPDX-License-Identifier: GPL-3.0-or-later
"""A van made of plain values: what the edge service would answer to the console, in the contract's form."""

from __future__ import annotations

import copy
from typing import Any

from tests.e2e.program_world import bad_check as bad_check
from tests.e2e.program_world import gear_path as gear_path

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

COMMANDS = ("start", "home", "resume", "reset", "unlock", "jog", "probe", "zero", "override", "settings")


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


def job(number: int, state: str, **changes: Any) -> Json:
    """A job of the queue, by its claim number."""
    value: Json = {
        "id": f"j{number}",
        "claim": number,
        "machine": "router",
        "program": "gear",
        "title": {"lt": "Krumpliaratis", "en": "Gear", "lv": "Zobrats", "et": "Hammasratas", "de": "Zahnrad"},
        "origin": "kiosk",
        "state": state,
        "estimate_s": 185.0,
        "guess_s": 240,
        "actual_s": None,
        "line": 0,
        "total_lines": 190,
        "progress": 0.0,
        "remaining_s": None,
        "fits_before_bell": True,
        "reason": "",
        "waits": None,
        "text": None,
    }
    return {**value, **changes}


NAME_TAG: Json = {
    "lt": "Vardo kortelė",
    "en": "Name tag",
    "lv": "Vārda zīme",
    "et": "Nimesilt",
    "de": "Namensschild",
}
BOLT: Json = {
    "lt": "Besišypsantis varžtas",
    "en": "Smiling bolt",
    "lv": "Skrūve",
    "et": "Polt",
    "de": "Schraube",
}


def jobs() -> list[Json]:
    """Return a running job, one approved, two waiting for a decision and two that ended."""
    return [
        job(1, "RUNNING", progress=0.55, remaining_s=83.0, line=110),
        job(2, "APPROVED", title=NAME_TAG, program="name-tag", estimate_s=96.0, text="Ugnė Žilvinė", guess_s=60),
        job(3, "REQUESTED", title=NAME_TAG, program="name-tag", estimate_s=110.0, text="Šarūnas Č.", guess_s=120),
        job(4, "REQUESTED", title=BOLT, program="bolt", estimate_s=420.0, fits_before_bell=False),
        job(5, "DECLINED", title=NAME_TAG, text="***", reason="Netinkamas tekstas"),
        job(6, "FINISHED", title=BOLT, actual_s=402.0, progress=1.0),
    ]


def visit(**changes: Any) -> Json:
    """An open visit with one counted group."""
    value: Json = {
        "id": "v1",
        "school": "Panevėžio Juozo Balčikonio gimnazija",
        "municipality": "Panevėžio m. sav.",
        "date": "2026-11-23",
        "group": "8b",
        "expected": 52,
        "language": "lt",
        "open": True,
        "people": {"pupil": 25, "teacher": 2, "vet_trainer": 0, "trainee": 1},
        "total": 28,
        "kiosk_sessions": 19,
        "entries": [
            {"group": "8a", "role": "pupil", "count": 26, "reason": ""},
            {"group": "8a", "role": "teacher", "count": 2, "reason": ""},
            {"group": "8a", "role": "pupil", "count": -1, "reason": "Suskaičiuota du kartus"},
            {"group": "8a", "role": "trainee", "count": 1, "reason": ""},
        ],
        "bell_in_s": 1380,
    }
    return {**value, **changes}


def sync(**changes: Any) -> Json:
    """The way to the office, with a little waiting."""
    value: Json = {
        "connected": True,
        "waiting": {"visits": 0, "safety": 0, "jobs": 2, "metrics": 38},
        "waiting_total": 40,
        "oldest_waiting_s": 4.0,
        "last_ack_age_s": 2.0,
        "sent": 4211,
        "resent": 3,
        "last_error": "",
    }
    return {**value, **changes}


def sync_away() -> Json:
    """The way to the office after two hours in the forest."""
    return sync(
        connected=False,
        waiting={"visits": 31, "safety": 4, "jobs": 118, "metrics": 5240},
        waiting_total=5393,
        oldest_waiting_s=7260.0,
        last_ack_age_s=7275.0,
        last_error="Connection to mqtt.example.org:8883 timed out.",
    )


def programs() -> list[Json]:
    """The library and one upload."""
    names = [("gear", jobs()[0]["title"], 190, 185.0), ("name-tag", NAME_TAG, 240, 96.0), ("bolt", BOLT, 812, 420.0)]
    rows = [
        {
            "id": key,
            "title": title,
            "origin": "library",
            "lines": lines,
            "seconds": seconds,
            "sha256": "9f" * 32,
            "machine": "router",
        }
        for key, title, lines, seconds in names
    ]
    upload = {
        "id": "u1",
        "title": {"": "laikiklis_v3.nc"},
        "origin": "upload",
        "lines": 1204,
        "seconds": 655.0,
        "sha256": "1c" * 32,
        "machine": "router",
    }
    return [*rows, upload]


def snapshot(**changes: Any) -> Json:
    """A snapshot for a logged-in operator in the middle of a visit."""
    value: Json = {
        "lab": "im-01",
        "lab_name": "InfoMobil 1",
        "operator": True,
        "machines": [cutting(), lathe()],
        "jobs": jobs(),
        "visit": visit(),
        "sync": sync(),
        "programs": programs(),
        "opening": None,
    }
    return copy.deepcopy({**value, **changes})


def ready(**changes: Any) -> Json:
    """A snapshot with a router that would take any command."""
    return snapshot(machines=[router(), lathe()], **changes)


def locked(**changes: Any) -> Json:
    """A snapshot as it is answered without a login: machines only."""
    empty = sync(waiting={"visits": 0, "safety": 0, "jobs": 0, "metrics": 0}, waiting_total=0, oldest_waiting_s=None)
    return snapshot(operator=False, jobs=[], visit=None, programs=[], sync=empty, **changes)


def notice(level: str, code: str, text: str, **facts: str) -> Json:
    """Return a message of the live socket with a notice."""
    return {"type": "notice", "notice": {"level": level, "text": text, "code": code, "facts": facts}}


def news() -> list[Json]:
    """Return what a door that was opened in mid cut brings: a job that ended, the trip, and a lost connection."""
    lost = "The connection was lost: the port is gone. Motion that was under way may have gone on."
    return [
        notice("fault", "tripped", "Router: the interlock tripped: Door.", machine="Router", input="Durys"),
        notice("fault", "fault", f"Router: {lost}", machine="Router", reason=lost),
        notice("attention", "job", "Job 1: ABORTED.", claim="1", state="ABORTED", reason="stopped by console"),
    ]


def in_alarm(controller: str) -> Json:
    """Return the router after ALARM:10, which means one thing to GRBL and another to grblHAL."""
    alarm = {"code": "ALARM:10", "text": "The stop circuit is open.", "position_kept": False}
    reason = "The program gear ended before its end: line 12 'G1X': no feed rate was given (error:22)."
    return router(
        controller=controller, execution="STOPPED", homed=False, alarms=[alarm], fault="FAULT", fault_reason=reason
    )
