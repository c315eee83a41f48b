# SPDX-License-Identifier: GPL-3.0-or-later
"""Real programs through the whole house: upload, approval, a run on the simulated router, the office's export.

INFOMOBIL_CORPUS names their folder (see tests/data/grbl_job_times.README.md); without it these tests are skipped. What
the programs should do is not taken from the part under test: refused lines come from the record of a true controller,
the axes' end from the simulator's own truth.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import pytest_asyncio

from edge.domain.machine import Position
from edge.gcode import Dialect, Program, interpret
from edge.gcode.diagnostics import grbl_error
from edge.gcode.limits import MAX_DIAGNOSTICS
from tests.e2e.crowd import QUICK_INGEST, QUICK_SYNC
from tests.hardware_sim.lab.laboratory import LAB_ID, ZERO, Laboratory, Options
from tests.hardware_sim.lab.people import Json, Office, Operator, Wrong, until

FOLDER = os.environ.get("INFOMOBIL_CORPUS")
FILES = sorted(Path(FOLDER).glob("*.gcode")) if FOLDER else []
RECORDED = Path(__file__).parents[1] / "data" / "grbl_job_times.csv"
SPEED = 20.0
ROOMY_ZERO = (-200.0, -110.0, -60.0)
ROOMY = {
    **{"$110": "6000", "$111": "6000", "$112": "6000"},
    **{"$130": "300", "$131": "300", "$132": "80"},
}
STEP_MM = 1 / 250
"""The simulated router's resolution, `$100` to `$102`: a position is exact to half a step, and shown to 0.001 mm."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(not FILES, reason="INFOMOBIL_CORPUS names no folder with programs"),
]
programs = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def refused_lines(file: Path, program: Program) -> dict[int, int]:
    """Return {source line: GRBL's error} of what a true controller refused; its record counts lines as sent."""
    with RECORDED.open(encoding="utf-8", newline="") as record:
        notes = next((row["notes"] for row in csv.DictReader(record) if row["program"] == file.name), "")
    sent = re.findall(r"error:(\d+) at sent line (\d+)", notes)
    return {program.text.source_lines[int(line) - 1]: int(code) for code, line in sent}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    """A laboratory whose router has room for all of the programs."""
    options = Options(
        tmp_path_factory.mktemp("lab"),
        speed=SPEED,
        with_lathe=False,
        router_settings=ROOMY,
        zero=ROOMY_ZERO,
        realtime=True,
        sync_extra=QUICK_SYNC,
        ingest_extra=QUICK_INGEST,
    )
    async with Laboratory(options) as running, Operator(running.console_url) as person:
        await person.login(running.pin)
        await person.ready_router()
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def operator(lab: Laboratory) -> AsyncIterator[Operator]:
    async with Operator(lab.console_url) as person:
        await person.login(lab.pin)
        yield person


def findings(answer: httpx.Response, severity: str) -> list[Json]:
    """Return what the check of an upload has found, of one severity."""
    return [item for item in answer.json()["check"]["diagnostics"] if item["severity"] == severity]


def errors(answer: httpx.Response) -> list[Json]:
    """Return the errors of a refused upload."""
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "program"
    return findings(answer, "error")


async def row_of(lab: Laboratory, job: str, state: str) -> dict[str, str]:
    """Return the job's row of the office's export, as soon as it shows `state`."""
    async with Office(lab.office_url) as office:

        async def exported() -> dict[str, str] | None:
            answer = await office.client.get("/api/export/jobs.csv")
            assert answer.status_code == 200
            rows = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
            return next((row for row in rows if (row["job"], row["state"]) == (job, state)), None)

        found: dict[str, str] = await until(f"the office shows the job {state}", exported)
        return found


@programs
async def test_a_real_program_is_run_to_its_end_or_refused_with_line_and_reason(
    lab: Laboratory, operator: Operator, file: Path
) -> None:
    data = await asyncio.to_thread(file.read_bytes)
    first = await lab.router_truth()
    before = first["mpos_steps_mm"]
    start = Position(*(place - zero for place, zero in zip(before, ROOMY_ZERO, strict=True)))
    program = interpret(data, dialect=Dialect(start=start))
    refused = refused_lines(file, program)
    answer = await operator.upload(file.name, data)
    if refused:
        found = errors(answer)
        told = {item["line"]: (item["code"], item["message"]) for item in found}
        same = {line: grbl_error(number, line, 0) for line, number in refused.items()}
        assert told == {line: (error.code, f"{error.text} {error.remedy}") for line, error in same.items()}
        assert all(item["title"].get("") != file.name for item in await operator.get("/api/programs"))
        assert (await lab.router_truth())["mpos_steps_mm"] == before
        return
    assert answer.status_code == 201, answer.text
    wanted = {"program": answer.json()["program"]["id"], "machine": "router"}
    job = (await operator.post("/api/jobs", wanted, expect=201))["id"]
    await operator.post(f"/api/jobs/{job}/approve")
    ended = await operator.run_job(job)
    assert (ended["state"], ended["reason"]) == ("FINISHED", "")
    assert ended["line"] == ended["total_lines"] == program.total_lines
    truth = await lab.router_truth()
    assert (truth["state"], truth["moving"], truth["planner_blocks"]) == ("Idle", False, 0)
    harm = ("rx_overflow_bytes_lost", "eeprom_bytes_lost", "lost_steps", "mcu_restarts")
    assert [truth[kind] for kind in harm] == [first[kind] for kind in harm]
    end = program.segments.end[-1] + np.array(ROOMY_ZERO)
    assert truth["mpos_steps_mm"] == pytest.approx(end.tolist(), abs=STEP_MM / 2 + 0.001)
    machine = await operator.machine("router")
    assert machine["work_position"] == pytest.approx(program.segments.end[-1].tolist(), abs=STEP_MM / 2 + 0.002)
    row = await row_of(lab, job, "FINISHED")
    assert (row["lab"], row["machine"], row["origin"], row["program"]) == (
        LAB_ID,
        "router",
        "operator",
        wanted["program"],
    )
    assert (int(row["lines"]), int(row["claim"])) == (program.total_lines, ended["claim"])
    assert float(row["actual_s"]) == ended["actual_s"] > 0
    assert float(row["estimate_s"]) == pytest.approx(ended["estimate_s"])
    assert row["reason"] == ""


async def test_the_office_has_each_job_once_and_in_order(lab: Laboratory, operator: Operator) -> None:
    jobs = {job["id"]: job for job in (await operator.get("/api/snapshot"))["jobs"]}
    async with Office(lab.office_url) as office:

        async def arrived() -> bool:
            return {key: job["state"] for key, job in (await office.jobs()).items()} == {
                key: job["state"] for key, job in jobs.items()
            }

        await until("the office has all jobs", arrived)
        quality = await office.get("/api/quality")
        assert (quality["quarantined"], quality["invalid"], quality["chain_alarms"]) == (0, 0, 0)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def small_lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    """An edge whose router is the school machine of 300 x 200 x 80 mm and 3000 mm/min; no office, no broker."""
    small = Laboratory(Options(tmp_path_factory.mktemp("small"), speed=SPEED, with_lathe=False, realtime=True))
    try:
        await small.router.start()
        small.prepare_router()
        await small.edge.start()
        yield small
    finally:
        await small.edge.stop()
        await small.router.stop()


def first_beyond(program: Program) -> tuple[int | None, int | None]:
    """Return the first source lines that are too fast or end outside of the school machine; arcs by their ends only."""
    ends = program.segments.end + np.array(ZERO)
    outside = ((ends < np.array([-300.0, -200.0, -80.0])) | (ends > 0)).any(axis=1)
    too_fast = program.segments.feed > 3000
    first = (int(program.segment_lines[np.argmax(wrong)]) if wrong.any() else None for wrong in (outside, too_fast))
    return next(first), next(first)


@programs
async def test_a_program_that_does_not_fit_is_told_with_line_and_reason(small_lab: Laboratory, file: Path) -> None:
    data = await asyncio.to_thread(file.read_bytes)
    program = interpret(data)
    outside, too_fast = first_beyond(program)
    async with Operator(small_lab.console_url) as person:
        await person.login(small_lab.pin)
        await person.until_machine("router", "its zero is known", lambda m: m["travel"] and m["work_offset"])
        answer = await person.upload(file.name, data)
        for severity, code, line, words in (
            ("error", "out-of-travel", outside, "beyond the travel"),
            ("warning", "feed-over-limit", too_fast, "over the machine's 3000 mm/min"),
        ):
            if severity == "warning" and len(answer.json()["check"]["diagnostics"]) == MAX_DIAGNOSTICS:
                continue  # Errors come first, and may leave no room.
            of_code = [item for item in findings(answer, severity) if item["code"] == code]
            assert [item["line"] for item in of_code][:1] == ([] if line is None else [line])
            assert all(words in item["message"] for item in of_code)
        if answer.status_code == 201:
            assert outside is None
            assert not refused_lines(file, program)
            return
        assert errors(answer)
        assert outside or refused_lines(file, program)
        with pytest.raises(Wrong, match="404"):
            await person.post("/api/jobs", {"program": program.sha256, "machine": "router"})
