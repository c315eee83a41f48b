# SPDX-License-Identifier: GPL-3.0-or-later
"""Indicators, breakdowns, the map, hours and interest over a ledger of each kind."""

import asyncio
import itertools
import random

import httpx
import pytest

from office.api import create_app
from office.config import OfficeSettings
from office.ledger import Ledger, checks, figures, migrations
from office.ledger.figures import Period
from office.ledger.opening import connect
from office.ledger.steps import MIGRATIONS
from office.ledger.steps import figures as step
from office.ledger.steps.first import FIRST
from office.reports import interest
from tests.support.office import NOW_NS, Sender, closed, headcount, job, presence
from tests.support.reports import answer, correction, season, visit
from wire.batch import WireEvent

pytest_plugins = ("tests.support.office_fixtures",)

PLAN = """
[[indicator]]
id = "people"
label = { lt = "Žmonės", en = "People" }
unit = "people"
counts = "reached"
target = 100
due = 2090-01-01
[[indicator.milestone]]
date = 2026-03-31
target = 20
[[indicator.milestone]]
date = 2026-04-30
target = 25
[[indicator.milestone]]
date = 2089-01-01
target = 40
[[indicator]]
id = "programmes"
label = { lt = "Programos", en = "Programmes" }
unit = "programmes"
counts = "stated"
target = 2
[[indicator.stated]]
date = 2026-02-01
value = 1
source = "order no. 7"
[[indicator.stated]]
date = 2089-01-01
value = 2
source = "to come"
"""


@pytest.fixture
async def filled(ledger):
    await ledger.record(season())
    return ledger


@pytest.fixture
async def ask(filled, tmp_path):
    plan = tmp_path / "indicators.toml"
    plan.write_text(PLAN, encoding="utf-8")
    app = create_app(OfficeSettings(indicators=plan), filled, lambda: True, None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090") as client:

        async def get(path, **query):
            answer = await client.get(path, params=query)
            assert answer.status_code == 200, answer.text
            return answer.json()

        yield get


async def test_indicators_with_history_milestones_and_statements(ask, filled):
    await filled.record([presence(totals={"e1": {"people": 40, "corrected": 1, "sessions": 3}})])
    people, programmes = await ask("/api/indicators")
    assert (people["value"], people["not_yet_received"], people["target"]) == (39, 5, 100)
    assert people["history"] == [
        {"date": "2026-03-02", "value": 21},
        {"date": "2026-04-13", "value": 22},
        {"date": "2026-05-11", "value": 34},
    ]
    assert people["milestones"] == [
        {"date": "2026-03-31", "target": 20, "value": 21, "met": True},
        {"date": "2026-04-30", "target": 25, "value": 22, "met": False},
        {"date": "2089-01-01", "target": 40, "value": None, "met": None},
    ]
    assert set(people["forecast"]) == {"low", "mid", "high", "by_due"}
    assert people["forecast"]["by_due"]["low"] >= 39
    assert (programmes["value"], programmes["forecast"]) == (1, None)
    assert programmes["history"] == [{"date": "2026-02-01", "value": 1}]


async def test_two_names_of_one_municipality_are_one_row(ask):
    found = await ask("/api/breakdown", by="municipality")
    assert [(row["key"], row["total"], row["visits"], row["sessions"]) for row in found["rows"]] == [
        ("56", 55, 2, 3),
        ("Liepāja", 12, 1, 0),
    ]
    assert found["rows"][0]["label"] == {"lt": "Kretingos r. sav.", "en": "Kretingos r. sav."}
    assert found["rows"][0]["people"] == {"pupil": 19, "teacher": 3, "vet_trainer": 3, "trainee": 30}
    assert found["total"] == 67


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("school_type", [("vocational", 31), ("gymnasium", 24), ("", 12)]),
        ("month", [("2026-03", 24), ("2026-04", 31), ("2026-05", 12)]),
        ("role", [("pupil", 31), ("trainee", 30), ("teacher", 3), ("vet_trainer", 3)]),
        ("lab", [("van-1", 67)]),
        ("language", [("lt", 36), ("en", 31)]),
    ],
)
async def test_each_breakdown_adds_up_to_the_same(ask, by, rows):
    found = await ask("/api/breakdown", by=by)
    assert [(row["key"], row["total"]) for row in found["rows"]] == rows
    assert found["total"] == sum(total for _, total in rows) == 67


async def test_a_period_and_a_lab_narrow_a_breakdown(ask):
    found = await ask("/api/breakdown", **{"by": "month", "from": "2026-03-03", "to": "2026-04-13"})
    assert [row["key"] for row in found["rows"]] == ["2026-04"]
    assert (await ask("/api/breakdown", by="lab", lab="van-2"))["rows"] == []


@pytest.mark.parametrize("query", ["by=shoe", "by=lab&from=yesterday", "by=lab&lab=A;B", ""])
async def test_what_cannot_be_asked_is_said(ask, filled, query):
    app = create_app(OfficeSettings(), filled, lambda: True, None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090") as client:
        assert (await client.get(f"/api/breakdown?{query}")).status_code == 422


async def test_the_map_has_every_municipality_and_the_others(ask):
    tiles = await ask("/api/map")
    assert len(tiles) == 61
    by_name = {tile["name"]: tile for tile in tiles}
    assert (by_name["Kretingos r. sav."]["people"], by_name["Kretingos r. sav."]["visits"]) == (22, 2)
    assert by_name["Liepāja"] == {
        "code": None,
        "name": "Liepāja",
        "column": None,
        "row": None,
        "people": 12,
        "visits": 1,
    }
    assert by_name["Vilniaus m. sav."]["people"] == 0


async def test_hours_of_all_time_and_of_a_period(ask):
    assert await ask("/api/hours") == {
        "rows": [
            {
                "lab": "van-1",
                "machine": "router",
                "jobs": {"ABORTED": 1, "FINISHED": 2},
                "hours": 0.88,
                "parts": 0,
            }
        ],
        "total_hours": 0.88,
    }
    (row,) = (await ask("/api/hours", **{"from": "2026-03-01", "to": "2026-03-31"}))["rows"]
    assert (row["jobs"], row["hours"], row["parts"]) == ({"FINISHED": 1}, 0.5, None)


async def test_interest_is_of_pairs_in_closed_visits_with_enough_of_them(ask, filled):
    found = await ask("/api/interest")
    rows = {(row["question"], row["band"]): row for row in found["rows"]}
    assert len(rows) == 9
    assert found["smallest"] == 5
    interest = rows["interest", "13_up"]
    assert (interest["pairs"], interest["before"], interest["after"], interest["difference"]) == (10, 1.9, 4.0, 2.1)
    assert interest["interval"][0] < 2.1 < interest["interval"][1]
    assert (rows["confidence", "13_up"]["pairs"], rows["confidence", "13_up"]["interval"]) == (6, [0.0, 0.0])
    hidden = rows["career", "13_up"]
    assert hidden["hidden"]
    assert {hidden[name] for name in ("pairs", "before", "after", "difference", "interval")} == {None}
    assert found["answers"] == 2 * (10 + 6)
    more = Sender(epoch="e2")
    many = (answer(f"c{n}", moment, 3, visit="v9", band="11_12") for n in range(9) for moment in ("before", "after"))
    await filled.record([more.batch(visit("v9", "2026-06-01"), *many)])
    assert (await ask("/api/interest")) == found, "a visit that goes on is not in it"
    await filled.record([more.batch(closed("v9"))])
    assert (await ask("/api/interest"))["answers"] == found["answers"] + 18


async def test_no_difference_of_any_two_questions_is_a_small_group(ledger):
    """Ask for all periods and labs there are: each answer is made of whole visits of five or more, and nothing else."""
    dice = random.Random(5)
    days = [f"2026-03-{day:02}" for day in range(1, 7)]
    sizes = {}
    for lab in ("van-1", "van-2"):
        sender = Sender(lab=lab)
        for number, day in enumerate(days * 2):
            name = f"v{number}"
            events = [visit(name, day)]
            for card in range(dice.choice((0, 1, 2, 3, 4, 5, 6, 9))):
                marks = [dice.choice((None, 1, 2, 3, 4, 5)) for _ in range(3)]
                band = dice.choice(("under_11", "13_up"))
                for moment in ("before", "after"):
                    events.append(answer(f"{name}-{card}", moment, *marks, visit=name, band=band))
                for question, mark in zip(("interest", "confidence", "career"), marks, strict=True):
                    key = (lab, day, name, question, band)
                    sizes[key] = sizes.get(key, 0) + (mark is not None)
            await ledger.record([sender.batch(*events, closed(name))])
    periods = [Period(a, b, lab) for a in days for b in days if a <= b for lab in (None, "van-1", "van-2")]
    periods += [Period(None, None, lab) for lab in (None, "van-1", "van-2")]
    answers = [await ledger.read(lambda database, period=period: interest(database, period)) for period in periods]
    shown = 0
    for place in range(9):
        counts = []
        for period, found in zip(periods, answers, strict=True):
            row = found["rows"][place]
            assert row["hidden"] == (row["pairs"] is None)
            expected = sum(
                n
                for (lab, day, _, question, band), n in sizes.items()
                if n >= 5
                and (question, band) == (row["question"], row["band"])
                and (period.lab in (None, lab))
                and (period.first or "") <= day <= (period.last or "9")
            )
            assert (row["pairs"] or 0) == expected
            counts.append(expected)
            shown += expected > 0
        for (wide, many), (narrow, few) in itertools.permutations(zip(periods, counts, strict=True), 2):
            if holds(wide, narrow):
                assert many - few == 0 or many - few >= 5
    assert shown


def holds(wide, narrow):
    inside = (wide.first or "") <= (narrow.first or "") and (narrow.last or "9") <= (wide.last or "9")
    return inside and wide.lab in (None, narrow.lab)


async def test_the_quality_says_what_lacks_and_why(ask, filled):
    before = await ask("/api/quality")
    assert (before["missing"], before["explained"], before["corrections"], before["unsynced"]) == (0, 0, 1, [])
    assert (before["doubts"], before["recount"]) == (0, None)
    safety, metrics = Sender(stream="safety", epoch="e8"), Sender(stream="metrics", epoch="e8", next_seq=31)
    gap = {"stream": "metrics", "epoch": "e8", "first": 1, "last": 20, "reason": "quota"}
    state = {"machine": "router", "availability": "AVAILABLE", "execution": "READY"}
    await filled.record(
        [
            safety.batch(WireEvent("stream.gap", gap, 1_000_000_000, NOW_NS)),
            metrics.batch(WireEvent("machine.state", state, 1_000_000_000, NOW_NS)),
            presence(epoch="e9", closed={"e8": {"metrics": 31}}),
        ]
    )
    findings = await filled.check()
    await filled.change(lambda database: checks.save(database, findings))
    found = await ask("/api/quality")
    assert (found["missing"], found["explained"]) == (10, 20)
    assert [(row["lab"], row["waiting"]) for row in found["unsynced"]] == [("van-1", 10)]
    assert found["recount"]["differences"] == 0
    assert found["recount"]["at"].endswith("Z")


async def test_corrections_have_both_values(filled):
    rows = await filled.read(lambda database: figures.corrections(database, Period(), 10))
    assert [(row.school, row.people, row.reason, row.by, row.first, row.corrected) for row in rows] == [
        ("School of v1", -1, "one was counted twice", "operator", 20, 19)
    ]
    assert await filled.read(lambda database: figures.count_corrections(database, Period("2026-04-01"))) == 0


async def test_any_order_of_facts_gives_the_same_tables_and_the_recount_agrees(database_url, ledger):
    batches = [*season(), *season("van-2")]
    extra = Sender(epoch="e0")
    batches += [extra.batch(answer("a1", "before", 5, 5, 5), answer("a1", "after", 1), job("j1", "REQUESTED"))]
    random.Random(3).shuffle(batches)
    for batch in [*batches, *batches]:
        await ledger.record([batch])
    found = await ledger.recount()
    assert found.differences == ()
    assert found.figures > 60


async def test_two_workers_that_bring_both_halves_at_once_agree(database_url, ledger):
    """A card's answers and a job's changes of two epochs, in two transactions that begin together."""
    other = Ledger(database_url)
    try:
        for turn in range(12):
            halves = []
            for moment, state in (("before", "RUNNING"), ("after", "FINISHED")):
                people = Sender(epoch=f"e{turn}{moment}")
                shop = Sender(epoch=f"e{turn}{moment}", stream="jobs")
                cards = [answer(f"{turn}-{n}", moment, 2, 3, 4, visit=f"v{turn}") for n in range(8)]
                work = [job(f"{turn}-{n}", state, visit=f"v{turn}", actual_s=1.5) for n in range(8)]
                halves.append([people.batch(*cards), shop.batch(*work)])
            await asyncio.gather(ledger.record(halves[0]), other.record(halves[1]))
        assert (await ledger.recount()).differences == ()
        found = await ledger.read(lambda database: figures.work(database, Period()))
        assert found["van-1", "router"].jobs == {"FINISHED": 96}
    finally:
        await other.close()


async def test_the_recount_finds_what_was_touched(filled):
    for statement in (
        "update job_tally set jobs = jobs + 1 where state = 'FINISHED'",
        "update survey_tally set after_sum = after_sum + 1",
        "update survey_card set after_interest = 5 where card = 'b1'",
        "update correction set reason = 'none'",
        "update visit set school_type = 'university'",
    ):
        before = len((await filled.recount()).differences)
        await filled.change(lambda database, sql=statement: database.query(sql))
        assert len((await filled.recount()).differences) > before


async def test_a_ledger_from_before_is_filled_up(filled):
    """Take the tables of the step away, as a ledger of version 1.0 had none, and make the step again."""
    (migration,) = step.FIGURES
    assert migration in MIGRATIONS

    def again(database):
        for table in ("job_tally", "correction"):
            database.query(f"delete from {table}")
        migration.fill(database)

    await filled.change(again)
    assert (await filled.recount()).differences == ()


def test_a_ledger_of_version_1_0_is_brought_up_to_date(database_url, monkeypatch):
    database = connect(database_url)
    try:
        with monkeypatch.context() as earlier:
            earlier.setattr(migrations, "MIGRATIONS", FIRST)
            migrations.migrate(database)
        body = '{"visit":"v1","group":"5a","role":"pupil","count":-2,"reason":"twice"}'
        with database.transaction(write=True):
            for sql, values in (
                ("insert into feed (lab, stream, epoch) values (?, 'visits', 'e1')", ("van-1",)),
                ("insert into visit (lab, visit, date) values (?, 'v1', '2026-03-02')", ("van-1",)),
                ("insert into visit_count values ('van-1', 'v1', '5a', 'pupil', 8)", ()),
                ("insert into event values (1, 1, 'visit.headcount', 'understood', 5, 6, 7, ?)", (body,)),
                (
                    "insert into job (lab, job, rank, epoch, seq, claim, machine, program, origin, state, reason,"
                    " visit, actual_s, boot_ns, wall_ns, received_ns) values"
                    " ('van-1', 'j1', ?, 'e1', 1, 7, 'router', 'gear', 'kiosk', 'FINISHED', '', 'v1', 2.5, 1, 1, 1)",
                    (2**40,),
                ),
            ):
                database.query(sql, values)
        migrations.migrate(database)
        with database.transaction(write=False):
            assert figures.work(database, Period("2026-03-01"))["van-1", "router"].actual_ms == 2_500
            (row,) = figures.corrections(database, Period(), 10)
            assert (row.first, row.people, row.corrected, row.reason, row.by) == (10, -2, 8, "twice", "")
    finally:
        database.close()


async def test_an_empty_ledger_has_reports(database_url, tmp_path):
    empty = Ledger(database_url)
    app = create_app(OfficeSettings(), empty, lambda: True, None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090") as client:
        for path in ("indicators", "breakdown?by=month", "map", "interest", "hours", "digest"):
            assert (await client.get(f"/api/{path}")).status_code == 200
    await empty.close()


async def test_a_count_that_came_before_its_visit_has_no_name(ledger, tmp_path):
    await ledger.record([Sender().batch(headcount("v7", 4), correction("v7", -1, "left early"))])
    app = create_app(OfficeSettings(), ledger, lambda: True, None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090") as client:
        for by in ("municipality", "month", "school_type", "language"):
            (row,) = (await client.get("/api/breakdown", params={"by": by})).json()["rows"]
            assert (row["key"], row["label"]["en"], row["total"]) == ("", "Not known", 3)
