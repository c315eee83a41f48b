# SPDX-License-Identifier: GPL-3.0-or-later
"""Session, identity and condition: who an answer belongs to, who the controller is, what is trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.domain.machine import Fault, Position
from edge.drivers.grbl.codes import Firmware
from edge.drivers.grbl.condition import QUIET_AT_RESTART_NS, Condition
from edge.drivers.grbl.identity import Identity
from edge.drivers.grbl.protocol import ErrorReply, Ok, StatusReport, parse
from edge.drivers.grbl.session import Phase, Session, Start

TRACES = Path(__file__).parents[1] / "data" / "grbl_traces"
SECOND = 1_000_000_000


def ready() -> Session:
    session = Session()
    session.opened()
    session.welcomed()
    session.identified()
    return session


def test_answers_go_to_their_senders_in_order() -> None:
    session, heard = ready(), []
    session.expect(lambda reply: heard.append(("a", reply)))
    session.expect(lambda reply: heard.append(("b", reply)), 2)
    assert session.replied(Ok())
    assert session.replied(ErrorReply(20))
    assert session.replied(Ok())
    assert heard == [("a", Ok()), ("b", ErrorReply(20)), ("b", Ok())]
    assert not session.replied(Ok())


def test_answers_between_reset_and_welcome_belong_to_nobody() -> None:
    session, heard = ready(), []
    session.expect(heard.append)
    session.resetting()
    assert session.replied(Ok())
    assert session.welcomed() is Start.ASKED_FOR
    assert session.phase is Phase.READY
    assert heard == []
    assert not session.replied(Ok())


def test_what_a_welcome_means() -> None:
    session = Session()
    session.opened()
    life = session.life
    assert session.replied(Ok())
    assert session.welcomed() is Start.FIRST
    assert (session.phase, session.known) == (Phase.IDENTIFYING, False)
    session.identified()
    assert session.known
    assert session.welcomed() is Start.UNEXPECTED
    assert (session.phase, session.known) == (Phase.IDENTIFYING, False)
    assert session.life > life
    session.closed()
    assert session.phase is Phase.AWAY


def test_a_reset_of_a_stranger_leads_to_identifying() -> None:
    session = Session()
    session.opened()
    session.resetting()
    assert session.welcomed() is Start.ASKED_FOR
    assert session.phase is Phase.IDENTIFYING


def identity_of(trace: str) -> Identity:
    identity = Identity()
    for line in (TRACES / trace).read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event.get("dir") == "rx" and event["data"]:
            identity.note(parse(event["data"]))
    return identity


def test_identity_of_a_recorded_controller() -> None:
    identity = identity_of("boot_and_queries.jsonl")
    assert identity.controller == "Grbl 1.1h.20190830"
    assert identity.supported
    assert identity.window == 127
    assert not identity.homing_enabled
    assert identity.modal[0] == "G0"
    assert identity.parameters["G54"] == (0.0, 0.0, 0.0)
    travel, motion = identity.travel(), identity.motion()
    assert travel is not None
    assert (travel.low, travel.high) == (Position(-300, -200, -80), Position(0, 0, 0))
    assert (travel.max_feed, travel.max_spindle, travel.min_spindle) == (3000, 1000, 0)
    assert motion is not None
    assert motion.acceleration == Position(200, 200, 200)
    assert motion.stop_delay_s == 0.025


@pytest.mark.parametrize(("rx_bytes", "window"), [(None, 127), (128, 127), (1024, 127), (100, 99)])
def test_window(rx_bytes: int | None, window: int) -> None:
    assert Identity(rx_bytes=rx_bytes).window == window


def test_an_unreadable_setting_leaves_travel_unknown() -> None:
    identity = identity_of("boot_and_queries.jsonl")
    identity.settings[131] = "2\\xff0"
    assert identity.travel() is None


def test_a_spindle_has_a_least_speed_where_the_controller_says_one() -> None:
    identity = identity_of("boot_and_queries.jsonl")
    identity.settings[31] = "500."
    travel = identity.travel()
    assert travel is not None
    assert travel.min_spindle == 500
    del identity.settings[31]
    travel = identity.travel()
    assert travel is not None
    assert travel.min_spindle == 0


def test_axes_that_home_to_their_minus_end_with_the_origin_there() -> None:
    identity = identity_of("boot_and_queries.jsonl")
    identity.settings[23] = "5"
    identity.flags = "VZ"
    travel = identity.travel()
    assert travel is not None
    assert (travel.low, travel.high) == (Position(0, -200, 0), Position(300, 0, 80))


def test_what_is_within_reach() -> None:
    identity = identity_of("boot_and_queries.jsonl")
    assert identity.reaches(Position(-300.5, 0.5, -80))
    assert not identity.reaches(Position(-302, 0, 0))
    assert not identity.reaches(Position(0, 0, 1.5))
    assert Identity().reaches(Position(9999, 0, 0))


def test_motors_that_stay_on_need_no_delay() -> None:
    identity = identity_of("boot_and_queries.jsonl")
    identity.settings[1] = "255"
    motion = identity.motion()
    assert motion is not None
    assert motion.stop_delay_s == 0.0


@pytest.mark.parametrize("number", [100, 111, 122])
def test_settings_of_zero_plan_nothing(number: int) -> None:
    identity = identity_of("boot_and_queries.jsonl")
    identity.settings[number] = "0.000"
    assert identity.motion() is None


def report(text: str) -> StatusReport:
    message = parse(text)
    assert isinstance(message, StatusReport)
    return message


def homed(last: str = "<Idle|MPos:0,0,0>") -> Condition:
    condition = Condition(homed=True)
    condition.reported(report(last), 1, inches=False, restarting=False)
    return condition


@pytest.mark.parametrize(
    ("code", "kept"), [(1, False), (2, True), (3, False), (4, True), (5, True), (6, False), (7, False), (10, False)]
)
def test_alarms_that_lose_the_position(code: int, kept: bool) -> None:
    condition = homed()
    alarm, _ = condition.alarmed(Firmware.GRBL, code, 1)
    assert condition.homed is kept
    assert alarm.position_kept is kept
    assert alarm.code == f"ALARM:{code}"


@pytest.mark.parametrize(
    ("last", "kept"),
    [("Hold:0", True), ("Hold:1", False), ("Run", False), ("Door:1", True), ("Door:2", False), ("Idle", False)],
)
def test_a_reset_keeps_the_position_only_where_axes_stand(last: str, kept: bool) -> None:
    condition = homed(f"<{last}|MPos:0,0,0>")
    condition.resetting(1)
    assert condition.homed is kept


def test_a_reset_out_of_an_alarm_that_kept_the_position() -> None:
    condition = homed("<Run|MPos:0,0,0>")
    condition.alarmed(Firmware.GRBL, 2, 1)
    condition.resetting(2)
    condition.reported(report("<Alarm|MPos:0,0,0>"), 3, inches=False, restarting=False)
    assert condition.homed
    assert condition.alarms[0].code == "ALARM:2"
    condition.reported(report("<Idle|MPos:0,0,0>"), 4, inches=False, restarting=False)
    assert condition.alarms == ()


def test_a_locked_start_is_an_alarm_that_lost_the_position() -> None:
    condition = homed()
    condition.reported(report("<Alarm|MPos:0,0,0>"), 2, inches=False, restarting=False)
    assert condition.alarms[0].code == "LOCKED"
    assert not condition.homed


def test_a_report_from_before_a_restart_ends_no_alarm() -> None:
    condition = homed()
    condition.alarmed(Firmware.GRBL, 3, 1)
    condition.reported(report("<Run|MPos:0,0,0>"), 2, inches=False, restarting=True)
    assert condition.alarms != ()


@pytest.mark.parametrize(("unexpected", "kept"), [(True, False), (False, True)])
def test_an_unexpected_start_loses_the_position(unexpected: bool, kept: bool) -> None:
    condition = homed()
    condition.welcomed(2, unexpected=unexpected)
    assert condition.homed is kept


def test_sleep_loses_the_position() -> None:
    condition = homed()
    condition.reported(report("<Sleep|MPos:0,0,0>"), 2, inches=False, restarting=False)
    assert not condition.homed


def test_when_a_report_is_overdue() -> None:
    condition = Condition()
    assert not condition.overdue(10 * SECOND, SECOND)
    condition.reported(report("<Run|MPos:0,0,0>"), SECOND, inches=False, restarting=False)
    assert not condition.overdue(2 * SECOND, SECOND)
    assert condition.overdue(2 * SECOND + 1, SECOND)
    condition.homing = True
    assert not condition.overdue(9 * SECOND, SECOND)
    condition.resetting(9 * SECOND)
    assert not condition.overdue(9 * SECOND + QUIET_AT_RESTART_NS, SECOND)
    assert condition.overdue(11 * SECOND + QUIET_AT_RESTART_NS, SECOND)
    condition.alarmed(Firmware.GRBL, 1, 20 * SECOND)
    assert not condition.overdue(90 * SECOND, SECOND)


def test_a_fault_latches_with_its_first_reason() -> None:
    condition = Condition()
    assert condition.require_person("one")
    assert not condition.require_person("two")
    assert (condition.fault, condition.fault_reason) == (Fault.FAULT, "one")
    condition.connected(1)
    assert condition.fault is Fault.FAULT
    condition.cleared()
    assert (condition.fault, condition.fault_reason) == (Fault.NONE, "")
