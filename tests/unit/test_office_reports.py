# SPDX-License-Identifier: GPL-3.0-or-later
import csv
import io
import random
import statistics
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from office import reports
from office.ledger.figures import Pairs
from office.ledger.reading import JobRow, VisitRow
from office.reports.forecasting import by_due
from office.reports.interest import half_width, student

TODAY = date(2026, 6, 1)


def days(*people: int, step: int = 7) -> list[tuple[str, int]]:
    start = TODAY - timedelta(step * len(people))
    return [((start + timedelta(step * n)).isoformat(), count) for n, count in enumerate(people)]


def test_a_steady_pace_is_drawn_on():
    found = reports.forecast(days(*[100] * 20), 2_000, 6_000, TODAY)
    assert found is not None
    # 2,000 people in 141 days, 4,000 to go: 282 days.
    assert found["mid"] == (TODAY + timedelta(282)).isoformat()
    assert found["low"] < found["mid"] < found["high"]


def test_more_visits_make_the_band_narrower():
    def width(found):
        return date.fromisoformat(found["high"]) - date.fromisoformat(found["low"])

    few, many = days(*[400] * 5, step=28), days(*[100] * 20, step=7)
    assert width(reports.forecast(many, 2_000, 6_000, TODAY)) < width(reports.forecast(few, 2_000, 6_000, TODAY))


@pytest.mark.parametrize(
    ("daily", "reached"),
    [
        ([], 0),
        (days(30, 30), 60),
        (days(0, 0, 0, 0), 0),
        (days(3_000, 3_000, 1), 6_001),
        (days(9, 9, 9, step=-400), 27),
    ],
)
def test_no_forecast_where_none_can_be_made(daily, reached):
    assert reports.forecast(daily, reached, 6_000, TODAY) is None


@given(
    st.dictionaries(st.dates(), st.integers(-100, 10_000), max_size=12),
    st.integers(-100, 10**9),
    st.integers(1, 10**8),
    st.dates(),
)
def test_a_forecast_is_ordered_and_always_a_date(daily, reached, target, today):
    ordered = sorted((day.isoformat(), count) for day, count in daily.items())
    found = reports.forecast(ordered, reached, target, today)
    if found is not None:
        assert today.isoformat() <= found["low"] <= found["mid"] <= found["high"]


def test_by_the_due_day_the_pace_goes_on_and_nobody_is_taken_back():
    daily = days(*[100] * 20)
    found = by_due(daily, 2_000, TODAY + timedelta(141), TODAY)
    assert found is not None
    assert found["mid"] == 4_000
    # 141 days of the same length as those observed: v * t * (1 + 1), v = 100 ** 2 * 20 / 141.
    assert found["high"] - found["mid"] == pytest.approx(1.2816 * (100**2 * 20 * 2) ** 0.5, abs=1)
    assert 2_000 <= found["low"] < found["mid"]
    assert by_due(days(1, 1, 500), 502, TODAY + timedelta(2), TODAY)["low"] == 502
    assert by_due(daily, 2_000, TODAY, TODAY) is None
    assert by_due(days(30), 30, TODAY + timedelta(9), TODAY) is None


def test_four_of_five_seasons_end_within_the_band():
    """Draw seasons of a compound Poisson process, forecast each at half of it, and see how many bands hold the end."""
    dice, held = random.Random(1), 0
    for _ in range(400):
        season = [(day, dice.randint(10, 60)) for day in range(400) if dice.random() < 0.15]
        now = [((TODAY + timedelta(day - 200)).isoformat(), people) for day, people in season if day < 200]
        reached = sum(people for day, people in season if day < 200)
        found = by_due(now, reached, TODAY + timedelta(200), TODAY)
        held += found["low"] <= sum(people for _, people in season) <= found["high"]
    assert 0.74 <= held / 400 <= 0.88


@pytest.mark.parametrize(("degrees", "value"), [(4, 2.7764), (5, 2.5706), (9, 2.2622), (30, 2.0423), (100, 1.9840)])
def test_students_t(degrees, value):
    assert student(degrees) == pytest.approx(value, abs=0.002)


def pairs(*visits: list[int]) -> Pairs:
    sums = [(len(visit), sum(visit)) for visit in visits]
    squares = sum(one * one for visit in visits for one in visit)
    nn, nd, dd = (sum(map(of, sums)) for of in (lambda s: s[0] ** 2, lambda s: s[0] * s[1], lambda s: s[1] ** 2))
    n, d = (sum(part) for part in zip(*sums, strict=True))
    return Pairs("interest", "13_up", len(visits), n, 0, d, squares, nn, nd, dd)


def test_the_interval_of_one_visit_is_students():
    differences = [0, 1, 2, 1, 1, 0, 2, 1]
    expected = student(7) * statistics.stdev(differences) / 8**0.5
    assert half_width(pairs(differences)) == pytest.approx(expected)


def test_visits_that_differ_from_each_other_widen_the_interval():
    alike, apart = [[0, 2] * 5] * 6, [[0] * 10, [2] * 10] * 3
    assert half_width(pairs(*apart)) > 2 * half_width(pairs(*alike))
    expected = student(5) * (6 / 5 * 6 * 10**2) ** 0.5 / 60
    assert half_width(pairs(*apart)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, None),
        (-5, None),
        (2**63 - 1, "2262-04-11T23:47:16Z"),
        (10**30, None),
        (1_900_000_000_000_000_000, "2030-03-17T17:46:40Z"),
    ],
)
def test_times_are_iso_utc_or_none(ns, text):
    assert reports.iso(ns) == text


def visit(school: str, **people: int) -> VisitRow:
    return VisitRow("van-1", "v1", school, "Vilnius", "2026-03-02", "5a", 25, 3, False, people)


def parsed(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix(reports.BOM))))


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-2", "@x", "\t=1", "\r=1", "  =HYPERLINK()", "\n=1"])
def test_no_text_becomes_a_formula(evil):
    ((_, _, _, school, *_),) = parsed(reports.visits_csv([visit(evil)]))
    assert school == f"'{evil}"
    job = JobRow("van-1", evil, 1, "m", "p", "kiosk", "FAILED", None, None, 1.5, None, None, evil, -1, 1, 1)
    ((_, name, *_, reason, clock, _, _),) = parsed(reports.jobs_csv([job]))
    assert (name, reason, clock) == (f"'{evil}", f"'{evil}", "")


def test_visits_csv_has_a_mark_iso_dates_and_all_roles():
    text = reports.csv_header(reports.VISIT_COLUMNS) + reports.visits_csv([visit('Š "a, b"', pupil=20, teacher=-1)])
    assert text.startswith("\ufefflab,visit,date")
    header, row = parsed(text)
    found = dict(zip(header, row, strict=True))
    assert found["school"] == 'Š "a, b"'
    assert (found["date"], found["pupil"], found["teacher"], found["trainee"]) == ("2026-03-02", "20", "-1", "0")
    assert (found["total"], found["open"]) == ("19", "no")
