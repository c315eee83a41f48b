# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a school day, in their kinds and proportions."""

from __future__ import annotations

from wire.batch import Scalar, WireEvent

WALL_NS = 1_780_000_000_000_000_000


def visit_fact(n: int) -> WireEvent:
    """Return one fact of the stream of visits: headcounts and taps, in the proportions of the day."""
    return main_job(n // 3 * 10 + n % 3)


def main_job(n: int) -> WireEvent:
    """Return one fact of a school day: mostly a machine's state, some taps, jobs and headcounts."""
    body: dict[str, Scalar]
    match n % 10:
        case 0:
            kind = "visit.headcount"
            body = {"visit": f"visit-{n // 500}", "group": "5a", "role": "pupil", "count": 1 + n % 25}
        case 1 | 2:
            kind = "kiosk.session"
            body = {"session": f"session-{n}", "kiosk": "k1", "language": "lt", "visit": f"visit-{n // 500}"}
        case 3:
            kind = "job.changed"
            body = {"job": f"job-{n // 40}", "claim": n % 100, "machine": "router", "program": "gear"}
            body |= {"origin": "kiosk", "state": "RUNNING", "visit": f"visit-{n // 500}", "guess_s": 60.0}
        case _:
            kind = "machine.state"
            body = {"machine": "router", "availability": "AVAILABLE", "execution": "ACTIVE"}
            body |= {"x": n * 0.1, "y": n * 0.2, "z": -1.5, "feed": 800.0, "spindle": 10_000.0, "line": n}
    return WireEvent(kind, body, n * 200_000_000, WALL_NS + n * 200_000_000)
