# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from edge.domain.machine import Position
from edge.domain.ports import ProgramText
from edge.drivers.grbl.job import Job, JobPhase
from edge.drivers.grbl.protocol import ErrorReply, Ok, State, StatusReport
from edge.drivers.grbl.state import Reading, fold

SECOND = 1_000_000_000
STALL = 5 * SECOND


def program(*lines: str) -> ProgramText:
    return ProgramText("p", lines, tuple(range(11, 11 + len(lines))))


def job(*lines: str) -> Job:
    return Job(program(*lines), 127, STALL, 0)


def reading(
    state: State, x: float = 0.0, *, feed: float = 0.0, at: float = 0.0, substate: int | None = None
) -> Reading:
    report = StatusReport(state, substate, machine=(x, 0.0, 0.0), feed=feed)
    return fold(None, report, round(at * SECOND), inches=False)


def test_a_program_ends_with_a_dwell_and_idle() -> None:
    run = job("G0X1", "G0X2")
    assert run.start() == b"G0X1\nG0X2\n"
    assert (run.line, run.progress) == (None, 0.0)
    assert run.replied(Ok(), 1) == b""
    assert (run.line, run.progress) == (11, 0.5)
    assert run.replied(Ok(), 2) == b"G4 P0.01\n"
    assert run.phase is JobPhase.DRAINING
    run.reported(reading(State.IDLE))
    assert not run.ended
    assert run.replied(Ok(), 3) == b""
    run.reported(reading(State.RUN))
    assert not run.ended
    run.reported(reading(State.IDLE))
    assert run.phase is JobPhase.FINISHED
    assert run.failure is None


def test_an_error_names_the_line_of_the_source() -> None:
    run = job("G0X1", "G1X", "G0X3")
    run.start()
    run.replied(Ok(), 1)
    assert run.replied(ErrorReply(2), 2) == b""
    assert run.failure is not None
    assert run.failure.source_line == 12
    assert run.failure.stop
    assert run.failure.reason == "line 12 'G1X': a number is missing or malformed (error:2)"
    assert run.replied(Ok(), 3) == b""


def test_a_refused_dwell_fails_too() -> None:
    run = job("G0X1")
    run.start()
    run.replied(Ok(), 1)
    run.replied(ErrorReply(9), 2)
    assert run.failure is not None
    assert "final dwell" in run.failure.reason


@pytest.mark.parametrize("state", [State.RUN, State.IDLE])
def test_stillness_without_ok_fails(state: State) -> None:
    run = job("G0X1")
    run.start()
    run.unreadable()
    run.reported(reading(state, at=1))
    run.reported(reading(state, at=6))
    assert not run.ended
    run.reported(reading(state, at=6.2))
    assert run.failure is not None
    assert run.failure.stop
    assert "none of 1 lines was acknowledged" in run.failure.reason
    assert "interference" in run.failure.reason


def test_signs_of_life_keep_a_program_going() -> None:
    run = job("G0X1", "G0X2")
    run.start()
    for second in range(0, 40, 4):
        run.reported(reading(State.RUN, x=second, at=second))
    run.reported(reading(State.RUN, x=36, feed=0.1, at=44))
    run.replied(Ok(), 48 * SECOND)
    run.reported(reading(State.RUN, x=36, at=52))
    for second in range(52, 200, 50):
        run.reported(reading(State.HOLD, x=36, at=second))
        run.reported(reading(State.DOOR, x=36, at=second + 25))
    assert not run.ended


@pytest.mark.parametrize("dwell", ["G4P20", "g04 p20.", "P20G4", "G4P20.0F100"])
def test_a_dwell_may_keep_still(dwell: str) -> None:
    run = job(dwell)
    run.start()
    run.reported(reading(State.IDLE, at=1))
    run.reported(reading(State.IDLE, at=20))
    assert not run.ended
    run.reported(reading(State.IDLE, at=27))
    assert run.ended


def test_g43_is_no_dwell() -> None:
    run = job("G43.1Z1P60")
    run.start()
    run.reported(reading(State.IDLE, at=1))
    run.reported(reading(State.IDLE, at=7))
    assert run.ended


def test_m0_waits_for_a_person() -> None:
    run = job("M3S1", "M00", "G0X1")
    run.start()
    assert not run.paused_by_program
    run.replied(Ok(), 1)
    assert run.paused_by_program
    run.replied(Ok(), 2)
    assert not run.paused_by_program


def test_the_first_reason_stays() -> None:
    run = job("G0X1")
    run.start()
    run.fail("one")
    run.fail("two")
    assert run.failure is not None
    assert run.failure.reason == "one"


def test_readings_have_positions() -> None:
    assert reading(State.IDLE, 2.0).machine_position == Position(2.0, 0.0, 0.0)
