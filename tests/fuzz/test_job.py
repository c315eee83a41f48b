# SPDX-License-Identifier: GPL-3.0-or-later
"""A program against a controller that says anything in any order: the window holds, no line goes twice, it ends."""

from __future__ import annotations

from collections import deque

from hypothesis import event, given
from hypothesis import strategies as st

from edge.domain.machine import Position, SpindleCommand
from edge.domain.ports import ProgramText
from edge.drivers.grbl.job import DRAIN, Job, JobPhase
from edge.drivers.grbl.protocol import ErrorReply, Ok, State
from edge.drivers.grbl.session import Phase, Session
from edge.drivers.grbl.state import Reading
from tests.fuzz.effort import effort

SECOND = 1_000_000_000
STALL_S = 5
LINES = st.lists(
    st.one_of(
        st.sampled_from(("G1X1F100", "G4P0.2", "G4P3", "M0", "M3S800", "G1X1.5Y2.5Z3.5F1500" * 3, "X1")),
        st.text("GXYZ0123456789.-", min_size=1, max_size=79),
    ),
    min_size=1,
    max_size=40,
)
NEWS = st.lists(
    st.one_of(
        st.just("ok"),
        st.just("ok"),
        st.just("noise"),
        st.tuples(st.sampled_from((State.IDLE, State.RUN, State.HOLD, State.DOOR)), st.integers(0, 3)),
        st.sampled_from(("error", "fail")),
    ),
    max_size=120,
)


def reading(state: State, x: float, taken_ns: int) -> Reading:
    place = Position(x, 0.0, 0.0)
    return Reading(state, None, place, place, None, 0.0, 0.0, SpindleCommand.OFF, None, frozenset(), taken_ns)


class Wire:
    """What went out, and what of it waits for an answer."""

    def __init__(self, window: int, lines: list[str]) -> None:
        self.window = window
        self.meant = "".join(f"{line}\n" for line in (*lines, DRAIN)).encode("ascii")
        self.sent = b""
        self.waiting: deque[int] = deque()

    def take(self, data: bytes) -> None:
        self.sent += data
        self.waiting.extend(len(line) + 1 for line in data.split(b"\n")[:-1])
        assert data == b"" or data.endswith(b"\n")
        assert self.meant.startswith(self.sent)
        assert sum(self.waiting) <= self.window


@given(LINES, NEWS, st.integers(80, 127))
@effort(1000)
def test_the_window_holds_no_line_goes_twice_and_every_job_ends(
    lines: list[str], news: list[str | tuple[State, int]], window: int
) -> None:
    job = Job(ProgramText("p", tuple(lines), tuple(range(1, len(lines) + 1))), window, STALL_S * SECOND, 0)
    wire = Wire(window, lines)
    wire.take(job.start())
    now = 0
    for item in news:
        now += SECOND // 5
        match item:
            case "ok" if wire.waiting:
                wire.waiting.popleft()
                wire.take(job.replied(Ok(), now))
            case "error" if wire.waiting:
                wire.waiting.popleft()
                wire.take(job.replied(ErrorReply(2), now))
            case "noise":
                job.unreadable()
            case "fail":
                job.fail("the link is gone")
            case (State() as state, int(place)):
                job.reported(reading(state, float(place), now))
            case _:
                pass
        if job.phase is JobPhase.FAILED:
            before = wire.sent
            wire.take(job.replied(Ok(), now))
            assert wire.sent == before
    event(job.phase.name)
    # From here on nothing is said but that the machine stands: the stall rule ends it, however it stood.
    dwells = 3.0 * len(lines)
    until = now + int((STALL_S + dwells + 2) * SECOND)
    while not job.ended and now < until:
        now += SECOND
        job.reported(reading(State.IDLE, 9.0, now))
    assert job.ended or any(line.startswith(("G4", "G04")) or "P" in line for line in lines)
    assert (job.failure is not None) == (job.phase is JobPhase.FAILED)
    assert job.phase is not JobPhase.FINISHED or wire.sent == wire.meant


@given(st.lists(st.sampled_from(("send", "send", "ok", "ok", "error", "reset", "welcome", "known", "open", "close"))))
@effort(1200)
def test_an_answer_goes_to_whose_line_is_oldest_and_to_nobody_after_a_restart(steps: list[str]) -> None:
    session = Session()
    got: dict[int, int] = {}
    waiting: deque[int] = deque()
    for number, step in enumerate(steps):
        life = session.life
        match step:
            case "send":
                got[number] = 0
                waiting.append(number)

                def answered(_: Ok | ErrorReply, number: int = number) -> None:
                    got[number] += 1
                    assert waiting.popleft() == number

                session.expect(answered)
            case "ok" | "error":
                before = sum(got.values())
                session.replied(Ok() if step == "ok" else ErrorReply(1))
                deaf = session.phase in (Phase.GREETING, Phase.RESTARTING)
                assert sum(got.values()) - before <= (0 if deaf else 1)
            case "reset":
                session.resetting()
            case "welcome":
                session.welcomed()
            case "known" if session.phase is not Phase.AWAY:
                session.identified()
            case "open":
                session.opened()
            case "close":
                session.closed()
            case _:
                pass
        if session.life != life:
            waiting.clear()
        assert all(count <= 1 for count in got.values())
