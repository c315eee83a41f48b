# SPDX-License-Identifier: GPL-3.0-or-later
"""What the console draws of the job that a machine is at: its own path and material, and nothing of another job."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from edge.domain.block import Block
from edge.gcode.scene import relief_bytes, scene_bytes
from edge.gcode.stock import Erosion
from tests.e2e import console_world as world
from tests.e2e.console_page import Open
from tests.e2e.driving import DIST, Answer, Json, Van, refusal
from tests.e2e.viewer_world import COLOURS, piece_scene, relief_of_piece, scene_of_piece, stock_of_piece, with_pictures

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

FLAT = "localStorage.setItem('infomobil.viewer', 'flat')"
STAGE = ".picture .stage"
TWIN, SCENE = "/api/machines/router/twin", "/api/machines/router/scene"


@cache
def path_of(job: str, piece: str = "gear") -> bytes:
    """Return what `GET .../machines/router/scene` answers."""
    return scene_bytes(piece_scene(piece), job=job)


@cache
def whole(job: str, piece: str = "gear") -> bytes:
    """Return the relief of a block of which nothing is cut yet."""
    size = piece_scene(piece).block.size
    relief = Erosion(Block.behind_zero((size[0], size[1], size[2])), 64).relief()
    return relief_bytes(relief, planned_mm3=282.3, seconds=0.0, job=job)


@cache
def finished(job: str) -> bytes:
    """Return the relief of a gear that is done."""
    relief = relief_of_piece("gear", 64)
    return relief_bytes(relief, planned_mm3=relief.removed_mm3, seconds=76.0, job=job)


def news(job: str | None, version: int | None) -> Json:
    removed = None if job is None else 20.0
    return {
        "type": "twin",
        "machine": "router",
        "job": job,
        "removed_mm3": removed,
        "planned_mm3": None,
        "version": version,
    }


def not_ready(_: Request) -> Answer:
    return 404, refusal("twin-not-ready", "There is nothing to show.")


def at_work(number: int, **changes: Any) -> Json:
    """Return a snapshot in which the router is at a job."""
    job = world.job(number, "RUNNING", progress=0.2, remaining_s=60.0, line=41, **changes)
    machine = {**world.cutting(), "job": job["id"], "program": job["program"], "line": 41}
    return world.snapshot(machines=[machine, world.lathe()], jobs=[job])


def show(page: Page, van: Van, snapshot: Json) -> None:
    """Let the page hear of another state of the van."""
    van.answers["GET", "/api/snapshot"] = (200, snapshot)
    van.send({"type": "snapshot", "snapshot": snapshot})


def spend(page: Page, seconds: float) -> None:
    """Let the page's clock go on, with time for answers in between."""
    for _ in range(int(seconds * 10)):
        page.clock.run_for(100)
        page.wait_for_timeout(5)


def drawn(page: Page, stage: str = STAGE) -> str:
    """Wait for a picture, and return it."""
    canvas = page.locator(f"{stage} canvas")
    expect(canvas).to_be_attached()
    for _ in range(100):
        page.clock.run_for(40)
        if canvas.evaluate(COLOURS) >= 3:
            break
        page.wait_for_timeout(20)
    spend(page, 0.5)
    picture: str = canvas.evaluate("(c) => c.toDataURL()")
    return picture


def opened(open_console: Open, snapshot: Json, **answers: Any) -> tuple[Page, Van]:
    """Open the console on a job whose twin the van shows; other answers by `twin` and `scene`."""
    page, van = open_console(world.ready())
    page.evaluate(FLAT)
    with_pictures(van)
    job = snapshot["jobs"][0]["id"]
    van.answers["GET", SCENE] = answers.get("scene", (200, path_of(job)))
    van.answers["GET", TWIN] = answers.get("twin", (200, finished(job)))
    show(page, van, snapshot)
    return page, van


def test_the_second_job_begins_with_its_own_whole_block(open_console: Open) -> None:
    page, van = opened(open_console, at_work(1))
    first = drawn(page)
    van.send(news("j1", 24))
    spend(page, 1)
    asked = len(van.asked("GET", TWIN))
    # The path of the second is still being made: the first one's piece is not what is cut now.
    van.answers["GET", TWIN] = van.answers["GET", SCENE] = not_ready
    show(page, van, at_work(2))
    expect(page.locator(STAGE)).to_have_count(0)
    spend(page, 1)
    expect(page.locator(STAGE)).to_have_count(0)
    van.answers["GET", TWIN], van.answers["GET", SCENE] = (200, whole("j2")), (200, path_of("j2"))
    van.send(news("j2", 0))
    spend(page, 1)
    second = drawn(page)
    assert second != first
    assert len(van.asked("GET", TWIN)) > asked
    asked = len(van.asked("GET", TWIN))
    van.answers["GET", TWIN] = (200, finished("j2"))
    van.send(news("j2", 1))
    spend(page, 1)
    assert len(van.asked("GET", TWIN)) == asked + 1
    assert drawn(page) == first
    assert van.asked("GET", "/api/jobs/j2/stock") == []


def test_own_words_are_drawn_by_the_path_that_the_machine_goes(open_console: Open) -> None:
    own = at_work(3, program="name-tag", title=world.NAME_TAG, text="Ugnė")
    page, van = opened(open_console, own)
    drawn(page)
    # The scene of this test's machine is a gear's: what is told is told of that and not of the list's name tag.
    said = page.locator(STAGE).evaluate(
        "(e) => document.getElementById(e.getAttribute('aria-describedby')).textContent"
    )
    assert "60 × 60 × 3 mm" in said
    # Enlarged it is the same path with the same material, and not one more picture.
    page.get_by_role("button", name="Didinti").click()
    drawn(page, ".sheet .stage")
    expect(page.locator(".sheet .title p")).to_have_text("Darbas nr. 3 „Ugnė“")
    asked = [path for _, path, _ in van.calls]
    assert (asked.count(SCENE), "/api/jobs/j3/scene" in asked) == (1, False)
    assert not {path for path in asked if path.startswith("/api/programs/name-tag/")}


@pytest.mark.parametrize("known", [True, False])
def test_own_words_without_a_twin_are_drawn_by_the_jobs_path_or_not_at_all(open_console: Open, known: bool) -> None:
    own = at_work(3, program="name-tag", title=world.NAME_TAG, text="Ugnė")
    page, van = opened(open_console, world.ready(), twin=(404, refusal("no-twin", "There is nothing to show.")))
    if not known:
        van.answers["GET", "/api/jobs/j3/scene"] = (404, refusal("wish-forgotten", "There is nothing to show."))
    show(page, van, own)
    spend(page, 1)
    expect(page.locator(STAGE)).to_have_count(int(known))
    expect(page.locator(".picture canvas")).to_be_attached()
    assert len(van.asked("GET", "/api/jobs/j3/scene")) == 1
    assert not {path for _, path, _ in van.calls if path.startswith("/api/programs/name-tag/")}


def test_where_there_is_no_twin_the_path_of_the_job_is_drawn_as_planned(open_console: Open) -> None:
    page, van = opened(open_console, at_work(1), twin=(404, refusal("no-twin", "There is nothing to show.")))
    drawn(page)
    assert len(van.asked("GET", "/api/jobs/j1/scene")) == 1
    # Nobody knows where it is on its path: then nothing of it is drawn as cut, and nothing as done.
    snapshot = at_work(1)
    snapshot["machines"][0]["line"] = None
    show(page, van, snapshot)
    expect(page.locator(STAGE)).to_have_count(0)


def test_a_page_that_is_opened_in_mid_job_shows_what_is_cut(open_console: Open) -> None:
    page, van = opened(open_console, at_work(1))
    before = drawn(page)
    van.hello[0] = {"type": "snapshot", "snapshot": at_work(1)}
    page.reload()
    assert drawn(page) == before


def test_a_twin_that_could_not_be_had_is_asked_for_again(open_console: Open) -> None:
    page, van = opened(open_console, at_work(1), twin=(200, whole("j1")))
    before = drawn(page)
    van.answers["GET", TWIN] = (503, refusal("away", "No."))
    van.send(news("j1", 7))
    spend(page, 2)
    asked = len(van.asked("GET", TWIN))
    assert drawn(page) == before
    van.answers["GET", TWIN] = (200, finished("j1"))
    for _ in range(22):
        van.send({"type": "sync", "sync": world.sync()})
        page.clock.run_for(1000)
    spend(page, 1)
    assert len(van.asked("GET", TWIN)) == asked + 1
    assert drawn(page) != before


def test_a_twin_that_is_not_shown_any_more_is_taken_away(open_console: Open) -> None:
    page, van = opened(open_console, at_work(1, text="Ugnė"))
    van.answers["GET", "/api/jobs/j1/scene"] = (404, refusal("not-found", "There is nothing to show."))
    drawn(page)
    van.answers["GET", TWIN] = (404, refusal("no-twin", "There is nothing to show."))
    van.send(news(None, None))
    spend(page, 1)
    expect(page.locator(STAGE)).to_have_count(0)


def test_beside_the_sheet_with_the_same_picture_there_is_no_second_one(open_console: Open) -> None:
    page, van = opened(open_console, at_work(1))
    drawn(page)
    page.get_by_role("button", name="Didinti").click()
    drawn(page, ".sheet .stage")
    expect(page.locator(STAGE).locator("visible=true")).to_have_count(1)
    page.keyboard.press("Escape")
    drawn(page)
    expect(page.locator(".stage")).to_have_count(1)
    assert len(van.asked("GET", SCENE)) == 1


def look_at(page: Page, program: int) -> None:
    page.locator(".add").click()
    page.locator(".sheet li").nth(program).locator("button").first.click()


def marked(page: Page, path: str, data: bytes, tags: list[str | None]) -> None:
    """Answer `path` by its mark."""

    def answer(route: Any) -> None:
        tags.append(route.request.headers.get("if-none-match"))
        if tags[-1] == '"a"':
            route.fulfill(status=304, headers={"etag": '"a"'})
        else:
            route.fulfill(status=200, headers={"etag": '"a"'}, content_type="application/octet-stream", body=data)

    page.route(f"**{path}?*", answer)


def test_each_look_asks_whether_the_picture_still_holds(open_console: Open) -> None:
    page, van = open_console(world.ready())
    page.evaluate(FLAT)
    with_pictures(van)
    scenes: list[str | None] = []
    stocks: list[str | None] = []
    marked(page, "/api/programs/gear/scene", scene_of_piece("gear"), scenes)
    marked(page, "/api/programs/gear/stock", stock_of_piece("gear"), stocks)
    for _ in range(2):
        look_at(page, 0)
        drawn(page, ".sheet .stage")
        # What a machine tells of itself is no new look.
        for feed in (100.0, 200.0):
            van.send({"type": "machine", "machine": world.router(feed=feed)})
            spend(page, 0.3)
        page.keyboard.press("Escape")
        expect(page.locator(".sheet")).to_have_count(0)
    assert scenes == stocks == [None, '"a"']


def test_a_picture_that_could_not_be_had_is_asked_for_after_a_while(open_console: Open) -> None:
    page, van = open_console(world.ready())
    page.evaluate(FLAT)
    with_pictures(van)
    van.answers["GET", "/api/programs/gear/scene"] = (503, refusal("away", "No."))
    look_at(page, 0)
    expect(page.locator(".sheet")).to_contain_text("parodyti nepavyko")
    van.answers["GET", "/api/programs/gear/scene"] = (200, scene_of_piece("gear"))
    for _ in range(21):
        van.send({"type": "sync", "sync": world.sync()})
        page.clock.run_for(1000)
    drawn(page, ".sheet .stage")


def test_what_was_refused_while_the_state_came_anew_is_asked_for_again(open_console: Open) -> None:
    page, van = open_console(world.ready())
    page.evaluate(FLAT)
    with_pictures(van)
    held: list[Any] = []
    page.route("**/api/programs/gear/scene?*", lambda route: route.fallback() if held else held.append(route))
    look_at(page, 0)
    expect(page.locator(".sheet .result")).to_be_visible()
    show(page, van, world.ready(visit=world.visit(school="Kita mokykla")))
    expect(page.locator("header, .top").first).to_contain_text("Kita mokykla")
    # The answer is of the time before, such as before a login.
    held[0].fulfill(status=404, json=refusal("not-found", "There is nothing to show."))
    drawn(page, ".sheet .stage")


def test_a_closed_sheet_takes_back_what_it_has_asked_for(open_console: Open) -> None:
    page, van = open_console(world.ready())
    page.evaluate(FLAT)
    with_pictures(van)
    van.answers["GET", "/api/programs/gear/scene"] = lambda _: None
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    look_at(page, 0)
    expect(page.locator(".sheet .told")).to_be_visible()
    assert len(van.asked("GET", "/api/programs/gear/scene")) == 1
    page.keyboard.press("Escape")
    for _ in range(100):
        if failed:
            break
        page.wait_for_timeout(20)
    assert [url for url in failed if "/api/programs/gear/scene" in url]
    van.answers["GET", "/api/programs/gear/scene"] = (200, scene_of_piece("gear"))
    look_at(page, 0)
    drawn(page, ".sheet .stage")


def test_looking_at_many_programs_costs_the_running_one_no_picture(open_console: Open) -> None:
    page, van = opened(open_console, at_work(1), twin=(404, refusal("no-twin", "There is nothing to show.")))
    names = [f"p{number}" for number in range(6)]
    snapshot = at_work(1)
    listed = [{**snapshot["programs"][0], "id": name, "title": {"": name}} for name in names]
    show(page, van, {**snapshot, "programs": [*snapshot["programs"], *listed]})
    drawn(page)
    for name in names:
        van.answers["GET", f"/api/programs/{name}/scene"] = (200, scene_of_piece("gear"))
        van.answers["GET", f"/api/programs/{name}/stock"] = (200, stock_of_piece("gear"))
        page.locator(".add").click()
        page.locator(".sheet li", has_text=name).locator("button").first.click()
        expect(page.locator(".sheet .stage canvas")).to_be_attached()
        page.keyboard.press("Escape")
        expect(page.locator(".sheet")).to_have_count(0)
    expect(page.locator(f"{STAGE} canvas")).to_be_attached()
    # Looked at anew by its mark, not fetched as one that was forgotten: it was never gone.
    page.get_by_role("button", name="Didinti").click()
    expect(page.locator(".sheet .stage canvas")).to_be_attached(timeout=500)
