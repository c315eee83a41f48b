# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds, doors, jogs, overrides, inputs and resets in states that no trace holds (gnea/grbl, files named)."""

import pytest

from .grbl.builds import DOOR
from .grbl.conversation import Conversation
from .grbl.state import State

MACHINE = {"$110": "3000", "$111": "3000", "$112": "1500", "$120": "200", "$121": "200", "$122": "200"}
HOMED = {**MACHINE, "$22": "1", "$24": "100", "$25": "1500", "$27": "2", "$130": "300", "$131": "200", "$132": "80"}
LOCKED = "[MSG:'$H'|'$X' to unlock]"
WELCOME = "Grbl 1.1h ['$' for help]"


@pytest.fixture
def host() -> Conversation:
    return Conversation(MACHINE)


def moving(settings: dict[str, str] | None = None, line: str = "G1 X40 F600") -> Conversation:
    host = Conversation(MACHINE | (settings or {}))
    assert host.answer(line) == "ok"
    host.wait(0.5)
    assert host.is_in(State.RUN)
    return host


def field(status: str, name: str) -> str | None:
    parts = dict(part.partition(":")[::2] for part in status.strip("<>").split("|")[1:])
    return parts.get(name)


# --- commands by state (system.c system_execute_line) ------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("$", "ok"),
        ("$$", "error:8"),
        ("$G", "ok"),
        ("$X", "ok"),
        ("$C", "error:8"),
        ("$#", "error:8"),
        ("$I", "error:8"),
        ("$N", "error:8"),
        ("$H", "error:8"),
        ("$SLP", "error:8"),
        ("$RST=#", "error:8"),
        ("$J=X1F100", "error:8"),
        ("$110=500", "error:8"),
    ],
)
def test_command_while_running(line: str, answer: str) -> None:
    assert moving().answer(line) == answer


@pytest.mark.parametrize(
    ("line", "answer"),
    [("$$", "ok"), ("$G", "ok"), ("$X", "ok"), ("$#", "error:8"), ("$C", "error:8"), ("G0 X1", "error:9")],
)
def test_command_while_jogging(host: Conversation, line: str, answer: str) -> None:
    assert host.answer("$J=X40F600") == "ok"
    host.wait(0.3)
    assert host.answer(line) == answer
    assert host.is_in(State.JOG)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("G0 X1", "error:9"),
        ("$J=X1F100", "error:8"),
        ("$C", "error:8"),
        ("$$", "ok"),
        ("$#", "ok"),
        ("$I", "ok"),
        ("$N", "ok"),
        ("$110=500", "ok"),
        ("$N0=", "error:8"),
        ("$HX", "error:3"),
        ("", "ok"),
        ("(comment)", "ok"),
        ("%", "error:9"),
    ],
)
def test_command_in_alarm(line: str, answer: str) -> None:
    host = Conversation(HOMED)
    assert host.is_in(State.ALARM)
    assert host.answer(line) == answer


def test_no_line_is_processed_in_hold(host: Conversation) -> None:
    host.send("!")
    assert host.say("$G\n$X\n\n") == []
    assert host.is_in(State.HOLD)
    assert host.say("~")[-3:] == ["ok", "ok", "ok"]


def test_realtime_bytes_inside_a_line_and_a_comment(host: Conversation) -> None:
    replies = host.say("G0?(hello?! there)X2\n")
    assert [reply[:5] for reply in replies] == ["<Idle", "<Idle"]
    assert host.is_in(State.HOLD)
    assert "ok" in host.say("~")
    host.until(State.IDLE)
    assert host.truth()["mpos_steps_mm"][0] == 2


def test_bytes_above_127_are_never_part_of_a_line(host: Conversation) -> None:
    assert host.say("G0\xffX\xc31\xfe\n") == ["ok"]
    host.until(State.IDLE)
    assert host.truth()["mpos_steps_mm"][0] == 1


# --- reset (motion_control.c mc_reset, main.c) -------------------------------------------------------------------


def test_a_reset_in_motion_is_an_alarm_and_stays_one() -> None:
    host = moving()
    assert host.reset() == ["ALARM:3", "", WELCOME, LOCKED]
    assert host.answer("G0 X1") == "error:9"
    assert host.reset() == ["", WELCOME, LOCKED]
    assert host.ask("$X") == ["[MSG:Caution: Unlocked]", "ok"]
    assert host.answer("G0 X1") == "ok"


def test_a_reset_in_a_jog_is_an_alarm(host: Conversation) -> None:
    assert host.answer("$J=X40F600") == "ok"
    host.wait(0.3)
    assert host.reset()[0] == "ALARM:3"


@pytest.mark.parametrize("line", ["", "G4 P10\n", "$C\n", "M0\n"])
def test_a_reset_at_rest_is_no_alarm(host: Conversation, line: str) -> None:
    host.say(line)
    replies = host.reset()
    assert not any(reply.startswith("ALARM") for reply in replies)
    assert replies[-1] == WELCOME
    assert host.is_in(State.IDLE)


def test_a_reset_while_holding_is_an_alarm_and_after_it_none() -> None:
    host = moving(line="G1 X40 F3000")
    host.say("!", 0.02)
    assert host.status().startswith("<Hold:1|")
    assert host.reset()[0] == "ALARM:3"
    host = moving()
    host.say("!", 1)
    assert host.status().startswith("<Hold:0|")
    assert host.reset() == ["", WELCOME]


def test_bytes_that_arrive_before_the_welcome_are_kept(host: Conversation) -> None:
    host.heard()
    host.send("\x18")
    host.wait(0.005)
    host.send("$G\n")
    host.wait(0.5)
    replies = host.heard()
    assert replies[:2] == ["", WELCOME]
    assert replies[2].startswith("[GC:G0 G54")


# --- inputs (system.c, limits.c) ---------------------------------------------------------------------------------


def test_a_pin_change_looks_at_every_control_pin() -> None:
    host = moving()
    host.control("hold", pressed=True)
    host.wait(1)
    assert host.status().startswith("<Hold:0|")
    assert field(host.status(), "Pn") == "H"
    # The start button makes the hold act again, and so does letting it go.
    host.control("start", pressed=True)
    host.wait(0.1)
    assert host.is_in(State.HOLD)
    host.control("hold", pressed=False)
    host.wait(0.1)
    assert host.is_in(State.RUN)
    host.control("start", pressed=False)
    host.control("reset", pressed=True)
    host.wait(1)
    assert field(host.status(), "Pn") == "R"


def test_with_a_door_pin_the_hold_button_is_the_door() -> None:
    host = Conversation(MACHINE, build=DOOR)
    host.control("hold", pressed=True)
    host.wait(0.1)
    assert host.status().startswith("<Door:1|")
    assert field(host.status(), "Pn") == "D"
    host.control("hold", pressed=False)
    host.wait(0.1)
    assert host.status().startswith("<Door:0|")


def test_inverted_limit_switches_all_look_closed() -> None:
    host = Conversation({**MACHINE, "$5": "1"})
    assert field(host.status(), "Pn") == "XYZ"
    assert host.answer("$21=1") == "ok"
    assert host.reset()[-2:] == ["[MSG:Check Limits]", LOCKED]


def test_an_inverted_probe_looks_closed() -> None:
    host = Conversation({**MACHINE, "$6": "1"})
    assert field(host.status(), "Pn") == "P"
    assert host.ask("G38.2 Z-1 F100") == ["ALARM:4", "ok"]


def test_hard_limits_switched_on_upon_a_switch_act_when_it_opens() -> None:
    host = Conversation(MACHINE, physical=[0.0, -50.0, -50.0])
    assert field(host.status(), "Pn") == "X"
    assert host.answer("$21=1") == "ok"
    host.wait(0.1)
    assert host.is_in(State.IDLE)
    assert "ALARM:1" in host.say("G0 X-1\n", 1)
    assert host.say("?$X\n", 1) == []
    assert host.reset()[-3:] == ["", WELCOME, LOCKED]


def test_a_hard_limit_in_hold_is_an_alarm() -> None:
    host = moving({"$21": "1"})
    host.say("!", 1)
    host.board.world.forced_limits[1] = True
    host.board.inputs_changed()
    host.wait(0.1)
    assert host.heard() == ["ALARM:1"]
    host.wait(1)
    assert host.heard() == ["[MSG:Reset to continue]"]
    assert host.say("?", 0.2) == []


def test_a_turned_round_motor_moves_the_other_way() -> None:
    host = Conversation({**MACHINE, "$3": "1"}, physical=[-50.0, -50.0, -50.0])
    assert host.answer("G0 X5 Y5") == "ok"
    host.until(State.IDLE)
    host.wait(0.1)
    assert host.truth()["physical_mm"] == [-55.0, -45.0, -50.0]


# --- hold, door, sleep (protocol.c) ------------------------------------------------------------------------------


def test_a_hold_in_a_dwell_stops_the_clock(host: Conversation) -> None:
    assert host.say("G4 P0.5\n") == []
    host.send("!")
    host.wait(2)
    assert host.heard() == []
    assert host.say("~", 0.2) == []
    host.wait(0.3)
    assert host.heard() == ["ok"]


def test_a_hold_in_a_jog_cancels_it(host: Conversation) -> None:
    assert host.answer("$J=X40F600") == "ok"
    host.wait(0.3)
    assert host.say("!", 0.5) == []
    assert host.is_in(State.IDLE)
    assert 0 < host.truth()["mpos_steps_mm"][0] < 10


def test_a_door_byte_in_hold_turns_the_spindle_off() -> None:
    host = Conversation(MACHINE)
    assert host.answer("M3 S500 M8") == "ok"
    host.say("!")
    assert host.truth()["spindle"] == "cw"
    assert host.say("\x84") == ["[MSG:Check Door]"]
    assert host.status().startswith("<Door:0|")
    assert host.truth()["spindle"] == "off"
    assert not host.truth()["flood"]
    host.say("~", 2)
    assert host.status().startswith("<Door:3|")
    assert host.truth()["spindle"] == "cw"
    host.wait(4)
    assert host.status().startswith("<Idle|")
    assert host.truth()["flood"]


def test_a_door_restores_the_coolant_that_ran_not_the_one_of_the_block() -> None:
    host = moving(line="G1 X40 F600 M3 S500")
    host.say("\xa0")
    assert host.truth()["flood"]
    host.say("\x84", 1)
    assert not host.truth()["flood"]
    host.say("~", 6)
    assert host.truth()["flood"]


def test_a_sleeping_controller_hears_only_a_reset(host: Conversation) -> None:
    assert host.say("$SLP\n") == ["ok", "[MSG:Sleeping]"]
    assert host.status().startswith("<Sleep|")
    assert host.say("~!$X\nG0 X1\n") == []
    assert host.reset() == ["", WELCOME, LOCKED]


def test_an_open_door_keeps_the_lock_on() -> None:
    host = Conversation(HOMED, build=DOOR)
    host.door(is_open=True)
    host.wait(0.1)
    assert host.answer("$X") == "error:13"
    assert host.answer("$H") == "error:13"
    host.door(is_open=False)
    assert host.answer("$X") == "ok"


def test_a_start_with_an_open_door_waits_in_door() -> None:
    host = Conversation(MACHINE, build=DOOR)
    host.board.world.door_open = True
    replies = host.reset()
    assert replies[-2:] == [WELCOME, "[MSG:Check Door]"]
    assert host.status().startswith("<Door:1|")
