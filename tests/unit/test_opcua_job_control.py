# SPDX-License-Identifier: GPL-3.0-or-later
"""Job orders of several systems on one machine: which of them a start, a hold, a stop and a resume are for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from edge.drivers.opcua import isa95
from edge.drivers.opcua.errors import LinkLost
from edge.drivers.opcua.file_transfer import NotDone
from edge.drivers.opcua.job_control import JobControl
from edge.drivers.opcua.models.model import MOST_ORDERS, Methods, Reference
from edge.drivers.opcua.translate import ua

METHODS = ("Store", "Start", "Pause", "Resume", "Stop", "Cancel", "RevokeStart")
DONE, NOT_IN_A_STATE_FOR_THAT = 1, 1 << 2
PANEL, OURS, OTHER_OURS = "panel-order", "infomobil-1", "infomobil-2"


class Receiver:
    """A machine's job order receiver behind a link.

    `written` has the calls in their order on the wire; `answer` says what each returns, DONE unless told otherwise;
    `answered` waits, before a call's answer comes, for what a test wants to have happened.
    """

    def __init__(self) -> None:
        self.namespaces: tuple[str, ...] = (isa95.URI,)
        self.written: list[tuple[str, object]] = []
        self.answer: Callable[[str, object], int] = lambda method, order: DONE
        self.answered: Callable[[str, object], None] = lambda method, order: None
        self.lost = False

    async def browse(self, node_id: str) -> Sequence[Reference]:
        """Return no children: there is no list."""
        return ()

    async def read(self, node_ids: Sequence[str]) -> list[object]:
        """Know no value."""
        return [None for _ in node_ids]

    async def call(
        self, object_id: str, method_id: str, *arguments: object, seconds: float | None = None
    ) -> list[object]:
        """Call a method."""
        return await self.finish_call(method_id, self.begin_call(object_id, method_id, *arguments), seconds)

    async def prepare_call(self, method_id: str) -> None:
        """Know every method."""

    def begin_call(self, object_id: str, method_id: str, *arguments: object) -> tuple[str, object]:
        """Write a call."""
        if self.lost:
            raise LinkLost(reason="the connection was lost")
        self.written.append((method_id, arguments[0]))
        return method_id, arguments[0]

    async def finish_call(
        self, method_id: str, begun: tuple[str, object], seconds: float | None = None
    ) -> list[object]:
        """Answer a call that was written."""
        await asyncio.sleep(0)
        self.answered(*begun)
        return [self.answer(*begun)]


def job_list(states: Mapping[str, int]) -> list[object]:
    """Return a machine's list of job orders."""
    return [
        ua.ExtensionObject(
            TypeId=ua.NodeId(5015, 1),
            Body=isa95.encode(
                "JobOrderAndState",
                {
                    "JobOrder": {"JobOrderID": order},
                    "State": [
                        {"BrowsePath": ua.RelativePath(), "StateText": ua.LocalizedText(""), "StateNumber": state}
                    ],
                },
            ),
        )
        for order, state in states.items()
    ]


def control(receiver: Receiver, states: Mapping[str, int], methods: Sequence[str] = METHODS) -> JobControl:
    """Return the job control of a machine that has told of job orders in these states."""
    jobs = JobControl(receiver, Methods("jobs", {name: name for name in methods}))
    jobs.take(job_list(states))
    return jobs


async def test_a_refused_start_is_not_held() -> None:
    receiver = Receiver()
    jobs = control(receiver, {})
    receiver.answer = lambda method, order: NOT_IN_A_STATE_FOR_THAT
    with pytest.raises(NotDone, match="did not take Start"):
        await jobs.start(OURS)
    assert jobs.begin_hold() == []
    assert receiver.written == [("Start", OURS)]


async def test_a_refused_start_leaves_the_order_before_it_to_the_hold() -> None:
    receiver = Receiver()
    jobs = control(receiver, {})
    await jobs.start(OURS)
    receiver.answer = lambda method, order: NOT_IN_A_STATE_FOR_THAT
    with pytest.raises(NotDone):
        await jobs.start(OTHER_OURS)
    jobs.begin_hold()
    assert ("Pause", OURS) in receiver.written
    assert ("Pause", OTHER_OURS) not in receiver.written


async def test_a_start_without_an_answer_is_held() -> None:
    receiver = Receiver()
    jobs = control(receiver, {})

    def lose(method: str, order: object) -> None:
        raise LinkLost(reason="no answer in time")

    receiver.answered = lose
    with pytest.raises(LinkLost):
        await jobs.start(OURS)
    jobs.begin_hold()
    assert ("Pause", OURS) in receiver.written


async def test_a_stop_reaches_every_order_though_the_first_refuses() -> None:
    receiver = Receiver()
    jobs = control(receiver, {PANEL: isa95.INTERRUPTED, OURS: isa95.RUNNING})
    receiver.answer = lambda method, order: NOT_IN_A_STATE_FOR_THAT if order == PANEL else DONE
    with pytest.raises(NotDone, match=r"it: its job control did not take Stop: [^;]*\.$"):
        await jobs.stop()
    assert receiver.written == [("Stop", PANEL), ("Stop", OURS), ("Cancel", PANEL)]


async def test_a_stop_is_written_for_every_order_before_an_answer_comes() -> None:
    receiver = Receiver()
    jobs = control(receiver, {PANEL: isa95.RUNNING, OURS: isa95.RUNNING})
    written: list[int] = []
    receiver.answered = lambda method, order: written.append(len(receiver.written))
    await jobs.stop()
    assert written == [2, 2]


async def test_a_stop_whose_answer_is_lost_is_said_of_its_order() -> None:
    receiver = Receiver()
    jobs = control(receiver, {PANEL: isa95.RUNNING, OURS: isa95.RUNNING})

    def lose(method: str, order: object) -> None:
        if order == OURS:
            raise LinkLost(reason="no answer in time")

    receiver.answered = lose
    with pytest.raises(NotDone, match=r"it: no answer in time\.$"):
        await jobs.stop()
    assert ("Cancel", OURS) not in receiver.written
    receiver.lost = True
    with pytest.raises(LinkLost):
        await jobs.stop()


async def test_an_order_that_ended_by_itself_needs_no_stop() -> None:
    receiver = Receiver()
    jobs = control(receiver, {OURS: isa95.RUNNING})
    receiver.answer = lambda method, order: NOT_IN_A_STATE_FOR_THAT
    receiver.answered = lambda method, order: jobs.take(job_list({OURS: isa95.ENDED}))
    await jobs.stop()


async def test_only_orders_from_here_are_resumed() -> None:
    receiver = Receiver()
    await control(receiver, {PANEL: isa95.INTERRUPTED, OURS: isa95.INTERRUPTED}).resume()
    assert receiver.written == [("Resume", OURS)]
    with pytest.raises(NotDone, match="no job order is interrupted that was begun from here"):
        await control(receiver, {PANEL: isa95.INTERRUPTED, OURS: isa95.RUNNING}).resume()
    assert receiver.written == [("Resume", OURS)]


async def test_a_hold_between_two_answers_ends_a_resume() -> None:
    receiver = Receiver()
    jobs = control(receiver, {OURS: isa95.INTERRUPTED, OTHER_OURS: isa95.INTERRUPTED})

    def hold(method: str, order: object) -> None:
        jobs.begin_hold()

    receiver.answered = hold
    with pytest.raises(NotDone, match="a hold or a stop came in between"):
        await jobs.resume()
    assert ("Resume", OTHER_OURS) not in receiver.written


async def test_a_stop_between_two_answers_ends_a_resume() -> None:
    receiver = Receiver()
    jobs = control(receiver, {OURS: isa95.INTERRUPTED, OTHER_OURS: isa95.INTERRUPTED})
    stopping = asyncio.create_task(jobs.stop())
    with pytest.raises(NotDone, match="a hold or a stop came in between"):
        await jobs.resume()
    await stopping
    assert receiver.written == [("Resume", OURS), ("Stop", OURS), ("Stop", OTHER_OURS)]


async def test_an_order_that_a_long_list_does_not_tell_of_is_held(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    jobs = control(receiver, {})
    await jobs.start(OURS)
    jobs.take(job_list({OURS: isa95.RUNNING}))
    for _ in range(2):
        jobs.take(job_list({OURS: isa95.RUNNING, **{f"panel-{index}": isa95.ENDED for index in range(MOST_ORDERS)}}))
    jobs.begin_hold()
    assert ("Pause", OURS) in receiver.written
    assert len(caplog.records) == 1
    jobs.take(job_list({PANEL: isa95.ENDED}))
    assert jobs.begin_hold() == []


async def test_an_order_that_is_seen_to_end_was_stopped_though_the_answer_is_late() -> None:
    receiver = Receiver()
    jobs = control(receiver, {OURS: isa95.RUNNING})

    def end(method: str, order: object) -> None:
        jobs.take(job_list({OURS: isa95.ENDED}))
        raise LinkLost(reason="no answer in time")

    receiver.answered = end
    await jobs.stop()


async def test_a_hold_may_be_asked_for_again() -> None:
    receiver = Receiver()
    jobs = control(receiver, {OURS: isa95.RUNNING})
    await jobs.confirm(jobs.begin_hold())
    receiver.answer = lambda method, order: NOT_IN_A_STATE_FOR_THAT
    await jobs.confirm(jobs.begin_hold())
    assert receiver.written == [("Pause", OURS)] * 2


async def test_a_refused_hold_of_what_runs_is_said() -> None:
    receiver = Receiver()
    jobs = control(receiver, {OURS: isa95.RUNNING})
    receiver.answer = lambda method, order: NOT_IN_A_STATE_FOR_THAT
    with pytest.raises(NotDone, match="did not take Pause"):
        await jobs.confirm(jobs.begin_hold())
