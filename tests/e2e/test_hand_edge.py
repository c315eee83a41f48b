# SPDX-License-Identifier: GPL-3.0-or-later
"""One edge with a simulated router, moved by hand over the HTTP and the WebSocket that the console uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Operator, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

BEGIN = {"type": "begin", "towards": [-1, 0, 0], "feed": 300, "pointer": 1}
RENEW, END = {"type": "renew"}, {"type": "end"}
QUICK_HOMING = {"$24": "500", "$25": "4000"}
CLEAR = {"area_clear": True}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    folder = tmp_path_factory.mktemp("hand")
    lab = Laboratory(Options(folder, speed=4, with_lathe=False, router_settings=QUICK_HOMING))
    await lab.router.start()
    await asyncio.to_thread(lab.prepare_router)
    await lab.edge.start()
    yield lab
    await lab.edge.stop()
    await lab.router.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def operator(lab: Laboratory) -> AsyncIterator[Operator]:
    """Return an operator beside a homed router that stands in the middle of its travel."""
    lab.tell_router("door closed")
    async with Operator(lab.console_url) as person:
        await person.login(lab.pin)
        machine = await person.until_machine("router", "it answers", lambda m: m["availability"] == "AVAILABLE")
        if not machine["homed"] or machine["refusals"]["jog"]:
            await person.ready_router()
        await person.until_machine("router", "it may be moved", lambda m: not m["refusals"]["jog"])
        yield person


@asynccontextmanager
async def jog_key(person: Operator) -> AsyncIterator[ClientConnection]:
    cookie = "; ".join(f"{key}={value}" for key, value in person.client.cookies.items())
    address = person.url.replace("http://", "ws://") + "/api/machines/router/jog"
    async with connect(address, additional_headers={"Cookie": cookie}, proxy=None) as socket:
        yield socket


async def say(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        heard: dict[str, Any] = json.loads(await socket.recv())
        return heard


async def press(socket: ClientConnection, **changes: Any) -> None:
    await say(socket, {**BEGIN, **changes})
    assert await hear(socket) == {"type": "jogging"}


async def renewing(socket: ClientConnection, times: int) -> None:
    """Renew twice as often as a page does: the computer that runs the tests is busy with others."""
    for _ in range(times):
        await asyncio.sleep(0.05)
        await say(socket, RENEW)


async def place(lab: Laboratory) -> list[float]:
    truth = await lab.router_truth()
    return [round(value, 2) for value in truth["physical_mm"]]


async def stands(lab: Laboratory, person: Operator) -> list[float]:
    """Wait until the machine stands, truly and by its own word; return where it truly is, in mm."""

    async def still() -> bool:
        return not (await lab.router_truth())["moving"]

    await until("nothing moves", still)
    await person.until_machine("router", "it says so", lambda m: m["execution"] == "READY")
    before = await place(lab)
    await asyncio.sleep(0.3)
    assert await place(lab) == before
    return before


async def test_a_step_moves_as_far_as_it_says(lab: Laboratory, operator: Operator) -> None:
    before = await place(lab)
    await operator.post("/api/machines/router/jog", {"by": [-5, -2.5, 0], "feed": 1500, **CLEAR})
    after = await place(lab)
    assert [round(b - a, 2) for a, b in zip(before, after, strict=True)] == [-5.0, -2.5, 0.0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"by": [1, 0, 0], "feed": 500, "area_clear": False}, 409),
        ({"by": [1, 0, 0], "feed": 1501, "area_clear": True}, 409),
        ({"by": [0, 0, 0], "feed": 500, "area_clear": True}, 409),
        ({"by": [0, 0, 49], "feed": 500, "area_clear": True}, 409),
        ({"by": [1, 0, 0], "feed": 2500, "area_clear": True}, 422),
        ({"by": [1, 0], "feed": 500, "area_clear": True}, 422),
        ({"by": [1, 0, "0"], "feed": 500, "area_clear": True}, 422),
        ({"by": [1, 0, 0], "feed": 500}, 422),
        ([], 422),
    ],
)
async def test_a_step_that_is_refused_says_why(lab: Laboratory, operator: Operator, body: object, status: int) -> None:
    before = await place(lab)
    refused = (await operator.post("/api/machines/router/jog", body, expect=status))["error"]
    assert all(refused[key] for key in ("code", "what", "why", "remedy"))
    assert await place(lab) == before


async def test_a_key_moves_while_it_is_renewed(lab: Laboratory, operator: Operator) -> None:
    before = await place(lab)
    async with jog_key(operator) as socket:
        await press(socket)
        await renewing(socket, 16)
        await say(socket, END)
        assert await hear(socket) == {"type": "ended", "reason": "released", "error": None}
    moved = before[0] - (await stands(lab, operator))[0]
    assert moved > 4


async def test_a_missed_renewal_ends_it(lab: Laboratory, operator: Operator) -> None:
    async with jog_key(operator) as socket:
        await press(socket)
        assert await hear(socket) == {"type": "ended", "reason": "not renewed", "error": None}
        await stands(lab, operator)


async def test_a_closed_socket_ends_it(lab: Laboratory, operator: Operator) -> None:
    async with jog_key(operator) as socket:
        await press(socket)
    await stands(lab, operator)


async def test_a_second_page_ends_it(lab: Laboratory, operator: Operator) -> None:
    async with jog_key(operator) as first, jog_key(operator) as second:
        await press(first)
        await say(second, BEGIN)
        assert (await hear(second))["error"]["code"] == "idle"
        assert (await hear(first))["reason"] == "released"
        await stands(lab, operator)


async def test_an_opened_door_ends_it_and_the_position_is_kept(lab: Laboratory, operator: Operator) -> None:
    async with jog_key(operator) as socket:
        await press(socket)
        lab.tell_router("door open")
        ended = asyncio.create_task(hear(socket))
        while not ended.done():
            await renewing(socket, 1)
        error = (await ended)["error"]
        assert error["code"] == "motion-stopped"
        assert "Staklių durelės" in error["why"]
    lab.tell_router("door closed")
    await operator.until_machine("router", "a reset is possible", lambda m: not m["refusals"]["reset"])
    before = await place(lab)
    await operator.post("/api/machines/router/reset")
    machine = await operator.until_machine("router", "it may be moved", lambda m: not m["refusals"]["jog"])
    assert await stands(lab, operator) == before
    assert machine["homed"]


@pytest.mark.parametrize("command", ["stop", "hold"])
async def test_stop_and_hold_need_no_login_and_end_it_for_good(
    lab: Laboratory, operator: Operator, command: str
) -> None:
    async with jog_key(operator) as socket, Operator(lab.console_url) as anybody:
        await press(socket)
        await anybody.post(f"/api/machines/router/{command}")
        assert (await hear(socket))["error"]["code"] == "motion-stopped"
    machine = await operator.until_machine("router", "it may be moved", lambda m: not m["refusals"]["jog"])
    assert machine["homed"]
    await stands(lab, operator)


async def test_parking_goes_to_its_place(lab: Laboratory, operator: Operator) -> None:
    await operator.post("/api/machines/router/park", CLEAR)
    machine = await operator.machine("router")
    assert machine["machine_position"] == [-5.0, -5.0, -5.0]
    assert machine["hand"] == {
        "plate": True,
        "corner": True,
        "tool_setter": True,
        "park": True,
        "max_feed": 1500.0,
        "max_step": 50.0,
    }


@asynccontextmanager
async def touching(lab: Laboratory, *lines: str) -> AsyncIterator[None]:
    """Put conductive parts under the tool, and take them away again."""
    for line in lines:
        lab.tell_router(line)
    try:
        yield
    finally:
        for line in lines:
            lab.tell_router("tool 0 0" if line.startswith("tool") else f"{line.split()[0]} off")


async def stand_at(person: Operator, *machine: float) -> None:
    """Park, then go to a place by steps that are permitted."""
    await person.post("/api/machines/router/park", CLEAR)
    way = [there + 5.0 for there in machine]
    for by in ([way[0], way[1], 0.0], [0.0, 0.0, way[2]]):
        if any(by):
            await person.post("/api/machines/router/jog", {"by": by, "feed": 1500, **CLEAR})


async def probe(person: Operator, cycle: str, **more: float) -> dict[str, Any]:
    """Run a cycle; returns its answer with the machine after it."""
    probed: dict[str, Any] = await person.post("/api/machines/router/probe", {"cycle": cycle, **more, **CLEAR})
    return {**probed, "machine": await person.machine("router")}


async def test_a_zero_is_set_by_hand(lab: Laboratory, operator: Operator) -> None:
    machine = await operator.post("/api/machines/router/zero", {"reads": {"x": 0, "y": 10.5}})
    assert machine["id"] == "router"
    shown = await operator.until_machine("router", "it reads so", lambda m: m["work_position"][:2] == [0.0, 10.5])
    assert shown["work_offset"][2] == -40.0
    for reads in ({}, {"x": "0"}, {"a": 1}, {"x": 5000}):
        await operator.post("/api/machines/router/zero", {"reads": reads}, expect=422 if reads else 409)


async def test_a_plate_is_probed(lab: Laboratory, operator: Operator) -> None:
    await stand_at(operator, -30, -30, -5)
    async with touching(lab, "plate -15"):
        probed = await probe(operator, "plate")
    assert probed["set"] == {"z": pytest.approx(17.0, abs=0.02)}
    assert probed["machine"]["work_offset"][2] == pytest.approx(-15 - 12, abs=0.03)
    assert probed["machine"]["work_position"][2] == pytest.approx(17.0, abs=0.03)


async def test_a_corner_is_probed(lab: Laboratory, operator: Operator) -> None:
    await stand_at(operator, -40, -35, -5)
    async with touching(lab, "tool 0 6", "box -50 -45 -10 -5 -12"):
        probed = await probe(operator, "corner", tool_diameter=6.0)
    assert probed["machine"]["work_offset"] == pytest.approx([-40, -35, -24], abs=0.05)
    assert len(probed["contacts"]) == 3


async def test_a_bore_is_probed(lab: Laboratory, operator: Operator) -> None:
    await stand_at(operator, -40, -35, -10)
    async with touching(lab, "tool 0 4", "bore -41.5 -33.5 7 -8"):
        probed = await probe(operator, "bore")
    assert probed["machine"]["work_offset"][:2] == pytest.approx([-41.5, -33.5], abs=0.05)
    assert "10.0" in probed["text"]


async def test_the_next_tool_is_measured_and_z_follows(lab: Laboratory, operator: Operator) -> None:
    async with touching(lab, "plate -20", "tool 0 0"):
        first = await probe(operator, "tool")
        assert first["set"] == {}
        lab.tell_router("tool 2.5")
        second = await probe(operator, "tool")
        assert "2.50 mm longer" in second["text"]
        before, after = (answer["machine"]["work_offset"][2] for answer in (first, second))
        assert after - before == pytest.approx(2.5, abs=0.02)


async def test_a_probe_that_finds_nothing_leaves_the_axes_standing(lab: Laboratory, operator: Operator) -> None:
    await stand_at(operator, -30, -30, -5)
    before = (await operator.machine("router"))["work_offset"]
    body = {"cycle": "plate", **CLEAR}
    error = (await operator.post("/api/machines/router/probe", body, expect=409))["error"]
    assert error["code"] == "probe-failed"
    await stands_in_alarm(lab, operator)
    await operator.post("/api/machines/router/unlock")
    machine = await operator.until_machine("router", "it may be moved", lambda m: not m["refusals"]["jog"])
    assert machine["homed"]
    assert machine["work_offset"] == before


async def stands_in_alarm(lab: Laboratory, person: Operator) -> None:
    machine = await person.machine("router")
    assert machine["execution"] == "STOPPED"
    assert not (await lab.router_truth())["moving"]
    assert machine["refusals"]["unlock"] == []


async def test_a_cycle_is_stopped_by_anybody(lab: Laboratory, operator: Operator) -> None:
    await stand_at(operator, -30, -30, -5)
    body = {"cycle": "plate", **CLEAR}
    probing = asyncio.create_task(operator.post("/api/machines/router/probe", body, expect=409))
    await operator.until_machine("router", "it probes", lambda m: m["execution"] == "ACTIVE")
    async with Operator(lab.console_url) as anybody:
        await anybody.post("/api/machines/router/stop")
    assert (await probing)["error"]["code"] == "motion-stopped"
    machine = await operator.until_machine("router", "it may be moved", lambda m: not m["refusals"]["jog"])
    assert machine["homed"]
    await stands(lab, operator)


async def test_overrides_are_what_the_controller_confirms(lab: Laboratory, operator: Operator) -> None:
    confirmed = await operator.post("/api/machines/router/overrides", {"feed": 83, "rapid": 50, "spindle": 110})
    assert confirmed == {"feed": 83, "rapid": 50, "spindle": 110}
    shown = await operator.until_machine("router", "it says so", lambda m: m["overrides"] == confirmed)
    assert shown["overrides"] == confirmed
    for body, status in (({"rapid": 75}, 422), ({"feed": 300}, 422), ({"feed": "80"}, 422), ({}, 409)):
        await operator.post("/api/machines/router/overrides", body, expect=status)
    await operator.post("/api/machines/router/overrides", {"feed": 100, "rapid": 100, "spindle": 100})


async def test_settings_are_kept_compared_and_restored(lab: Laboratory, operator: Operator) -> None:
    path = "/api/machines/router/settings"
    shown = await operator.get(path)
    assert (shown["profile"], shown["differences"]) == (False, [])
    assert {"number": 22, "value": "1"}.items() <= next(s for s in shown["settings"] if s["number"] == 22).items()
    assert (await operator.post(f"{path}/keep"))["profile"]
    assert (await operator.machine("router"))["settings_differ"] == 0
    await operator.post(f"{path}/restore", {"numbers": [22], "confirm": False}, expect=409)
    await operator.post(f"{path}/restore", {"numbers": [999], "confirm": True}, expect=409)
    # A controller that is asked for its state just now is busy for a moment.
    await operator.until_machine("router", "settings can be restored", lambda m: not m["refusals"]["settings"])
    assert (await operator.post(f"{path}/restore", {"numbers": [22], "confirm": True}))["differences"] == []
    machine = await operator.machine("router")
    assert not machine["homed"]
    assert machine["refusals"]["probe"][0]["permissive"] == "homed"
    await operator.ready_router()
    assert (await operator.machine("router"))["homed"]


TOOL_CHANGE = b"G21 G90 G54\nG0 Z5\nM3 S8000\nG0 X5\nG1 Z-0.5 F600\nM5\nM6 T2\nM3 S8000\nG0 X10\nG0 Z5\nM5\nM30\n"
LONG = b"G21 G90 G54\nG0 Z5\nM3 S8000\nG0 X5 Y5\nG1 Z-0.5 F600\n" + b"G1 X60\nG1 X5\n" * 20 + b"G0 Z5\nM5\nM30\n"


async def started(person: Operator, name: str, program: bytes, *, measured: bool = False) -> str:
    """Make the router ready with its zero in the middle of the travel, and start a program."""
    await person.post("/api/machines/router/park", CLEAR)
    await person.post("/api/machines/router/zero", {"reads": {"x": 100, "y": 100, "z": 40}})
    await person.until_machine("router", "the zero is told", lambda m: m["work_position"] == [100.0, 100.0, 40.0])
    if measured:
        assert (await probe(person, "tool"))["set"] == {}
    taken = await person.upload(name, program)
    assert taken.status_code == 201, taken.text
    job = await person.post("/api/jobs", {"program": taken.json()["program"]["id"], "machine": "router"})
    await person.post(f"/api/jobs/{job['id']}/approve")
    await person.post(f"/api/jobs/{job['id']}/start", CLEAR)
    return str(job["id"])


async def in_state(person: Operator, job: str, state: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        shown = await person.job(job)
        return shown if shown["state"] == state else None

    found: dict[str, Any] = await until(f"the job is {state}", look)
    return found


async def test_a_tool_is_changed_with_the_hand_free(lab: Laboratory, operator: Operator) -> None:
    job = await started(operator, "two tools.nc", TOOL_CHANGE)
    waiting = await until("it waits for the tool", lambda: waits(operator, job))
    assert (waiting["kind"], waiting["tool"], waiting["line"]) == ("tool", 2, 7)
    await operator.until_machine("router", "the hand is free", lambda m: not m["refusals"]["jog"])
    await operator.post("/api/machines/router/jog", {"by": [0, 0, 2], "feed": 1000, **CLEAR})
    path = f"/api/jobs/{job}/continue"
    await operator.post(path, {"area_clear": False}, expect=409)
    refused = await operator.post(path, CLEAR, expect=409)
    assert refused["error"]["code"] == "tool-length"
    await operator.post(path, {"same_length": True, **CLEAR})
    assert (await operator.watch_job(job))["state"] == "FINISHED"


async def test_a_changed_tool_is_measured_and_the_job_goes_on(lab: Laboratory, operator: Operator) -> None:
    async with touching(lab, "plate -20", "tool 0 0"):
        job = await started(operator, "two tools.nc", TOOL_CHANGE, measured=True)
        await until("it waits for the tool", lambda: waits(operator, job))
        await operator.until_machine("router", "the hand is free", lambda m: not m["refusals"]["probe"])
        before = (await operator.machine("router"))["work_offset"][2]
        lab.tell_router("tool 2.5")
        after = (await probe(operator, "tool"))["machine"]["work_offset"][2]
        assert after - before == pytest.approx(2.5, abs=0.02)
        await operator.post(f"/api/jobs/{job}/continue", CLEAR)
        assert (await operator.watch_job(job))["state"] == "FINISHED"


async def waits(person: Operator, job: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (await person.job(job))["waits"]
    return found


async def test_an_interrupted_job_is_recovered_from_a_plan(lab: Laboratory, operator: Operator) -> None:
    job = await started(operator, "long.nc", LONG)
    await operator.until_machine("router", "it cuts", lambda m: (m["progress"] or 0) > 0.1)
    lab.tell_router("door open")
    await in_state(operator, job, "INTERRUPTED")
    plan = await operator.get(f"/api/jobs/{job}/recovery")
    assert (plan["job"], plan["position"]) == (job, "kept")
    assert len(plan["plan"]) == 3
    assert plan["moves"]
    assert plan["refusals"]
    body = {"line": plan["line"], "approved": True, **CLEAR}
    await operator.post(f"/api/jobs/{job}/recover", body, expect=409)
    lab.tell_router("door closed")
    await operator.until_machine("router", "a reset is possible", lambda m: not m["refusals"]["reset"])
    await operator.post("/api/machines/router/reset")
    await operator.until_machine("router", "a start is permitted", lambda m: not m["refusals"]["start"])
    for wrong, status in (({"approved": False}, 409), ({"area_clear": False}, 409), ({"line": 0}, 422)):
        await operator.post(f"/api/jobs/{job}/recover", {**body, **wrong}, expect=status)
    running = await operator.post(f"/api/jobs/{job}/recover", body)
    assert running["state"] == "RUNNING"
    await operator.until_machine("router", "it cuts again", lambda m: m["execution"] == "ACTIVE")
    lab.tell_router("door open")
    await in_state(operator, job, "INTERRUPTED")
    assert (await operator.post(f"/api/jobs/{job}/abandon"))["state"] == "ABORTED"
    await operator.post(f"/api/jobs/{job}/abandon", expect=409)
    await operator.client.get("/api/jobs/none/recovery")
    lab.tell_router("door closed")
    await operator.until_machine("router", "a reset is possible", lambda m: not m["refusals"]["reset"])
    await operator.post("/api/machines/router/reset")


async def test_the_black_box_is_listed_exported_and_told(lab: Laboratory, operator: Operator) -> None:
    path = "/api/machines/router/recordings"
    listed = await operator.get(path)
    assert listed
    assert set(listed[0]) == {"name", "program", "job", "claim", "bytes", "began", "ended"}
    exported = await operator.client.get(f"{path}/{listed[0]['name']}")
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert lines[-1]["end"]
    assert any(line.get("dir") == "tx" for line in lines)
    told = await operator.get(f"{path}/{listed[0]['name']}/story")
    assert all(isinstance(sentence, str) and sentence for sentence in told["sentences"])
    for name in ("999", "none", "..%2f..%2fpin", "1.ring"):
        assert (await operator.client.get(f"{path}/{name}")).status_code == 404, name
    assert (await operator.client.get("/api/machines/mill/recordings")).status_code == 404


async def test_everything_by_hand_needs_a_login(lab: Laboratory, operator: Operator) -> None:
    async with Operator(lab.console_url) as anybody:
        for path in ("jog", "park", "probe", "zero", "overrides", "settings/keep", "settings/restore"):
            answer = await anybody.client.post(f"/api/machines/router/{path}", json={})
            assert answer.status_code == 401, path
        for path in ("/api/opening/relocate", "/api/opening/router/clamps"):
            assert (await anybody.client.post(path, json={"confirmed": True})).status_code == 401
        assert (await anybody.client.get("/api/machines/router/settings")).status_code == 401
        async with jog_key(anybody) as socket:
            await asyncio.wait_for(socket.wait_closed(), 5)
            assert socket.close_code == 4401
        assert (await anybody.get("/api/snapshot"))["opening"] is None


async def test_the_whole_checklist_after_a_drive(lab: Laboratory, operator: Operator) -> None:
    opening = await operator.post("/api/opening/relocate")
    assert opening["needed"]
    assert [(row["item"], row["done"], row["by"]) for row in opening["machines"]["router"]] == [
        ("stop_circuit", False, "input"),
        ("door", False, "input"),
        ("home", False, "input"),
        ("clamps", False, "person"),
    ]
    machine = await operator.machine("router")
    assert not machine["homed"]
    assert [refusal["permissive"] for refusal in machine["refusals"]["start"]] == ["opening", "homed"]
    await operator.post("/api/opening/router/door", {"confirmed": True}, expect=409)
    await operator.post("/api/opening/router/clamps", {"confirmed": False}, expect=409)
    await operator.post("/api/opening/router/clamps", {"confirmed": True})
    await operator.post("/api/opening/router/wheels", {"confirmed": True}, expect=404)

    async def done(item: str) -> bool:
        rows = (await operator.get("/api/snapshot"))["opening"]["machines"]["router"]
        return bool(next(row["done"] for row in rows if row["item"] == item))

    async def seen(item: str) -> bool:
        rows = (await operator.get("/api/snapshot"))["opening"]["machines"]["router"]
        return "seen" in next(row["text"] for row in rows if row["item"] == item)

    lab.tell_router("door open")
    await until("the open door is seen", lambda: seen("door"))
    lab.tell_router("door closed")
    await until("the closed door is seen", lambda: done("door"))
    await lab.edge.stop()
    await lab.edge.start()
    await operator.login(lab.pin)
    await operator.until_machine("router", "it answers", lambda m: m["availability"] == "AVAILABLE")
    assert await done("door")
    assert not await done("home")
    lab.tell_router("button reset press")
    await until("the pressed stop is seen", lambda: seen("stop_circuit"))
    lab.tell_router("button reset release")
    await until("the released stop is seen", lambda: done("stop_circuit"))
    await operator.ready_router()
    await until("homing is seen", lambda: done("home"))
    assert not (await operator.get("/api/snapshot"))["opening"]["needed"]
    await operator.until_machine("router", "a start is permitted", lambda m: not m["refusals"]["start"])
