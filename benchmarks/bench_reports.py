# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how long the office's report calls take over 20 million events, here on SQLite.

One lab's school year goes through the ledger's own way in (visits, headcounts, sessions, surveys, jobs), machine states
fill it up to 9,400 events a day, and nine further labs are copies of it. The reference is the same sum of people taken
from the facts themselves, which is what a report would cost without the tables that the ingest keeps.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.stats import Row, row
from office import intake, reports
from office.facts import Item, Message
from office.ledger import seals
from office.ledger.database import Database
from office.ledger.figures import Period
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.recount import recount
from office.ledger.writer import record
from office.reports.evidence import gather
from office.reports.municipalities import municipalities
from office.reports.plan import load
from wire import topics
from wire.batch import MAX_EVENTS, Batch, Scalar, WireEvent
from wire.codec import encode_batch

LABS = 10
DAYS = 213
EVENTS_A_DAY = 9_400
VISITS_A_DAY = 4
TAPS, CARDS, JOBS = 25, 25, 19
REPEATS = 5
WALL_NS = 1_780_000_000_000_000_000
COPIED = (
    *("lab", "lab_epoch", "lab_role", "visit", "visit_count", "job", "job_tally", "machine", "correction"),
    *("survey_card", "survey_tally"),
)
Send = Callable[[str, str, list[WireEvent]], None]


def event(kind: str, **body: Scalar) -> WireEvent:
    return WireEvent(kind, body, 1_000_000_000, WALL_NS)


def visit(day: int, number: int) -> Iterator[WireEvent]:
    """Yield the facts of one visit on the stream of visits."""
    name, places = f"visit-{day}-{number}", municipalities().all
    yield event(
        "visit.opened",
        **{"visit": name, "school": f"School {(day * 7 + number) % 300}", "group": "7a", "expected": 25},
        **{"municipality": places[day % 60].name, "date": (date(2026, 9, 1) + timedelta(day)).isoformat()},
        **{"language": "lt", "school_type": "gymnasium"},
    )
    for role, count in (("pupil", 25), ("teacher", 2), ("vet_trainer", day % 2), ("pupil", -1)):
        reason = "counted twice" if count < 0 else ""
        yield event("visit.headcount", visit=name, group="7a", role=role, count=count, reason=reason)
    for n in range(TAPS):
        yield event("kiosk.session", session=f"{name}-{n}", kiosk="k1", language="lt", visit=name)
    for moment in ("before", "after"):
        for n in range(CARDS):
            marks = {"interest": 1 + n % 4 + (moment == "after"), "confidence": 1 + n % 5, "career": 3}
            card = {"card": f"{name}-{n}", "moment": moment, "band": "13_up", "visit": name, "language": "lt"}
            yield event("survey.answered", **card, **marks)
    yield event("visit.closed", visit=name)


def jobs(day: int) -> Iterator[WireEvent]:
    for n in range(VISITS_A_DAY * JOBS):
        body = {"job": f"job-{day}-{n}", "claim": n, "machine": "router", "program": "gear", "origin": "kiosk"}
        for state in ("REQUESTED", "APPROVED", "RUNNING", "FINISHED"):
            yield event("job.changed", **body, state=state, visit=f"visit-{day}-{n // JOBS}", actual_s=95.5)


def one_lab(database: Database, days: int) -> None:
    """Send one lab's year, a day an epoch, and fill each day up with states of machines."""
    for day in range(days):
        items: list[Item] = []
        epoch, told = f"epoch-{day}", [fact for n in range(VISITS_A_DAY) for fact in visit(day, n)]
        work, came_ns = list(jobs(day)), WALL_NS + day * 86_400_000_000_000
        for stream, facts in (
            ("visits", told),
            ("jobs", work),
            ("metrics", [event("machine.state", machine="router")]),
        ):
            prev: bytes | None = None
            for first in range(0, len(facts), MAX_EVENTS):
                batch = Batch("van-0", stream, epoch, epoch, first + 1, prev, tuple(facts[first : first + MAX_EVENTS]))
                payload, prev = encode_batch(batch)
                items.append(intake.read(Message(topics.up("van-0", stream), payload, len(payload), came_ns)))
        record(database, items, WALL_NS)
    states = EVENTS_A_DAY - len(told) - len(work)
    body = '{"machine":"router","availability":"AVAILABLE","execution":"ACTIVE","x":12.25,"y":88.5,"z":-1.5,"line":812}'
    with database.transaction(write=True):
        database.query(
            "insert into event (feed, seq, type, standing, boot_ns, wall_ns, received_ns, body)"
            " with recursive n (seq) as (select 2 union all select seq + 1 from n where seq < ?)"
            " select feed.id, n.seq, 'machine.state', 'understood', n.seq, ?, ?, ? from feed cross join n"
            " where feed.stream = 'metrics' order by feed.id, n.seq",
            (states, WALL_NS, WALL_NS, body),
        )
        ranges = json.dumps([[1, states]])
        database.query(
            "update feed set watermark = ?, newest = ?, ranges = ? where stream = 'metrics'", (states, states, ranges)
        )


def on_sqlite(database: Database) -> bool:
    """Return whether the ledger is one file."""
    return "rowid" in database.words["clustered"]


def columns(database: Database, table: str) -> list[str]:
    """Return the names of a table's columns."""
    if on_sqlite(database):
        return [str(found[1]) for found in database.query(f"pragma table_info({table})")]
    sql = "select column_name from information_schema.columns where table_name = ? order by ordinal_position"
    return [str(name) for (name,) in database.query(sql, (table,))]


def copy(database: Database, lab: str) -> None:
    """Make `lab` a lab like the first one."""
    with database.transaction(write=True):
        if not on_sqlite(database):
            # What is copied refers to what is there: to ask for each row takes most of the time.
            database.query("set local session_replication_role = replica")
        for table in COPIED:
            names = [name for name in columns(database, table) if name != "lab"]
            into = ", ".join(names)
            database.query(
                f"insert into {table} (lab, {into}) select ?, {into} from {table} where lab = 'van-0'", (lab,)
            )
        names = [name for name in columns(database, "feed") if name not in ("id", "lab")]
        into = ", ".join(names)
        database.query(
            f"insert into feed (lab, {into}) select ?, {into} from feed where lab = 'van-0' order by id", (lab,)
        )
        for table in ("event", "batch"):
            names = [name for name in columns(database, table) if name not in ("feed", "lab")]
            own = ", ".join(f"t.{name}" for name in names)
            database.query(
                f"insert into {table} (feed, {', '.join(names)}) select other.id, {own} from {table} t"
                " join feed on feed.id = t.feed and feed.lab = 'van-0'"
                " join feed other on other.lab = ? and other.stream = feed.stream and other.epoch = feed.epoch",
                (lab,),
            )


def calls() -> dict[str, Callable[[Database], object]]:
    """Return every call of the reports, by name."""
    plan, now = load(None).plan, datetime(2027, 6, 1, tzinfo=UTC)
    year = Period("2026-10-01", "2027-02-28", "van-3")
    found: dict[str, Callable[[Database], object]] = {
        "progress": lambda database: reports.progress(database, plan, now),
        "indicators": lambda database: reports.indicators(database, plan, now.date()),
        "map": lambda database: reports.tiles(database, Period()),
        "interest": lambda database: reports.interest(database, Period()),
        "hours": lambda database: reports.hours(database, Period()),
        "hours of a lab": lambda database: reports.hours(database, year),
        "labs": lambda database: reports.labs(database, broker_connected=True),
        "visits": lambda database: reports.visits(database, 100, 0, None),
        "jobs": lambda database: reports.jobs(database, 100, 0),
        "quality": reports.quality,
        "digest": lambda database: seals.make(database, WALL_NS),
    }
    for by in ("municipality", "school_type", "month", "role", "lab", "language"):
        found[f"by {by}"] = lambda database, by=by: reports.breakdown(database, by, Period())  # type: ignore[misc]
    return found


def timed(database: Database, question: Callable[[Database], object]) -> float:
    """Return the milliseconds that one answer takes."""
    with database.transaction(write=False):
        begin = time.perf_counter()
        question(database)
        return (time.perf_counter() - begin) * 1000


def from_facts(database: Database) -> object:
    """Return the people of each lab as the facts themselves say."""
    people: dict[str, int] = {}
    for lab, body in database.query(
        "select feed.lab, event.body from feed join event on event.feed = feed.id"
        " where feed.stream = 'visits' and event.type = 'visit.headcount'"
    ):
        people[lab] = people.get(lab, 0) + int(json.loads(body)["count"])
    return people


def measure(url: str, kind: str, *, labs: int, days: int) -> Iterator[Row]:
    """Yield the rows of one database."""
    database = connect(url)
    try:
        migrate(database)
        begin = time.perf_counter()
        one_lab(database, days)
        for number in range(1, labs):
            copy(database, f"van-{number}")
        if not on_sqlite(database):
            with database.transaction(write=True):
                for table in (*COPIED, "feed", "batch"):
                    database.query(f"analyze {table}")
        took, events = time.perf_counter() - begin, labs * days * EVENTS_A_DAY
        print(f"{kind}: {events:,} events in {took:.0f} s", file=sys.stderr)
        times = {name: sorted(timed(database, ask) for _ in range(REPEATS)) for name, ask in calls().items()}
        for name, found in times.items():
            print(f"  {name}: {found[REPEATS // 2]:.1f} ms, slowest {found[-1]:.1f} ms", file=sys.stderr)
        slowest = max(found[REPEATS // 2] for found in times.values())
        facts = timed(database, from_facts)
        name = f"slowest report call, {kind}"
        yield row(name, slowest, "ms", "people by lab from the facts themselves", facts)
        yield row(f"all report calls, {kind}", sum(found[REPEATS // 2] for found in times.values()), "ms")
        yield row(f"evidence gathered for the report, {kind}", timed(database, evidence), "ms")
        yield row(f"events under the reports, {kind}", events, "events")
        with database.transaction(write=False):
            if days < DAYS:
                assert not recount(database).differences
    finally:
        database.close()


def evidence(database: Database) -> object:
    """Return all that a report holds."""
    return gather(database, load(None), Period(), seals.make(database, WALL_NS), datetime(2027, 6, 1, tzinfo=UTC))


def size(*, quick: bool) -> dict[str, int]:
    """Return how many labs and days there are."""
    return {"labs": 4, "days": 12} if quick else {"labs": LABS, "days": DAYS}


def run(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        yield from measure(f"sqlite:///{Path(folder) / 'office.sqlite3'}", "SQLite", **size(quick=quick))


if __name__ == "__main__":
    for line in run(quick="--quick" in sys.argv):
        print(line)
