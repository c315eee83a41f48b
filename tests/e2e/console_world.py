# SPDX-License-Identifier: GPL-3.0-or-later
"""A van made of plain values: what the edge service would answer to the console, in the contract's form."""

from __future__ import annotations

import copy
from typing import Any

from tests.e2e.machine_world import DOOR_OPEN as DOOR_OPEN
from tests.e2e.machine_world import NOT_HOMED as NOT_HOMED
from tests.e2e.machine_world import cutting as cutting
from tests.e2e.machine_world import hand as hand
from tests.e2e.machine_world import in_alarm as in_alarm
from tests.e2e.machine_world import lathe as lathe
from tests.e2e.machine_world import link as link
from tests.e2e.machine_world import router as router
from tests.e2e.machine_world import tripped as tripped
from tests.e2e.program_world import bad_check as bad_check
from tests.e2e.program_world import gear_path as gear_path

Json = dict[str, Any]


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
        "check_digest": None,
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
        "left_out": [],
        "opening": None,
        "opcua_server": None,
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
