# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms out of events, whatever a server puts into their fields."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.machine import Availability, Fault, MachineState
from edge.drivers.opcua.alarms import MOST, Alarms, ConditionEvent, Frame
from edge.drivers.opcua.events import condition_event, event_filter
from edge.drivers.opcua.models.model import AlarmSource

KNOWN = MachineState(availability=Availability.AVAILABLE)
BEGINS = ConditionEvent("", "", "", 0, active=False, frame=Frame.REFRESH_BEGINS)
ENDS = ConditionEvent("", "", "", 0, active=False, frame=Frame.REFRESH_ENDS)


def event(**changes: Any) -> ConditionEvent | None:
    fields: dict[str, Any] = {
        "kind": ua.NodeId(39, 6),
        "condition": ua.NodeId("Alert/1", 4),
        "text": ua.LocalizedText("Chip conveyor jammed"),
        "severity": 800,
        "retain": True,
        "active": True,
        "branch": ua.NodeId(),
        "name": "Conveyor",
        "source": "Lathe",
        "code": "700000",
    }
    return condition_event([ua.Variant(value) for value in {**fields, **changes}.values()])


def alarm(condition: str, *, active: bool = True, severity: int = 800) -> ConditionEvent:
    return ConditionEvent(condition, condition.upper(), f"{condition} is jammed", severity, active=active)


def shown(alarms: Alarms) -> list[str]:
    return [one.code for one in alarms.shown_in(KNOWN).alarms]


def test_the_fields_of_an_alarm() -> None:
    assert event() == ConditionEvent("ns=4;s=Alert/1", "700000", "Chip conveyor jammed", 800, active=True)


@pytest.mark.parametrize(
    ("changes", "active"),
    [
        ({"active": False}, False),
        ({"active": False, "retain": True}, False),  # gone, but not acknowledged yet
        ({"active": None, "retain": True}, True),  # a condition without ActiveState
        ({"active": None, "retain": False}, False),
        ({"active": None, "retain": None}, False),
    ],
)
def test_whether_an_alarm_is_there(changes: dict[str, Any], active: bool) -> None:
    found = event(**changes)
    assert found is not None
    assert found.active is active


def test_an_alarm_without_a_number_is_called_by_the_name_of_its_condition() -> None:
    found = event(code=None)
    assert found is not None
    assert found.code == "Conveyor"


def test_a_server_that_does_not_say_which_condition_it_is() -> None:
    for condition in (None, ua.NodeId()):
        found = event(condition=condition)
        assert found is not None
        assert found.condition == "Lathe/Conveyor/700000"


def test_a_former_state_that_nobody_acknowledged_is_no_alarm() -> None:
    assert event(branch=ua.NodeId("Branch/1", 4)) is None


def test_a_plain_message_is_no_alarm() -> None:
    assert event(condition=None, retain=None) is None


@pytest.mark.parametrize(
    ("number", "frame"),
    [
        (2787, Frame.REFRESH_BEGINS),
        (2788, Frame.REFRESH_ENDS),
        (2789, Frame.REFRESH_NEEDED),
        (3035, Frame.REFRESH_NEEDED),
    ],
)
def test_what_a_server_says_about_its_events(number: int, frame: Frame) -> None:
    found = event(kind=ua.NodeId(number), condition=None, retain=None)
    assert found is not None
    assert found.frame is frame


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.builds(ua.Variant, st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(), st.binary())),
            st.builds(ua.Variant, st.lists(st.integers(-5, 5), min_size=1)),
            st.just(ua.Variant(ua.LocalizedText(None))),
            st.just(ua.Variant(ua.NodeId(5, 5))),
        ),
        max_size=14,
    )
)
def test_fields_of_any_kind_and_number_break_nothing(fields: list[Any]) -> None:
    found = condition_event(fields)
    if found is not None:
        alarms = Alarms()
        alarms.take([found])
        assert isinstance(alarms.shown_in(KNOWN), MachineState)


def test_the_filter_asks_for_the_number_where_the_model_says() -> None:
    fields = event_filter(AlarmSource("ns=4;s=Messages", "ns=6;i=39", ((6, "ErrorCode"),))).SelectClauses
    assert fields[-1].TypeDefinitionId == ua.NodeId(39, 6)
    assert fields[-1].BrowsePath == [ua.QualifiedName("ErrorCode", 6)]
    assert len(event_filter(AlarmSource("ns=4;s=Messages")).SelectClauses) == len(fields) - 1


def test_alarms_come_and_go() -> None:
    alarms = Alarms()
    assert alarms.shown_in(KNOWN) == KNOWN
    alarms.take([alarm("a"), alarm("b", severity=300), alarm("a", active=False), alarm("c")])
    state = alarms.shown_in(KNOWN)
    assert [one.code for one in state.alarms] == ["B", "C"]
    assert (state.fault, state.fault_reason) == (Fault.FAULT, "c is jammed")
    alarms.take([alarm("c", active=False)])
    assert alarms.shown_in(KNOWN).fault is Fault.NONE
    assert shown(alarms) == ["B"]


def test_what_a_refresh_does_not_confirm_is_gone() -> None:
    alarms = Alarms()
    alarms.take([alarm("a"), alarm("b"), BEGINS])
    assert shown(alarms) == ["A", "B"]
    alarms.take([alarm("b")])
    alarms.take([alarm("c"), ENDS])
    assert shown(alarms) == ["B", "C"]


def test_the_end_of_a_refresh_that_never_began_changes_nothing() -> None:
    alarms = Alarms()
    assert not alarms.take([alarm("a"), ENDS])
    assert shown(alarms) == ["A"]


def test_lost_events_are_asked_for_anew() -> None:
    needed = ConditionEvent("", "", "", 0, active=False, frame=Frame.REFRESH_NEEDED)
    assert Alarms().take([needed])


def test_a_server_that_never_stops_raising_alarms_leaves_the_most_urgent() -> None:
    alarms = Alarms()
    assert not alarms.take([alarm(f"a{number}", severity=300) for number in range(MOST)])
    assert len(shown(alarms)) == MOST
    alarms.take([alarm(f"b{number}", severity=200) for number in range(3_000)])
    alarms.take([alarm("urgent", severity=900)])
    codes = shown(alarms)
    assert len(codes) == MOST + 1
    assert "URGENT" in codes
    assert not any(code.startswith("B") for code in codes)
    state = alarms.shown_in(KNOWN)
    assert state.alarms[-1].text == "It has more than 100 alarms: see its own panel."
    assert (state.fault, state.fault_reason) == (Fault.FAULT, "urgent is jammed")


def test_alarms_that_were_left_out_are_asked_for_when_there_is_room() -> None:
    alarms = Alarms()
    alarms.take([alarm(f"a{number}") for number in range(MOST + 1)])
    gone = [alarm(f"a{number}", active=False) for number in range(MOST)]
    assert not alarms.take(gone[: MOST // 2])
    assert alarms.take(gone[MOST // 2 :])
    assert not alarms.take([BEGINS, alarm(f"a{MOST}"), ENDS])
    assert shown(alarms) == [f"A{MOST}"]


def test_alarms_that_were_left_out_for_those_that_a_refresh_ends_are_asked_for_once() -> None:
    alarms = Alarms()
    alarms.take([alarm(f"old {number}") for number in range(MOST)])
    new = [alarm(f"new {number}", severity=100) for number in range(MOST)]
    assert not alarms.take([BEGINS, *new])
    assert alarms.take([ENDS])
    assert not alarms.take([BEGINS, *new, ENDS])
    assert len(shown(alarms)) == MOST
    assert not alarms.take([alarm("another", severity=50)])
    assert not alarms.take([BEGINS, *new, alarm("another", severity=50), ENDS])
    assert len(shown(alarms)) == MOST + 1


def test_many_urgent_alarms_make_a_short_reason() -> None:
    alarms = Alarms()
    alarms.take([alarm(f"a{number}") for number in range(20)])
    assert alarms.shown_in(KNOWN).fault_reason == "; ".join(f"a{number} is jammed" for number in range(5))
