# SPDX-License-Identifier: GPL-3.0-or-later
"""The central office's dashboard in Chromium, with the office's service played by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, WebError, expect

from tests.e2e import office_parts as parts
from tests.e2e import office_world as world
from tests.e2e.driving import DIST, SIZES, Answer, Json, Van, cut_words, targets
from tests.e2e.office_page import NAMES, PARTS, Open, open_part

pytestmark = pytest.mark.skipif(not (DIST / "office" / "index.html").is_file(), reason="the pages are not built")

STALE_MS = 50_000
TYPING_MS = 300
LANGUAGES = ("lt", "en")


@pytest.fixture
def open_office(lasting: Callable[..., BrowserContext]) -> Iterator[Open]:
    """Open a part of the dashboard; the page's clock moves only when a test moves it."""
    context = lasting("office", timezone_id="Europe/Vilnius")
    pages: list[Page] = []
    thrown: list[str] = []

    def note(error: WebError) -> None:
        thrown.append(str(error.error))

    context.on("weberror", note)

    def opened(size: str = "desk", language: str = "lt", part: str = "overview", **answers: Any) -> tuple[Page, Van]:
        page, van = open_part(context, part, size, language, **answers)
        pages.append(page)
        return page, van

    yield opened
    for page in pages:
        page.close()
    context.remove_listener("weberror", note)
    assert thrown == []


def test_the_number_stands_with_its_date_and_what_is_not_received(open_office: Open) -> None:
    page, _ = open_office(language="en")
    reached = world.progress()["reached"]
    expect(page.locator(".number")).to_have_text(f"{reached:,}")
    expect(page.locator(".hero")).to_contain_text("of 6,000 promised")
    expect(page.locator(".hero")).to_contain_text("As of Nov 23, 2026")
    expect(page.locator(".parts .waiting")).to_contain_text("31")
    expect(page.locator(".forecast .said")).to_contain_text("May 27, 2027")
    expect(page.locator(".forecast .band")).to_contain_text("between May 4, 2027 and June 18, 2027")
    assert page.locator(".hero circle.ring").count() == 4


def test_begun_dot_is_filled_in_part_and_rings_are_only_for_who_is_not_received(open_office: Open) -> None:
    days = [{"date": "2026-11-23", "people": 7, "cumulative": 7}]
    few = world.progress(reached=7, ledger=7, not_yet_received=0, daily=days)
    page, _ = open_office(progress=(200, few))
    expect(page.locator(".hero circle.part")).to_have_attribute("stroke-dasharray", "0.7 1")
    assert page.locator(".hero circle.full").count() == 0
    assert page.locator(".hero circle.ring").count() == 0
    page.close()
    page, _ = open_office(progress=(200, {**few, "reached": 21, "not_yet_received": 14}))
    expect(page.locator(".hero circle.ring")).to_have_count(2)


@pytest.mark.parametrize(("reached", "share"), [(26, "0.4 %"), (599, "9.9 %"), (5999, "99 %"), (6000, "100 %")])
def test_the_share_is_never_more_than_what_was_reached(open_office: Open, reached: int, share: str) -> None:
    page, _ = open_office(language="en", progress=(200, world.progress(reached=reached)))
    expect(page.locator(".hero .of")).to_contain_text(f"which is {share}")


DRAWN = """() => {
  const drawn = [];
  const draw = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (words, ...place) {
    drawn.push(words);
    draw.call(this, words, ...place);
  };
  window.drawn = drawn;
}"""


@pytest.mark.parametrize("days", [1, 3])
def test_few_days_are_drawn_on_an_axis_of_two_weeks(open_office: Open, days: int) -> None:
    daily = [{"date": f"2026-11-{20 + day}", "people": 30, "cumulative": 30 * (day + 1)} for day in range(days)]
    few = {**world.progress(), "daily": daily}
    page, _ = open_office(progress=(200, few))
    expect(page.locator(".plot canvas")).to_be_attached()
    page.evaluate(DRAWN)
    # Another theme draws the plot anew.
    page.get_by_role("button", name="Tamsiai").click()
    page.wait_for_function("window.drawn.length > 0")
    # It is drawn once more when the typeface has arrived.
    shown = {words for words in page.evaluate("window.drawn") if "-" in words}
    assert 5 <= len(shown) <= 17
    assert {words[:2] for words in shown} <= {"11", "12"}


@pytest.mark.parametrize("width", [320, 390, 700, 900, 1280])
def test_search_icon_stands_before_the_words(open_office: Open, width: int) -> None:
    page, _ = open_office(part="visits")
    page.set_viewport_size({"width": width, "height": 844})
    icon, field = page.locator(".search svg").bounding_box(), page.get_by_role("searchbox").bounding_box()
    assert icon is not None
    assert field is not None
    inset = page.get_by_role("searchbox").evaluate("field => parseFloat(getComputedStyle(field).paddingLeft)")
    assert field["x"] < icon["x"]
    assert icon["x"] + icon["width"] + 4 <= field["x"] + inset


def test_road_tells_what_has_not_arrived_and_since_when(open_office: Open) -> None:
    page, _ = open_office(language="en")
    vans = page.locator(".road > li")
    expect(vans.nth(0)).to_contain_text("Everything received.")
    expect(vans.nth(1)).to_contain_text("Not heard")
    expect(vans.nth(1)).to_contain_text("31 people not received yet, nothing new since Nov 23, 2026, 12:02")
    expect(vans.nth(1)).to_contain_text("2 things to be checked.")
    expect(vans.nth(2)).to_contain_text("Never heard yet")


def test_visits_are_paged_filtered_and_searched_through_all_pages(open_office: Open) -> None:
    page, _ = open_office(part="visits")
    rows = page.locator(".table tbody tr")
    expect(rows).to_have_count(10)
    page.get_by_role("button", name="Toliau").click()
    expect(page.locator(".pager")).to_contain_text("11–20 iš 48")
    page.locator("select").select_option("im-02")
    expect(page.locator(".pager")).to_contain_text("1–10 iš 16")
    page.locator("select").select_option("")
    page.get_by_role("searchbox").fill("druskininkų")
    page.clock.run_for(TYPING_MS)
    expect(page.locator(".pager")).to_contain_text("1–5 iš 5")
    expect(rows).to_have_count(5)
    page.get_by_role("searchbox").fill("nėra tokios")
    page.clock.run_for(TYPING_MS)
    expect(page.locator(".table")).to_contain_text("Nieko nerasta")


def test_jobs_show_guess_plan_and_outcome(open_office: Open) -> None:
    page, _ = open_office(part="machines")
    declined = page.locator(".table tbody tr", has_text="Netinkamas tekstas").first
    expect(declined).to_contain_text("atmesta")
    expect(page.locator(".table tbody tr").nth(1)).to_contain_text("1:37")


def test_exports_lead_to_the_files_of_the_period(open_office: Open) -> None:
    page, _ = open_office(part="evidence")
    page.get_by_label("Nuo").fill("2026-09-01")
    files = page.locator("#exports-title ~ .keys a").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    assert files == [
        "api/report.pdf?from=2026-09-01&lang=lt",
        "api/report.pdf?from=2026-09-01&lang=en",
        "api/report.xlsx?from=2026-09-01&lang=lt",
        "api/export/visits.csv",
        "api/export/jobs.csv",
    ]


def test_quality_tells_what_was_set_aside(open_office: Open) -> None:
    page, _ = open_office(language="en", part="evidence")
    panel = page.locator("section", has=page.locator("#quality-title"))
    expect(panel.locator("li b")).to_have_text(["1", "1", "1", "2", "1", "4,010", "6", "914"])
    expect(panel).to_contain_text("im-02: 31 records wait in the van, nothing new since Nov 23, 2026")
    expect(panel).to_contain_text("The batch is cut off after 812 bytes.")


def test_silent_service_is_told_and_the_old_number_stays(open_office: Open) -> None:
    page, van = open_office()
    expect(page.locator(".number")).to_be_visible()
    for name in NAMES:
        van.answers[("GET", f"/api/{name}")] = (0, None)
    page.clock.run_for(STALE_MS + 3000)
    expect(page.locator(".stale")).to_contain_text("Duomenys pasenę")
    expect(page.locator(".number")).to_be_visible()
    van.answers[("GET", "/api/progress")] = (200, world.progress())
    # To just after the next question: the clock drives the deadline of a call too.
    page.clock.run_for(8000)
    expect(page.locator(".stale")).to_be_hidden()


def test_service_that_never_answered_is_told_part_by_part(open_office: Open) -> None:
    page, van = open_office(**dict.fromkeys(NAMES, (0, None)))
    expect(page.locator(".failure")).to_have_count(3)
    van.answers[("GET", "/api/labs")] = (200, world.labs())
    page.locator(".failure", has_text="Nežinome, kas kelyje").get_by_role("button").click()
    expect(page.locator(".road > li")).to_have_count(3)


def nothing_yet() -> dict[str, Answer]:
    """Return the answers of an office that has heard of nobody."""
    zero = world.progress(
        reached=0, ledger=0, not_yet_received=0, sessions=0, forecast=None, daily=[], due=None, indicators=[]
    )
    clean = {name: 0 for name, value in parts.quality().items() if isinstance(value, int)}
    none: Json = {"total": 0, "rows": []}
    return {
        "progress": (200, zero),
        "labs": (200, []),
        "quality": (200, parts.quality(**clean, last_quarantine=None, recount=None, unsynced=[])),
        "visits": (200, none),
        "jobs": (200, none),
        "indicators": (200, []),
        "map": (200, [{**place, "people": 0, "visits": 0} for place in parts.places()]),
        "breakdown": (200, {"by": "municipality", "rows": [], "total": 0}),
        "interest": (200, {"smallest": 5, "rows": [], "answers": 0}),
        "hours": (200, {"rows": [], "total_hours": 0.0}),
        "machines": (200, []),
        "audit": (200, {**none, "head": "0" * 64}),
        "quarantine": (200, none),
        "accounts": (200, parts.accounts()[:1]),
        "keys": (200, []),
        "visits/im-01/v001": (200, parts.visit(entries=[], people={}, total=0)),
    }


def test_empty_office_says_so(open_office: Open) -> None:
    page, _ = open_office(**nothing_yet())
    expect(page.locator(".number")).to_have_text("0")
    expect(page.locator(".forecast .said")).to_have_text("Prognozei dar per mažai vizitų.")
    expect(page.locator("body")).to_contain_text("Dar neprisijungė nė vienas furgonas.")
    page.get_by_role("link", name="Vizitai").click()
    expect(page.locator("body")).to_contain_text("Vizitų dar nebuvo.")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_at_any_size(open_office: Open, size: str, language: str) -> None:
    everything: list[dict[str, Any]] = [{}, nothing_yet(), dict.fromkeys(NAMES, (0, None))]
    for answers in everything:
        page, _ = open_office(size, language, **{"me": (200, parts.me("admin")), **answers})
        wrong: dict[str, list[Any]] = {}
        for part in PARTS:
            page.evaluate("part => { location.hash = `#/${part}` }", part)
            expect(page.locator("main")).to_have_attribute("data-part", part.split("/")[0])
            page.wait_for_load_state("networkidle")
            # A tile of the map is small on a phone; the rows below it say the same and need no touch.
            small = [item for item in targets(page) if item["height"] < 55.5 and item["width"] > 60]
            if found := [*cut_words(page), *small]:
                wrong[part] = found
        assert wrong == {}
        page.close()
