# SPDX-License-Identifier: GPL-3.0-or-later
"""A small season of visits, jobs, surveys and corrections for the tests of the reports."""

from __future__ import annotations

from office.facts import Item
from tests.support.office import NOW_NS, Sender, closed, headcount, job, opened, tap
from wire.batch import Scalar, WireEvent


def visit(name: str, date: str, municipality: str = "Vilnius", language: str = "lt", kind: str | None = "gymnasium"):
    event = opened(name, school=f"School of {name}", date=date)
    body = {**event.body, "municipality": municipality, "language": language, "school_type": kind}
    return WireEvent(event.type, body, event.boot_ns, event.wall_ns)


def answer(card: str, moment: str, *marks: int | None, visit: str | None = "v1", band: str = "13_up") -> WireEvent:
    interest, confidence, career = (*marks, None, None, None)[:3]
    body: dict[str, Scalar] = {"card": card, "moment": moment, "band": band, "visit": visit, "language": "lt"}
    body |= {"interest": interest, "confidence": confidence, "career": career}
    return WireEvent("survey.answered", body, 6_500_000_000, NOW_NS)


def correction(name: str, count: int, reason: str, role: str = "pupil") -> WireEvent:
    event = headcount(name, count, role)
    return WireEvent(event.type, {**event.body, "reason": reason, "by": "operator"}, event.boot_ns, event.wall_ns)


def season(lab: str = "van-1") -> list[Item]:
    """Return the batches of three visits: two in one municipality under two names, one abroad of the map."""
    people, shop = Sender(lab=lab), Sender(lab=lab, stream="jobs")
    return [
        people.batch(
            visit("v1", "2026-03-02", "Kretingos r."),
            headcount("v1", 20),
            headcount("v1", 2, "teacher"),
            headcount("v1", 3, "vet_trainer"),
            correction("v1", -1, "one was counted twice"),
            tap("s1", "v1"),
            *(answer(f"a{n}", "before", 2 + n % 2, 3) for n in range(6)),
            *(answer(f"a{n}", "after", 4, 3, visit=None) for n in range(6)),
            *(answer(f"b{n}", moment, 1 + 3 * (moment == "after")) for n in range(4) for moment in ("before", "after")),
            closed("v1"),
        ),
        people.batch(
            visit("v2", "2026-04-13", "Kretingos rajono savivaldybė", "en", "vocational"),
            headcount("v2", 30, "trainee"),
            headcount("v2", 1, "teacher"),
            tap("s2", "v2"),
            tap("s3", "v2"),
            closed("v2"),
        ),
        people.batch(visit("v3", "2026-05-11", "Liepāja", kind=None), headcount("v3", 12)),
        shop.batch(
            job("j1", "RUNNING", visit="v1"),
            job("j1", "FINISHED", visit="v1", actual_s=1800.0),
            job("j2", "ABORTED", visit="v2", actual_s=900.0),
            job("j3", "FINISHED", actual_s=450.0),
        ),
    ]
