# SPDX-License-Identifier: GPL-3.0-or-later
"""One edge with a simulated router, over the same HTTP that people use: stops, refusals, bad input, restarts."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Operator, Visitor, Wrong, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

SQUARE = b"G21 G90\nG0 Z5\nG0 X5 Y5\nM3 S8000\nG1 Z-0.5 F300\nG1 X85 F600\nG1 Y45\nG1 X5\nG1 Y5\nG0 Z5\nM5\nM30\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    lab = Laboratory(Options(tmp_path_factory.mktemp("lab"), speed=10, with_lathe=False))
    await lab.router.start()
    await asyncio.to_thread(lab.prepare_router)
    await lab.edge.start()
    yield lab
    await lab.edge.stop()
    await lab.router.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def operator(lab: Laboratory) -> AsyncIterator[Operator]:
    if not lab.edge.running:
        await lab.edge.start()
    lab.tell_router("door closed")
    async with Operator(lab.console_url) as person:
        await person.login(lab.pin)
        await until("the router stands", lambda: standing(person))
        yield person


async def standing(person: Operator) -> bool:
    machine = await person.machine("router")
    return machine["availability"] == "AVAILABLE" and machine["job"] is None and machine["execution"] != "ACTIVE"


async def make_ready(person: Operator) -> None:
    machine = await person.machine("router")
    if machine["execution"] in ("FEED_HOLD", "INTERRUPTED"):
        await person.post("/api/machines/router/stop")
    await person.ready_router()
    await person.until_machine("router", "a start is permitted", lambda m: not m["refusals"]["start"])


async def cutting(lab: Laboratory, person: Operator) -> str:
    await make_ready(person)
    taken = await person.upload("square.nc", SQUARE)
    assert taken.status_code == 201, taken.text
    job = await person.post("/api/jobs", {"program": taken.json()["program"]["id"], "machine": "router"})
    await person.post(f"/api/jobs/{job['id']}/approve")
    await person.post(f"/api/jobs/{job['id']}/start", {"area_clear": True})
    await person.until_machine("router", "it cuts", lambda m: (m["progress"] or 0) > 0.15)
    return str(job["id"])


def wire(lab: Laboratory, after: int = 0) -> list[dict[str, Any]]:
    """Return what the router's side of the wire has seen, from entry `after` on."""
    entries = [json.loads(line) for line in lab.wirelog.read_text().splitlines() if line.endswith("}")]
    return entries[after:]


def order_of(entries: list[dict[str, Any]], *marks: tuple[str, str]) -> list[int]:
    """Return the index at which each (direction, text) is first seen after the one before."""
    found, at = [], 0
    for direction, text in marks:
        at = next(i for i in range(at, len(entries)) if entries[i]["dir"] == direction and text in entries[i]["data"])
        found.append(at)
    return found


async def test_hold_and_resume_at_the_console(lab: Laboratory, operator: Operator) -> None:
    job = await cutting(lab, operator)
    await operator.post("/api/machines/router/hold")
    await operator.until_machine("router", "it stands in hold", lambda m: m["execution"] == "FEED_HOLD")
    held = await until("the job shows it", lambda: held_job(operator, job))
    assert held["state"] == "HELD"
    await operator.post("/api/machines/router/resume", {"area_clear": False}, expect=409)
    await operator.post("/api/machines/router/resume", {"area_clear": True})
    ended = await operator.watch_job(job)
    assert (ended["state"], ended["reason"]) == ("FINISHED", "")
    machine = await operator.machine("router")
    assert machine["work_position"][:2] == [5.0, 5.0]
    assert machine["work_position"][2] == 5.0


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def held_job(operator: Operator, job: str) -> dict[str, Any] | None:
    shown = await operator.job(job)
    return shown if shown["state"] == "HELD" else None


async def test_stop_needs_no_login_and_keeps_the_position(lab: Laboratory, operator: Operator) -> None:
    job = await cutting(lab, operator)
    async with Operator(lab.console_url) as anybody:
        assert (await anybody.get("/api/me")) == {"operator": False}
        await anybody.post("/api/machines/router/stop")
    ended = await operator.watch_job(job)
    assert (ended["state"], ended["reason"]) == ("ABORTED", "stopped by console")
    machine = await operator.until_machine("router", "it is ready", lambda m: m["execution"] == "READY")
    assert machine["homed"]
    assert machine["fault"] == "NONE"
    assert machine["spindle"] == "OFF"


async def test_everything_else_needs_a_login(lab: Laboratory, operator: Operator) -> None:
    async with Operator(lab.console_url) as anybody:
        for path in ("machines/router/reset", "machines/router/unlock", "jobs", "visits", "programs?name=a&machine=b"):
            answer = await anybody.client.post(f"/api/{path}", json={})
            assert answer.status_code == 401, path
            assert answer.json()["error"]["remedy"] == "Enter the PIN."
        for path in ("machines/router/resume", "machines/router/home", "jobs/x/start"):
            answer = await anybody.client.post(f"/api/{path}", json={"area_clear": True})
            assert answer.status_code == 401, path
        snapshot = await anybody.get("/api/snapshot")
    assert snapshot["machines"][0]["id"] == "router"
    assert (snapshot["jobs"], snapshot["visit"], snapshot["programs"]) == ([], None, [])


async def test_a_door_opened_in_mid_cut_holds_stops_and_latches(lab: Laboratory, operator: Operator) -> None:
    job = await cutting(lab, operator)
    lab.tell_router("door open")
    ended = await operator.watch_job(job)
    assert ended["state"] == "INTERRUPTED"
    assert ended["reason"] == "the interlock tripped: Staklių durelės"
    await operator.post("/api/machines/router/reset", expect=409)
    lab.tell_router("door closed")
    await operator.until_machine("router", "a reset is possible", lambda m: not m["refusals"]["reset"])
    machine = await operator.machine("router")
    assert machine["interlock"]["state"] == "TRIPPED"
    assert machine["refusals"]["start"][0]["permissive"] == "interlock"
    await operator.post("/api/machines/router/reset")
    machine = await operator.machine("router")
    assert machine["interlock"]["state"] == "PERMITTED"
    assert machine["execution"] != "ACTIVE"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_guardian_stops_the_machine_of_a_dead_or_stuck_edge(
    lab: Laboratory, operator: Operator, number: signal.Signals
) -> None:
    job = await cutting(lab, operator)
    before = len(wire(lab))
    lab.edge.signal(number)
    await until(
        "the reset is on the wire", lambda: any("\x18" in e["data"] for e in wire(lab, before) if e["dir"] == "rx")
    )
    entries = wire(lab, before)
    assert order_of(entries, ("rx", "!"), ("tx", "<Hold:0"), ("rx", "\x18"))
    if number is signal.SIGSTOP:
        lab.edge.signal(signal.SIGCONT)
        machine = await operator.until_machine("router", "it waits for a person", lambda m: m["fault"] == "FAULT")
        assert "guardian" in machine["fault_reason"]
        assert (await operator.watch_job(job))["state"] == "INTERRUPTED"
    else:
        await lab.edge.kill()
        await lab.edge.start()
        async with Operator(lab.console_url) as again:
            await again.login(lab.pin)
            ended = await again.job(job)
            assert ended["state"] == "INTERRUPTED"
            assert "restarted during this job" in ended["reason"]
            plan = await again.get(f"/api/jobs/{job}/recovery")
            assert plan["position"] == "home again"
            assert "homed" in [refusal["permissive"] for refusal in plan["refusals"]]
            wanted = {"line": plan["line"], "area_clear": True, "approved": True}
            await again.post(f"/api/jobs/{job}/recover", wanted, expect=409)
            given_up = await again.post(f"/api/jobs/{job}/abandon")
            assert given_up["state"] == "ABORTED"
            machine = await again.until_machine("router", "it answers", lambda m: m["availability"] == "AVAILABLE")
            assert machine["interlock"]["state"] == "UNKNOWN"
            assert machine["execution"] != "ACTIVE"


async def test_a_wrong_pin_is_refused_with_a_delay_and_delays_no_stop(lab: Laboratory, operator: Operator) -> None:
    async with Operator(lab.console_url) as stranger:
        for _ in range(3):
            answer = await stranger.client.post("/api/login", json={"pin": "000000"})
            assert answer.status_code == 401
        assert answer.json()["error"]["retry_after_s"] > 0
        answer = await stranger.client.post("/api/login", json={"pin": lab.pin})
        assert answer.status_code == 401
        assert "wait" in answer.json()["error"]["why"].lower()
        await stranger.post("/api/machines/router/hold")
        await stranger.post("/api/machines/router/stop")
    await lab.edge.stop()
    await lab.edge.start()


async def test_a_faulty_program_is_refused_with_line_and_reason(lab: Laboratory, operator: Operator) -> None:
    async def diagnostics(text: bytes) -> list[tuple[int, str]]:
        answer = await operator.upload("bad.nc", text)
        assert answer.status_code == 422, text
        assert answer.json()["error"]["code"] == "program"
        found = answer.json()["check"]["diagnostics"]
        return [(item["line"], item["message"]) for item in found if item["severity"] == "error"]

    bad = {
        b"G1 X1 F100 (watch out!)\n": 1,
        b"G21\nG1 X1 \x85 F100\n": 2,
        b"G1 X1 F100\n\nG1 " + b"X1.000000000000" * 6 + b"\n": 3,
        b"G1 X9999 F100\n": 1,
        b"G0 X1\nG2 X5 Y5 F100\n": 2,
        b"G0 X1\nG10 L20 P1 X0\n": 2,
        b"G21\nT9\nG0 X1\n": 2,
        b"\x00\x01\x02 binary \xff": 1,
    }
    for text, line in bad.items():
        assert (await diagnostics(text))[0][0] == line, text
    programs = await operator.get("/api/programs")
    assert all(item["title"].get("") != "bad.nc" for item in programs)


async def test_what_the_controller_runs_at_its_limit_is_taken_with_a_warning(operator: Operator) -> None:
    answer = await operator.upload("fast.nc", b"M3 S99999\nG0 X0 Y0 Z5\nG1 X1 F99999\n")
    assert answer.status_code == 201, answer.text
    found = answer.json()["check"]["diagnostics"]
    told = [(item["line"], item["severity"], item["code"]) for item in found if item["severity"] != "note"]
    assert told == [(1, "warning", "spindle-over-limit"), (3, "warning", "feed-over-limit")]
    assert all(" The controller will run " in item["message"] for item in found[:2])


async def test_what_nobody_should_post_to_the_kiosk(lab: Laboratory, operator: Operator) -> None:
    async with Visitor(lab.kiosk_url, "k1") as visitor:
        good = {"kiosk": "k1", "session": visitor.session, "language": "lt"}
        await visitor.post("/api/kiosk/sessions", good, expect=201)
        wish = {"kiosk": "k1", "session": visitor.session, "piece": "gear", "guess_s": 60}
        for body in (
            [],
            "text",
            {},
            {**good, "language": "fr"},
            {**good, "session": "1"},
            {**good, "kiosk": "K 1"},
            {**good, "name": "Jonas"},
        ):
            answer = await visitor.client.post("/api/kiosk/sessions", json=body)
            assert answer.status_code in (400, 422), body
            assert set(answer.json()["error"]) >= {"code", "what", "why", "remedy"}
        for body in (
            {**wish, "guess_s": "long"},
            {**wish, "guess_s": -1},
            {**wish, "depth": "12"},
            {**wish, "gcode": "G0"},
        ):
            assert (await visitor.client.post("/api/kiosk/requests", json=body)).status_code == 422, body
        assert (await visitor.client.post("/api/kiosk/requests", json={**wish, "piece": "sword"})).status_code == 404
        broken = {"content": b"{" * 1000, "headers": {"Content-Type": "application/json"}}
        assert (await visitor.client.post("/api/kiosk/sessions", **broken)).status_code == 400
        assert (await visitor.client.post("/api/kiosk/sessions", content=b"x" * 10_000_000)).status_code == 413
        stranger = {**wish, "session": str(uuid.uuid4())}
        assert (await visitor.client.post("/api/kiosk/requests", json=stranger)).status_code == 409
        named = {**wish, "piece": "name-tag", "text": "日本"}
        answer = await visitor.client.post("/api/kiosk/requests", json=named)
        assert answer.status_code in (409, 422)
        for path in ("machines/router/stop", "machines/router/home", "jobs/x/start", "login", "snapshot"):
            assert (await visitor.client.post(f"/api/{path}", json={})).status_code in (404, 405), path


async def test_a_thousand_requests_at_once_are_answered_and_counted_right(lab: Laboratory, operator: Operator) -> None:
    sessions = [str(uuid.uuid4()) for _ in range(500)]
    todo = iter(sessions * 2)
    answers: list[tuple[str, int]] = []

    async def tap_all() -> None:
        async with httpx.AsyncClient(base_url=lab.kiosk_url, timeout=60, verify=False) as person:
            for session in todo:
                body = {"kiosk": "k2", "session": session, "language": "lt"}
                answers.append((session, (await person.post("/api/kiosk/sessions", json=body)).status_code))

    await asyncio.gather(*(tap_all() for _ in range(50)))
    assert {status for _, status in answers} <= {201, 429}
    counted = {session for session, status in answers if status == 201}
    assert len(counted) > 100
    machine = await operator.machine("router")
    assert machine["availability"] == "AVAILABLE"


async def test_an_unplugged_cable_interrupts_the_job_and_waits_for_a_person(
    lab: Laboratory, operator: Operator
) -> None:
    job = await cutting(lab, operator)
    lab.tell_router("unplug")
    ended = await operator.watch_job(job)
    assert ended["state"] == "INTERRUPTED"
    machine = await operator.machine("router")
    assert machine["availability"] == "UNAVAILABLE"
    answer = await operator.client.post("/api/machines/router/hold")
    assert answer.status_code == 503
    assert "hard-wired stop" in answer.json()["error"]["remedy"]
    lab.tell_router("plug")
    machine = await operator.until_machine("router", "it is back", lambda m: m["availability"] == "AVAILABLE")
    assert machine["fault"] == "FAULT"
    assert not machine["homed"]


async def test_the_edge_ends_in_order_and_leaves_no_process(lab: Laboratory, operator: Operator) -> None:
    children = children_of(lab.edge.pid)
    assert children
    await lab.edge.stop()
    assert lab.edge.process is not None
    assert lab.edge.process.returncode == 0, lab.edge.tail(40)
    await until("its children have ended", lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    with pytest.raises((Wrong, httpx.TransportError)):
        await operator.get("/api/me")
    await lab.edge.start()
