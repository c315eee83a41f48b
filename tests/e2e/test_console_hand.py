# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand from the console in Chromium: what a finger, a key and a lost page send, and when they end it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.e2e import console_world as world
from tests.e2e.console_page import Open, hold, spend
from tests.e2e.driving import DIST, Json, Van, refusal
from tests.e2e.jog_service import JogService

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

RENEW_MS = 100
LEASE_MS = 250


def by_hand(open_console: Open, machine: Json | None = None, *, size: str = "desk") -> tuple[Page, Van, JogService]:
    """Open the page on which the router is moved by hand; its service confirms and ends leases."""
    page, van = open_console(world.snapshot(machines=[machine or world.router()]), size)
    service = JogService(page)
    page.locator(".commands button", has_text="Rankinis").click()
    expect(page.locator(".pad")).to_be_visible()
    return page, van, service


def arm(page: Page) -> None:
    page.locator(".motion .confirmed").click()
    expect(page.locator("[data-jog='X+']")).to_be_enabled()


def press(page: Page, service: JogService, key: str = "X+") -> None:
    """Rest a finger on a key of the pad until the service has confirmed the motion."""
    page.locator(f"[data-jog='{key}']").hover()
    page.mouse.down()
    expect(page.locator(".pad")).to_contain_text(f"Juda {key}")
    assert service.kinds[-1] == "begin"


def settled(page: Page, service: JogService) -> None:
    """The page has ended the motion, and heard that the axes stand."""
    expect(page.locator(".pad .centre")).not_to_contain_text("Juda")
    count = len(service.heard)
    assert service.kinds[-1] == "end"
    page.clock.run_for(500)
    assert len(service.heard) == count


def test_pad_is_dead_until_somebody_has_looked(open_console: Open) -> None:
    page, _, service = by_hand(open_console)
    key = page.locator("[data-jog='X+']")
    expect(key).to_be_disabled()
    expect(page.locator(".pad .centre")).to_have_text("Išjungta")
    arm(page)
    expect(key).to_be_enabled()
    assert service.heard == []


def test_holding_a_key_begins_a_lease_and_renews_it_ten_times_a_second(open_console: Open) -> None:
    page, _, service = by_hand(open_console)
    arm(page)
    press(page, service)
    begun = service.begun[0]
    assert (begun["towards"], begun["feed"]) == ([1, 0, 0], 300)
    assert isinstance(begun["pointer"], int)
    page.clock.run_for(1000)
    assert service.kinds == ["begin", *["renew"] * 10]
    page.mouse.up()
    settled(page, service)
    assert service.kinds == ["begin", *["renew"] * 10, "end"]


def test_renewals_come_in_time_by_the_real_clock(open_console: Open) -> None:
    page, _ = open_console(world.snapshot(machines=[world.router()]), clock=False)
    service = JogService(page)
    page.evaluate(
        "() => { const send = WebSocket.prototype.send; window.sent = [];"
        " WebSocket.prototype.send = function (text) { window.sent.push(performance.now()); send.call(this, text); }; }"
    )
    page.locator(".commands button", has_text="Rankinis").click()
    arm(page)
    press(page, service)
    page.wait_for_function("() => window.sent.length > 15")
    page.mouse.up()
    expect(page.locator(".pad .centre")).not_to_contain_text("Juda")
    times = page.evaluate("() => window.sent.slice(0, 15)")
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(times))
    assert gaps[len(gaps) // 2] < LEASE_MS / 2


@pytest.mark.parametrize("key", ["X+", "X−", "Y+", "Y−", "Z+", "Z−"])
def test_every_key_leads_where_it_points(open_console: Open, key: str) -> None:
    page, _, service = by_hand(open_console)
    arm(page)
    press(page, service, key)
    page.mouse.up()
    settled(page, service)
    index, sign = "XYZ".index(key[0]), 1 if key[1] == "+" else -1
    assert service.begun[0]["towards"] == [sign if axis == index else 0 for axis in range(3)]


def _slide_off(page: Page) -> None:
    page.mouse.move(5, 5)


def _blur(page: Page) -> None:
    page.evaluate("window.dispatchEvent(new Event('blur'))")


def _hide(page: Page) -> None:
    page.evaluate(
        "() => { Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )


def _second_pointer(page: Page) -> None:
    finger = "{pointerId: 77, pointerType: 'touch', bubbles: true}"
    page.evaluate(f"document.body.dispatchEvent(new PointerEvent('pointerdown', {finger}))")


def _cancel(page: Page) -> None:
    page.locator("[data-jog='X+']").dispatch_event("pointercancel")


def _leave_the_page(page: Page) -> None:
    page.evaluate("window.dispatchEvent(new Event('pagehide'))")


@pytest.mark.parametrize(
    "loss", [_slide_off, _blur, _hide, _second_pointer, _cancel, _leave_the_page], ids=lambda loss: loss.__name__[1:]
)
def test_motion_ends_at_once_when_the_hold_is_lost(open_console: Open, loss: Callable[[Page], None]) -> None:
    page, _, service = by_hand(open_console)
    arm(page)
    press(page, service)
    loss(page)
    settled(page, service)
    assert service.kinds == ["begin", "end"]


def test_hidden_page_must_be_armed_anew(open_console: Open) -> None:
    page, _, service = by_hand(open_console)
    arm(page)
    press(page, service)
    _hide(page)
    settled(page, service)
    expect(page.locator("[data-jog='X+']")).to_be_disabled()


def _touch(session: CDPSession, kind: str, *points: tuple[int, float, float]) -> None:
    touched = [{"id": number, "x": x, "y": y} for number, x, y in points]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})


def _middle(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_second_finger_on_the_glass_ends_the_motion(open_console: Open) -> None:
    page, _, service = by_hand(open_console)
    arm(page)
    session = page.context.new_cdp_session(page)
    first, second = _middle(page, "[data-jog='X+']"), _middle(page, "[data-jog='Y+']")
    _touch(session, "touchStart", (1, *first))
    expect(page.locator(".pad")).to_contain_text("Juda X+")
    _touch(session, "touchStart", (1, *first), (2, *second))
    settled(page, service)
    _touch(session, "touchEnd")
    settled(page, service)
    assert service.kinds == ["begin", "end"]


def test_finger_that_slides_off_its_key_has_let_go(open_console: Open) -> None:
    page, _, service = by_hand(open_console)
    arm(page)
    session = page.context.new_cdp_session(page)
    x, y = _middle(page, "[data-jog='X+']")
    _touch(session, "touchStart", (1, x, y))
    expect(page.locator(".pad")).to_contain_text("Juda X+")
    _touch(session, "touchMove", (1, x, y + 200))
    settled(page, service)
    _touch(session, "touchEnd")
    assert service.kinds == ["begin", "end"]


def test_lost_socket_ends_the_motion_and_is_opened_again(open_console: Open) -> None:
    page, van, service = by_hand(open_console)
    arm(page)
    press(page, service)
    service.sockets[-1].close()
    expect(page.locator(".hand .news")).to_contain_text("Nėra ryšio rankiniam valdymui")
    expect(page.locator("[data-jog='X+']")).to_be_disabled()
    page.mouse.up()
    spend(page, van, 1100)
    expect(page.locator(".hand .news")).to_contain_text("Nutrūko ryšys")
    assert len(service.sockets) == 2
    assert service.kinds == ["begin"]


def test_end_of_the_travel_and_refusal_are_told(open_console: Open) -> None:
    page, _, service = by_hand(open_console)
    arm(page)
    press(page, service)
    service.say({"type": "ended", "reason": "the end of the travel", "error": None})
    expect(page.locator(".hand .news")).to_have_text("Sustojo: ašies eigos galas.")
    page.mouse.up()
    assert service.kinds == ["begin"]
    press(page, service)
    error = refusal("interlock", "No.", "Door: open.", "Close it.", reasons=[world.DOOR_OPEN])["error"]
    service.say({"type": "ended", "reason": "stopped", "error": error})
    expect(page.locator(".hand .news .what")).to_have_text("Router: rankomis judinti negalima.")
    page.mouse.up()


def test_trip_in_mid_motion_ends_it_and_disarms(open_console: Open) -> None:
    page, van, service = by_hand(open_console)
    arm(page)
    press(page, service)
    tripped = {**world.tripped(), "job": None}
    van.send({"type": "machine", "machine": tripped})
    settled(page, service)
    expect(page.locator(".motion .refusal .what")).to_have_text("Router: rankomis judinti negalima.")
    van.send({"type": "machine", "machine": world.router()})
    expect(page.locator("[data-jog='X+']")).to_be_disabled()


def test_arrow_key_is_the_same_lease_and_a_second_key_ends_it(open_console: Open) -> None:
    page, _, service = by_hand(open_console)
    arm(page)
    page.keyboard.down("ArrowUp")
    expect(page.locator(".pad")).to_contain_text("Juda Y+")
    page.keyboard.down("ArrowUp")
    page.clock.run_for(3 * RENEW_MS)
    assert service.kinds == ["begin", "renew", "renew", "renew"]
    page.keyboard.down("PageUp")
    settled(page, service)
    page.keyboard.up("PageUp")
    page.keyboard.up("ArrowUp")
    assert service.begun == [{"type": "begin", "towards": [0, 1, 0], "feed": 300, "pointer": 0}]


def test_step_goes_once_per_touch_at_the_chosen_speed(open_console: Open) -> None:
    page, van, service = by_hand(open_console)
    van.answers[("POST", "/api/machines/router/jog")] = (200, {})
    arm(page)
    page.get_by_role("radio", name="0,1").click()
    page.get_by_role("radio", name="Įprastai").click()
    page.locator("[data-jog='Z−']").click()
    expect(page.locator(".pad .centre")).to_have_text("Palietus: 0,1 mm")
    assert van.asked("POST", "/api/machines/router/jog") == [{"by": [0, 0, -0.1], "feed": 1500, "area_clear": True}]
    assert service.heard == []


def test_refused_step_tells_why(open_console: Open) -> None:
    page, van, _ = by_hand(open_console)
    said = refusal("refused", "No.", "Door: open.", "Close it.", reasons=[world.DOOR_OPEN])
    van.answers[("POST", "/api/machines/router/jog")] = (409, said)
    arm(page)
    page.get_by_role("radio", name="10").click()
    page.locator("[data-jog='X+']").click()
    expect(page.locator(".hand .news .what")).to_have_text("Router: rankomis judinti negalima.")


def test_lock_and_back_leave_no_page_that_moves(open_console: Open) -> None:
    page, van, service = by_hand(open_console)
    arm(page)
    page.keyboard.down("ArrowRight")
    expect(page.locator(".pad")).to_contain_text("Juda X+")
    page.get_by_role("button", name="Atgal").dispatch_event("click")
    expect(page.locator(".pad")).to_have_count(0)
    assert service.kinds == ["begin", "end"]
    page.locator(".commands button", has_text="Rankinis").click()
    van.answers[("POST", "/api/logout")] = (200, {})
    van.hello = [{"type": "snapshot", "snapshot": world.locked()}]
    page.get_by_role("button", name="Užrakinti").click()
    expect(page.locator(".pad")).to_have_count(0)


def test_zero_names_its_axes_and_moves_nothing(open_console: Open) -> None:
    page, van, _ = by_hand(open_console)
    van.answers[("POST", "/api/machines/router/zero")] = (200, world.router())
    page.get_by_role("button", name="X = 0").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("checkbox", name="X")).to_be_checked()
    sheet.get_by_role("checkbox", name="Y").click()
    sheet.get_by_role("button", name="Čia nulis: X, Y").click()
    expect(sheet).to_be_hidden()
    assert van.asked("POST", "/api/machines/router/zero") == [{"reads": {"x": 0, "y": 0}}]


def test_probing_shows_what_to_clamp_and_what_was_found(open_console: Open) -> None:
    page, van, _ = by_hand(open_console)
    found = {"contacts": [[-262.5, -152.25, -9.0]], "set": {"x": 0.0, "y": 0.0, "z": 12.0}, "text": ""}
    van.answers[("POST", "/api/machines/router/probe")] = (200, found)
    page.get_by_role("button", name="Matuoti").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("radio", name="Kampas").click()
    expect(sheet).to_contain_text("kampinę plokštelę")
    expect(sheet.get_by_role("img", name="Kampas")).to_be_visible()
    sheet.get_by_role("radio", name="3,175").click()
    expect(sheet.locator(".hold")).to_be_disabled()
    sheet.get_by_role("checkbox").click()
    hold(page, van)
    expect(sheet.locator(".found")).to_contain_text("X +0.000")
    expect(sheet.locator(".found")).to_contain_text("Z +12.000")
    expect(sheet.locator(".hold")).to_be_disabled()
    body = {"cycle": "corner", "tool_diameter": 3.175, "area_clear": True}
    assert van.asked("POST", "/api/machines/router/probe") == [body]


def test_probing_offers_what_the_machine_has(open_console: Open) -> None:
    machine = world.router(hand=world.hand(plate=False, corner=False, park=False))
    page, van, _ = by_hand(open_console, machine)
    expect(page.get_by_role("button", name="Parkuoti")).to_have_count(0)
    page.get_by_role("button", name="Matuoti").click()
    expect(page.get_by_role("dialog").get_by_role("radio")).to_have_text(["Skylė", "Įrankis"])
    said = refusal("probe", "No.", "Nothing was touched on the way.", "Look at the lead.")
    van.answers[("POST", "/api/machines/router/probe")] = (409, said)
    page.get_by_role("dialog").get_by_role("checkbox").click()
    hold(page, van)
    expect(page.get_by_role("dialog").locator(".refusal .what")).to_have_text("Router: nematuojama.")


def test_park_needs_a_look_and_a_key_held_down(open_console: Open) -> None:
    page, van, _ = by_hand(open_console)
    van.answers[("POST", "/api/machines/router/park")] = (200, {})
    page.get_by_role("button", name="Parkuoti").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("checkbox").click()
    hold(page, van)
    expect(sheet).to_be_hidden()
    assert van.asked("POST", "/api/machines/router/park") == [{"area_clear": True}]


def test_override_shows_what_the_controller_reports_not_what_was_asked(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/machines/router/overrides")] = (200, {"feed": 100, "rapid": 100, "spindle": 100})
    page.get_by_role("button", name="Daugiau").click()
    page.locator("[data-menu=overrides]").click()
    row = page.locator("[data-override=feed]")
    expect(row.locator(".figure b")).to_have_text("90")
    row.get_by_role("button", name="+10").click()
    expect(row.get_by_role("button", name="+10")).to_be_enabled()
    expect(row.locator(".figure b")).to_have_text("90")
    machine = {**world.cutting(), "overrides": {"feed": 100, "rapid": 100, "spindle": 100}}
    van.send({"type": "machine", "machine": machine})
    expect(row.locator(".figure b")).to_have_text("100")
    page.locator("[data-override=rapid]").get_by_role("button", name="25 %").click()
    page.locator("[data-override=spindle]").get_by_role("button", name="−1", exact=True).click()
    expect(page.locator("[data-override=spindle] .figure")).to_contain_text("praneša valdiklis")
    asked = van.asked("POST", "/api/machines/router/overrides")
    assert asked == [{"feed": 100}, {"rapid": 25}, {"spindle": 99}]
