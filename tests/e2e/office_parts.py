# SPDX-License-Identifier: GPL-3.0-or-later
"""What the office service would answer to the parts: pledges, map, interest, hours, evidence, accounts."""

from __future__ import annotations

from typing import Any

from tests.e2e import office_world as world
from tests.e2e.office_places import PLACES, VISITED

Json = dict[str, Any]

DIGEST = "6f1c" * 16
HEAD = "a90b" * 16
KEY = "3fd2" * 16
OTHER_KEY = "77e0" * 16


def me(role: str | None = "office") -> Json:
    """Return who is looking."""
    name = {"viewer": "jonas", "office": "rasa", "admin": "asta"}.get(role or "")
    return {"name": name, "role": role, "login_needed": role is None}


def indicators() -> list[Json]:
    """Return the pledges of the project: people, trainers, trainees with milestones; others without."""
    daily = world.daily()
    reached = daily[-1]["cumulative"] + 31
    return [
        {
            "id": "people",
            "label": {"lt": "Pasiekta žmonių", "en": "People reached"},
            "unit": "people",
            "target": 6000,
            "value": reached,
            "not_yet_received": 31,
            "due": "2027-06-30",
            "milestones": [
                {"date": "2026-10-31", "target": 1500, "value": 1702, "met": True},
                {"date": "2026-12-31", "target": 3000, "value": None, "met": None},
                {"date": "2027-03-31", "target": 4500, "value": None, "met": None},
                {"date": "2027-06-30", "target": 6000, "value": None, "met": None},
            ],
            "forecast": {
                "low": "2027-05-04",
                "mid": "2027-05-27",
                "high": "2027-07-18",
                "by_due": {"low": 5700, "mid": 6350, "high": 7100},
            },
            "history": [{"date": row["date"], "value": row["cumulative"]} for row in daily],
        },
        {
            "id": "vet_trainers",
            "label": {"lt": "Profesijos mokytojai", "en": "VET trainers"},
            "unit": "people",
            "target": 50,
            "value": 22,
            "not_yet_received": 0,
            "due": "2027-06-30",
            "milestones": [{"date": "2026-11-15", "target": 30, "value": 20, "met": False}],
            "forecast": {
                "low": "2027-08-01",
                "mid": "2027-09-01",
                "high": "2027-12-01",
                "by_due": {"low": 31, "mid": 40, "high": 47},
            },
            "history": [{"date": f"2026-{9 + n // 3:02d}-{1 + 9 * (n % 3):02d}", "value": 2 + 3 * n} for n in range(7)],
        },
        {
            "id": "trainees",
            "label": {"lt": "Praktikantai", "en": "Trainees"},
            "unit": "people",
            "target": 100,
            "value": 104,
            "not_yet_received": 0,
            "due": "2027-06-30",
            "milestones": [{"date": "2026-12-31", "target": 40, "value": None, "met": None}],
            "forecast": None,
            "history": [
                {"date": f"2026-{9 + n // 3:02d}-{2 + 9 * (n % 3):02d}", "value": 14 * n + 6} for n in range(8)
            ],
        },
        *[
            {
                "id": key,
                "label": {"lt": lt, "en": en},
                "unit": "",
                "target": target,
                "value": value,
                "not_yet_received": 0,
                "due": None,
                "milestones": [],
                "forecast": None,
                "history": [],
            }
            for key, lt, en, target, value in (
                ("programmes", "Mokymo programa", "Training programme", 1, 1),
                ("e_learning", "Nuotolinio mokymosi naudotojai", "E-learning users", None, 312),
                ("schools", "Aplankytos mokyklos", "Schools visited", None, 49),
            )
        ],
    ]


def places() -> list[Json]:
    """Return the map: sixty municipalities, and a name that is none of them."""
    rows = [
        {
            "code": code,
            "name": name,
            "column": x,
            "row": y,
            "people": VISITED.get(code, 0),
            "visits": VISITED.get(code, 0) // 24,
        }
        for code, name, x, y in PLACES
    ]
    return [*rows, {"code": "", "name": "Liepoja", "column": None, "row": None, "people": 26, "visits": 1}]


KEYS = {
    "municipality": [(name, name, name, VISITED[code]) for code, name, _, _ in PLACES if code in VISITED],
    "school_type": [
        ("gymnasium", "Gimnazija", "Gymnasium", 1202),
        ("vocational", "Profesinė mokykla", "Vocational school", 610),
        ("progymnasium", "Progimnazija", "Progymnasium", 301),
        ("", "", "", 65),
    ],
    "month": [
        ("2026-09", "2026 m. rugsėjis", "September 2026", 811),
        ("2026-10", "2026 m. spalis", "October 2026", 1044),
    ],
    "role": [("pupil", "Mokiniai", "Pupils", 2001), ("teacher", "Mokytojai", "Teachers", 142)],
    "lab": [("im-01", "im-01", "im-01", 1911), ("im-02", "im-02", "im-02", 640)],
    "language": [("lt", "lietuvių", "Lithuanian", 2400), ("en", "anglų", "English", 44)],
}


def breakdown(by: str) -> Json:
    """Return people by one thing, the most first."""
    rows: list[Json] = [
        {
            "key": key,
            "label": {"lt": lt, "en": en},
            "people": {by_role: n for by_role, n in parts(key, by, total).items() if n > 0},
            "total": total,
            "visits": total // 24,
            "sessions": total - total // 9,
        }
        for key, lt, en, total in KEYS[by]
    ]
    if by != "month":
        rows.sort(key=lambda row: -int(row["total"]))
    return {"by": by, "rows": rows, "total": sum(row["total"] for row in rows)}


def parts(key: str, by: str, total: int) -> dict[str, int]:
    """Return a total by role."""
    if by == "role":
        return {key: total}
    others = {"teacher": total // 14, "vet_trainer": total // 40, "trainee": total // 55}
    return {"pupil": total - sum(others.values()), **others}


def interest() -> Json:
    """Return what changed: risen, unclear, and hidden groups."""
    shown: list[tuple[str, str, int, float, float, float, float]] = [
        ("interest", "all", 402, 3.1, 4.0, 0.7, 1.1),
        ("interest", "11_12", 161, 3.4, 4.2, 0.6, 1.0),
        ("interest", "13_up", 241, 2.9, 3.8, 0.8, 1.2),
        ("confidence", "all", 390, 2.8, 3.6, 0.6, 1.0),
        ("confidence", "13_up", 236, 2.7, 3.5, 0.6, 1.0),
        ("career", "all", 377, 2.4, 2.5, -0.1, 0.3),
    ]
    rows = [
        {
            "question": question,
            "band": band,
            "pairs": pairs,
            "before": before,
            "after": after,
            "difference": round(after - before, 2),
            "interval": [low, high],
            "hidden": False,
        }
        for question, band, pairs, before, after, low, high in shown
    ]
    nothing = dict.fromkeys(("pairs", "before", "after", "difference", "interval"))
    hidden = {"question": "interest", "band": "under_11", **nothing, "hidden": True}
    return {"smallest": 5, "rows": [*rows[:1], hidden, *rows[1:]], "answers": 1204}


def hours() -> Json:
    """Return what two vans' machines did."""
    return {
        "rows": [
            {
                "lab": "im-01",
                "machine": "router",
                "jobs": {"FINISHED": 611, "DECLINED": 12, "ABORTED": 9, "FAILED": 3},
                "hours": 41.2,
                "parts": 611,
            },
            {"lab": "im-01", "machine": "lathe", "jobs": {}, "hours": 17.5, "parts": 204},
            {
                "lab": "im-02",
                "machine": "router",
                "jobs": {"FINISHED": 96},
                "hours": 6.1,
                "parts": 96,
            },
        ],
        "total_hours": 64.8,
    }


def machines() -> list[Json]:
    """Return what the machines' own counters say."""
    return [
        {
            "lab": "im-01",
            "machine": "lathe",
            "parts": 204,
            "unseen": 7,
            "doubtful": 2,
            "gaps": 3,
            "gap_s": 840.0,
            "loads": 12,
            "loads_failed": 1,
        }
    ]


def labs() -> list[Json]:
    """Return the vans with their health, their clocks, an explained gap, and a copied card."""
    first, second, third = world.labs()
    first |= {
        "health": {
            "disk_free_mb": 21412,
            "disk_state": "ok",
            "clock": "synchronised",
            "metrics_dropped": 0,
            "certificate_ends": "2029-03-01",
        },
        "clock": {"quality": "synchronised", "uncertainty_s": 0.02},
        "install": "7a1e",
        "ordinal": 214,
        "doubts": [],
        "gaps": [{"stream": "metrics", "epoch": "5c1f", "first": 90, "last": 4099, "explained": "rolled_up"}],
    }
    second |= {
        "health": {
            "disk_free_mb": 122,
            "disk_state": "full",
            "clock": "free",
            "metrics_dropped": 1204,
            "certificate_ends": "2026-12-20",
        },
        "clock": {"quality": "free", "uncertainty_s": 340.0},
        "install": "9b02",
        "ordinal": 88,
        "doubts": [
            {
                "kind": "clone",
                "text": "Epochs 09aa and 31c0 both follow epoch 77d1 of installation 9b02.",
                "since": "2026-11-23T09:11:00Z",
            }
        ],
    }
    return [first, second, {**third, "health": {}, "clock": None, "doubts": []}]


def entries() -> list[Json]:
    """Return a visit's entries: counted twice, corrected in the van, and once more by the office."""

    def row(seq: int, role: str, count: int, reason: str, by: str, who: str | None, at: tuple[str, str]) -> Json:
        interval = {"from": at[0], "to": at[1], "raw": "1970-01-01T00:04:11Z", "quality": "unset"}
        return {
            "epoch": "5c1f0e0a9b" if by == "operator" else "office-1",
            "seq": seq,
            "group": "8a",
            "role": role,
            "count": count,
            "reason": reason,
            "by": by,
            "who": who,
            "at": interval,
        }

    day = "2026-11-23T"
    return [
        row(11, "pupil", 26, "", "operator", None, (f"{day}08:02:00Z", f"{day}08:02:20Z")),
        row(12, "teacher", 2, "", "operator", None, (f"{day}08:03:00Z", f"{day}08:09:00Z")),
        row(15, "pupil", -1, "Suskaičiuota du kartus", "operator", None, (f"{day}08:40:00Z", f"{day}08:40:10Z")),
        row(1, "pupil", 2, "Klasės žurnalas", "office", "rasa", (f"{day}12:30:00Z", f"{day}12:30:00Z")),
    ]


def visit(**changes: Any) -> Json:
    """Return one visit with its entries."""
    people = {"pupil": 27, "teacher": 2, "vet_trainer": 0, "trainee": 0}
    return {**world.visits()[1], "people": people, "total": 29, "group": "8a", "entries": entries(), **changes}


def audit() -> list[Json]:
    """Return rows of every kind, the newest first."""
    rows: list[tuple[str, str, str | None, str, Json]] = [
        (
            "rasa",
            "correction",
            "im-01",
            "pupil of 8a: +2",
            {"visit": "v001", "group": "8a", "role": "pupil", "count": 2},
        ),
        (
            "",
            "recount",
            None,
            "41202 facts, 58 figures and 312 batches were checked: all agree.",
            {"facts": 41_202, "figures": 58, "batches": 312, "differences": 0, "broken": 0},
        ),
        ("", "alarm", "im-02", "Two starts follow the same one: the card was copied.", {"kind": "clone"}),
        (
            "rasa",
            "import",
            "im-02",
            "A stick was taken in: 402 new facts.",
            {"new": 402, "duplicates": 88, "rejected": 0},
        ),
        (
            "asta",
            "account",
            None,
            "Account rasa was made with the role office.",
            {"name": "rasa", "did": "made", "role": "office"},
        ),
        ("asta", "account", None, "Account jonas was removed.", {"name": "jonas"}),
        ("asta", "key", "im-02", "A key was taken for the lab.", {"key": KEY, "before": ""}),
        ("rasa", "quarantine", "im-02", "Looked at batch 1.", {"id": 1}),
    ]
    rows[0][4]["reason"] = "Klasės žurnalas"
    return [
        {
            "at": f"2026-11-{23 - index:02d}T12:30:00Z",
            "who": who,
            "what": what,
            "lab": lab,
            "text": text,
            "facts": facts,
        }
        for index, (who, what, lab, text, facts) in enumerate(rows)
    ]


def quarantine() -> list[Json]:
    """Return one batch that nobody looked at, and one that somebody did."""
    row = {
        "id": 2,
        "topic": "im/v1/im-02/up/jobs",
        "lab": "im-02",
        "stream": "jobs",
        "reason": "The batch is cut off after 812 bytes.",
        "size": 812,
        "head": "28b52ffd2004",
        "text": '{"specversion":"1.0","lab":"im-02","stream":"jobs","epoch":"09aa","s0":4100,"n":',
        "received": "2026-11-20T14:03:11Z",
        "seen": None,
    }
    seen = {"who": "rasa", "at": "2026-11-19T09:00:00Z", "note": "Bandymas iš biuro tinklo."}
    return [row, {**row, "id": 1, "received": "2026-11-18T07:20:00Z", "seen": seen}]


def quality(**changes: Any) -> Json:
    """Return the quality of the data, with the last recount."""
    value = {
        "explained": 4010,
        "missing": 1,
        "corrections": 6,
        "unsynced": [{"lab": "im-02", "waiting": 31, "since": "2026-11-23T10:02:40Z"}],
        "doubts": 1,
        "recount": {"at": "2026-11-23T02:10:00Z", "differences": 0},
    }
    return {**world.quality(), **value, **changes}


def digest() -> Json:
    """Return the ledger's digest."""
    return {"digest": DIGEST, "events": 41202, "as_of": "2026-11-23T12:41:07Z"}


def accounts() -> list[Json]:
    """Return an account of each role."""
    return [
        {"name": "asta", "role": "admin", "made": "2026-08-30T08:00:00Z", "last_login": "2026-11-23T08:00:00Z"},
        {"name": "rasa", "role": "office", "made": "2026-09-01T08:00:00Z", "last_login": "2026-11-23T11:50:00Z"},
        {"name": "jonas", "role": "viewer", "made": "2026-09-02T08:00:00Z", "last_login": None},
    ]


def keys() -> list[Json]:
    """Return the keys of two vans, one of which now calls another key its own."""
    return [
        {"lab": "im-01", "key": KEY, "since": "2026-09-01T08:00:00Z", "said": None},
        {"lab": "im-02", "key": HEAD, "since": "2026-09-01T08:00:00Z", "said": OTHER_KEY},
    ]
