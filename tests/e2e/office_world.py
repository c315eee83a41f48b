# SPDX-License-Identifier: GPL-3.0-or-later
"""A central office made of plain values: what the office service would answer to its dashboard."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

Json = dict[str, Any]

SCHOOLS = [
    ("Panevėžio Juozo Balčikonio gimnazija", "Panevėžio m. sav."),
    ("Alytaus dailiųjų amatų mokykla", "Alytaus m. sav."),
    ("Kauno technologijos mokymo centras", "Kauno m. sav."),
    ("Šiaulių Didždvario gimnazija", "Šiaulių m. sav."),
    ("Utenos Krašuonos progimnazija", "Utenos r. sav."),
    ("Telšių Žemaitės gimnazija", "Telšių r. sav."),
    ("Marijampolės Rygiškių Jono gimnazija", "Marijampolės sav."),
    ("Visagino technologijos ir verslo profesinio mokymo centras", "Visagino sav."),
    ("Druskininkų „Ryto“ gimnazija", "Druskininkų sav."),
]


def daily() -> list[Json]:
    """Eleven weeks of visits, school days only, with an autumn break."""
    rows: list[Json] = []
    total = 0
    day = date(2026, 9, 7)
    while day <= date(2026, 11, 20):
        if day.weekday() < 5 and not date(2026, 10, 26) <= day <= date(2026, 10, 30):
            people = 22 + (day.toordinal() * 37) % 58
            total += people
            rows.append({"date": day.isoformat(), "people": people, "cumulative": total})
        day += timedelta(days=1)
    return rows


def progress(**changes: Any) -> Json:
    """Progress in autumn: the van knows of 31 people whom the office has not got yet."""
    ledger = daily()[-1]["cumulative"]
    value: Json = {
        "target": 6000,
        "due": "2027-06-30",
        "reached": ledger + 31,
        "ledger": ledger,
        "not_yet_received": 31,
        "sessions": 1904,
        "as_of": "2026-11-23T12:41:07Z",
        "forecast": {"low": "2027-05-04", "mid": "2027-05-27", "high": "2027-06-18"},
        "indicators": [
            {"id": "people", "label": "Pupils and teachers reached", "target": 6000, "value": ledger + 31},
            {"id": "vet_trainers", "label": "VET trainers", "target": 100, "value": 22},
            {"id": "schools", "label": "Schools visited", "target": None, "value": 49},
            {"id": "pieces", "label": "Pieces made", "target": None, "value": 1411},
        ],
        "daily": daily(),
    }
    return {**value, **changes}


def labs() -> list[Json]:
    """One van with a good link, one that was last heard in the forest, one never heard."""
    return [
        {
            "lab": "im-01",
            "state": "online",
            "last_seen": "2026-11-23T12:41:02Z",
            "software": "0.1.0",
            "config": "b1946ac9",
            "epoch": "5c1f",
            "ledger_people": 1911,
            "presence_people": 1911,
            "waiting": 0,
            "gaps": [],
            "alarms": [],
        },
        {
            "lab": "im-02",
            "state": "offline",
            "last_seen": "2026-11-23T10:02:40Z",
            "software": "0.1.0",
            "config": "b1946ac9",
            "epoch": "09aa",
            "ledger_people": 640,
            "presence_people": 671,
            "waiting": 31,
            "gaps": [{"stream": "metrics", "epoch": "09aa", "first": 4100, "last": 4187}],
            "alarms": ["Epoch 09aa of stream jobs: batch 7 does not follow batch 6."],
        },
        {
            "lab": "im-03",
            "state": "unknown",
            "last_seen": None,
            "software": "",
            "config": "",
            "epoch": "",
            "ledger_people": 0,
            "presence_people": 0,
            "waiting": 0,
            "gaps": [],
            "alarms": [],
        },
    ]


def visits() -> list[Json]:
    """Forty-eight visits, the newest first."""
    rows = []
    for index in range(48):
        school, municipality = SCHOOLS[index % len(SCHOOLS)]
        pupils = 20 + (index * 7) % 33
        rows.append(
            {
                "lab": "im-01" if index % 3 else "im-02",
                "visit": f"v{index:03d}",
                "school": school,
                "municipality": municipality,
                "date": (date(2026, 11, 23) - timedelta(days=index)).isoformat(),
                "group": f"{5 + index % 8}{'abc'[index % 3]}",
                "expected": pupils + 3,
                "people": {"pupil": pupils, "teacher": 2, "vet_trainer": index % 2, "trainee": 0},
                "total": pupils + 2 + index % 2,
                "sessions": pupils - 6,
                "open": index == 0,
            }
        )
    return rows


def jobs() -> list[Json]:
    """Sixty jobs with every ending."""
    states = ["FINISHED", "FINISHED", "FINISHED", "RUNNING", "DECLINED", "FINISHED", "ABORTED", "FAILED"]
    rows = []
    for index in range(60):
        state = states[index % len(states)]
        ended = state in ("FINISHED", "ABORTED", "FAILED")
        rows.append(
            {
                "lab": "im-01",
                "job": f"j{index:03d}",
                "claim": 60 - index,
                "machine": "router",
                "program": ["gear", "name-tag", "bolt"][index % 3],
                "origin": "kiosk" if index % 4 else "operator",
                "state": state,
                "estimate_s": 96.0 + index,
                "guess_s": 60 + 30 * (index % 5) if index % 4 else None,
                "actual_s": 101.5 + index if ended else None,
                "lines": 240,
                "visit": f"v{index % 8:03d}",
                "reason": {"DECLINED": "Netinkamas tekstas", "ABORTED": "Durys atidarytos", "FAILED": "ALARM:2"}.get(
                    state, ""
                ),
                "received": f"2026-11-{23 - index // 6:02d}T{8 + index % 6:02d}:17:40Z",
            }
        )
    return rows


def quality(**changes: Any) -> Json:
    """What the office set aside."""
    value: Json = {
        "quarantined": 2,
        "invalid": 1,
        "duplicates": 914,
        "chain_alarms": 1,
        "last_quarantine": {
            "lab": "im-02",
            "stream": "jobs",
            "reason": "The batch is cut off after 812 bytes.",
            "received": "2026-11-20T14:03:11Z",
        },
    }
    return {**value, **changes}
