# SPDX-License-Identifier: GPL-3.0-or-later
"""Overrides, spindle, laser, probing, jogging and reports in cases that no trace holds (gnea/grbl, files named)."""

import pytest

from .grbl.builds import DOOR
from .grbl.conversation import Conversation
from .grbl.state import State
from .test_grbl_simulator_states import HOMED, LOCKED, MACHINE, WELCOME, field, moving


@pytest.fixture
def host() -> Conversation:
    return Conversation(MACHINE)


def overrides(host: Conversation) -> str | None:
    """The next ``Ov:`` field, within as many reports as its counter may need."""
    for _ in range(30):
        if (found := field(host.status(), "Ov")) is not None:
            return found
    return None


# --- hold (stepper.c) --------------------------------------------------------------------------------------------


def test_a_hold_between_two_blocks_ends_in_hold_wherever_it_comes() -> None:
    """Where the axes stand for a moment, the way and the speed of the slowing down are both nothing."""
    for step in range(100):
        host = Conversation(MACHINE)
        host.send("G1X1F600\nG1X0\n")
        host.wait(0.095 + step * 0.0002)
        host.send("!")
        host.wait(0.3)
        assert host.status().startswith("<Hold:0|")
        host.send("~")
        host.wait(0.5)
        assert field(host.status(), "MPos") == field(Conversation(MACHINE).status(), "MPos")


# --- overrides (protocol.c) --------------------------------------------------------------------------------------


def test_overrides_seen_at_once_are_added_before_the_limits_hold(host: Conversation) -> None:
    for _ in range(12):
        host.say("\x92", 0.02)
    assert overrides(host) == "10,100,100"
    host.say("\x92", 0.02)
    assert overrides(host) == "10,100,100"
    host.send("\x92\x94")
    host.wait(0.1)
    assert overrides(host) == "200,100,100"


@pytest.mark.parametrize(
    ("data", "want"),
    [
        ("\x90", "100,100,100"),
        ("\x91", "110,100,100"),
        ("\x94", "99,100,100"),
        ("\x96", "100,50,100"),
        ("\x97", "100,25,100"),
        ("\x9a", "100,100,110"),
        ("\x9d", "100,100,99"),
    ],
)
def test_an_override_byte(host: Conversation, data: str, want: str) -> None:
    host.say(data, 0.05)
    assert overrides(host) == want


def test_coolant_toggles_while_jogging_and_mist_only_where_built(host: Conversation) -> None:
    assert host.answer("$J=X40F600") == "ok"
    host.wait(0.2)
    host.say("\xa0")
    assert host.truth()["flood"]
    host.say("\xa1")
    assert not host.truth()["mist"]
    other = Conversation(MACHINE, build=DOOR)
    other.say("\xa1")
    assert other.truth()["mist"]
    assert "M7" in other.ask("$G")[0]


def test_a_coolant_toggle_in_alarm_or_check_does_nothing() -> None:
    host = Conversation(HOMED)
    host.say("\xa0")
    assert not host.truth()["flood"]


def test_a_spindle_stop_only_acts_in_hold(host: Conversation) -> None:
    assert host.answer("M3 S500") == "ok"
    host.say("\x9e")
    assert host.truth()["spindle"] == "cw"
    host.say("!")
    host.say("\x9e")
    assert host.truth()["spindle"] == "off"
    assert host.say("\x9e") == ["[MSG:Restoring spindle]"]
    assert host.truth()["spindle"] == "cw"
    host.say("\x9e")
    assert host.say("~") == ["[MSG:Restoring spindle]"]
    assert host.is_in(State.IDLE)


def test_a_spindle_override_while_the_spindle_is_stopped_waits_for_the_start(host: Conversation) -> None:
    assert host.answer("M3 S500") == "ok"
    host.say("!")
    host.say("\x9e")
    host.say("\x9a")
    assert host.truth()["spindle"] == "off"
    host.say("\x9e")
    assert field(host.status(), "FS") == "0,550"


def test_a_program_end_brings_the_overrides_back(host: Conversation) -> None:
    host.say("\x91")
    assert host.ask("M2") == ["[MSG:Pgm End]", "ok"]
    assert overrides(host) == "100,100,100"


# --- spindle and laser (spindle_control.c, stepper.c, gcode.c) ---------------------------------------------------


def test_homing_turns_the_spindle_off_and_the_next_move_on() -> None:
    host = Conversation(HOMED)
    assert host.answer("$X") == "ok"
    assert host.answer("M3 S500") == "ok"
    assert host.answer("$H") == "ok"
    assert host.truth()["spindle"] == "off"
    assert "M3" in host.ask("$G")[0]
    assert host.answer("G0 X-10") == "ok"
    host.wait(0.1)
    assert host.truth()["spindle"] == "cw"


def test_a_new_spindle_range_turns_the_output_off(host: Conversation) -> None:
    assert host.answer("M3 S500") == "ok"
    assert host.answer("$30=2000") == "ok"
    assert host.truth()["spindle"] == "off"
    assert field(host.status(), "FS") == "0,500"


def test_a_laser_is_dark_in_rapids_and_follows_the_speed_with_m4() -> None:
    host = Conversation({**MACHINE, "$32": "1"})
    assert "$32=1" in host.ask("$$")
    assert host.answer("M4 S1000") == "ok"
    assert host.truth()["spindle"] == "off"
    assert host.answer("G1 X40 F3000") == "ok"
    host.wait(0.05)
    slow = host.truth()["spindle_pwm"]
    host.wait(0.4)
    assert 0 < slow < host.truth()["spindle_pwm"] == 255
    host.until(State.IDLE)
    assert host.truth()["spindle"] == "off"
    assert host.answer("G0 X0") == "ok"
    host.wait(0.2)
    assert host.truth()["spindle"] == "off"


def test_a_laser_with_m3_burns_only_in_cutting_modes() -> None:
    host = Conversation({**MACHINE, "$32": "1"})
    assert host.answer("M3 S500") == "ok"
    assert host.truth()["spindle"] == "off"
    assert host.answer("G1 F500") == "ok"
    assert host.truth()["spindle"] == "cw"
    assert host.answer("G0") == "ok"
    assert host.truth()["spindle"] == "off"


def test_a_laser_is_off_in_a_hold_and_on_after_it() -> None:
    host = moving({"$32": "1"}, line="G1 X40 F600 M3 S500")
    assert host.truth()["spindle"] == "cw"
    host.say("!", 1)
    assert host.truth()["spindle"] == "off"
    assert host.say("~", 0.5) == ["[MSG:Restoring spindle]"]
    assert host.truth()["spindle"] == "cw"


@pytest.mark.parametrize("setting", ["$100=0", "$110=0", "$120=0", "$11=0", "$27=0", "$1=255"])
def test_a_setting_of_zero_breaks_nothing(host: Conversation, setting: str) -> None:
    assert host.answer(setting) == "ok"
    host.say("G1 X1 Y1 F500\n", 2)
    assert host.status()
    assert host.reset()[-1] in (WELCOME, LOCKED)


# --- probing, jogging, soft limits, homing -----------------------------------------------------------------------


def test_a_probe_without_contact_leaves_the_target_as_position(host: Conversation) -> None:
    assert host.ask("G38.3 Z-1.0013 F200") == ["[PRB:0.000,0.000,-1.000:0]", "ok"]
    assert host.answer("G10 L20 P1 Z0") == "ok"
    assert "[G54:0.000,0.000,-1.001]" in host.ask("$#")


def test_a_probe_away_without_contact_at_the_start_is_alarm_4(host: Conversation) -> None:
    assert host.ask("G38.4 Z5 F100") == ["ALARM:4", "ok"]
    assert host.is_in(State.ALARM)


def test_a_reset_in_a_probing_move(host: Conversation) -> None:
    host.send("G38.2 Z-30 F100\n")
    host.wait(1)
    assert host.is_in(State.RUN)
    assert host.reset()[0] == "ALARM:3"


def test_a_hold_in_a_probing_move_goes_on(host: Conversation) -> None:
    host.board.world.probe_plate_z = -42
    host.send("G38.2 Z-30 F100\n")
    host.wait(0.5)
    host.say("!", 0.5)
    assert host.is_in(State.HOLD)
    host.send("~")
    host.wait(5)
    assert host.heard()[-2:] == ["[PRB:0.000,0.000,-2.000:1]", "ok"]


@pytest.mark.parametrize("line", ["G0 X1", "G1 X-400 F500", "G2 X-3 Y-2 I0 J5 F500"])
def test_soft_limits(line: str) -> None:
    host = Conversation({**HOMED, "$20": "1"})
    assert host.answer("$H") == "ok"
    assert host.answer("G53 G0 X-3 Y-2" if line.startswith("G2") else "G53 G0 X-5 Y-5") == "ok"
    host.until(State.IDLE)
    host.wait(0.1)
    replies = host.say(line + "\n", 2)
    assert replies[:2] == ["ALARM:2", "[MSG:Reset to continue]"]
    assert host.say("$X\n?", 1) == []
    assert host.reset()[-3:] == ["", WELCOME, LOCKED]
    assert host.answer("$X") == "ok"


def test_a_jog_out_of_travel_is_refused_without_an_alarm() -> None:
    host = Conversation({**HOMED, "$20": "1"})
    assert host.answer("$H") == "ok"
    assert host.answer("$J=X5F100") == "error:15"
    assert host.answer("$J=G91X-5F100") == "ok"
    assert host.answer("$J=G53X-400F100") == "error:15"
    assert host.answer("$J=G20G91X-20F10") == "error:15"
    host.until(State.IDLE)
    assert host.truth()["mpos_steps_mm"][0] == -7


def test_a_jog_cancel_byte_elsewhere_does_nothing() -> None:
    host = moving()
    host.say("\x85")
    assert host.is_in(State.RUN)


def test_homing_towards_the_other_end() -> None:
    host = Conversation({**HOMED, "$23": "4", "$132": "30"}, physical=[-20.0, -20.0, -5.0])
    # Z has its switch at the plus end only: the search in the other direction runs its way out.
    replies = host.say("$H\n", 60)
    assert replies[0] == "ALARM:9"


def test_a_door_byte_in_homing_is_alarm_7() -> None:
    host = Conversation(HOMED)
    host.send("$H\n")
    host.wait(1)
    assert host.say("\x84", 1)[:1] == ["ALARM:7"]


def test_status_requests_while_homing_are_answered_after_it_once() -> None:
    host = Conversation(HOMED)
    host.send("$H\n")
    for _ in range(10):
        host.send("?")
        host.wait(0.2)
    assert host.heard()[-1:] == [LOCKED]
    host.wait(30)
    replies = host.heard()
    assert [reply[:6] for reply in replies] == ["<Home|", "ok"]


# --- streams (serial.c, protocol.c) ------------------------------------------------------------------------------


def test_the_receive_ring_holds_128_bytes_while_the_planner_is_full(host: Conversation) -> None:
    for number in range(17):
        host.send(f"G1 X{number % 2 * 40} F60\n")
        host.wait(0.02)
    host.wait(0.1)
    assert field(host.status(), "Bf") is None
    host.send("(" + "x" * 200)
    host.wait(0.1)
    truth = host.truth()
    assert truth["max_rx_fill"] == 128
    assert truth["rx_overflow_bytes_lost"] == 201 - 128


def test_status_masks() -> None:
    for mask, position, buffers in ((0, "WPos", False), (1, "MPos", False), (2, "WPos", True), (3, "MPos", True)):
        host = Conversation({**MACHINE, "$10": str(mask)})
        status = host.status()
        assert field(status, position) == "0.000,0.000,0.000"
        assert (field(status, "Bf") == "15,128") is buffers
        assert field(status, "Ln") is None


def test_line_numbers_only_where_built() -> None:
    host = Conversation(MACHINE, build=DOOR)
    assert host.answer("N70 G1 X20 F600") == "ok"
    host.wait(0.1)
    assert field(host.status(), "Ln") == "70"


def test_reports_in_inches() -> None:
    host = Conversation({**MACHINE, "$13": "1"})
    assert host.answer("G20 G1 X1 F20") == "ok"
    host.wait(1)
    assert field(host.status(), "FS") == "20.0,0"
    host.until(State.IDLE)
    assert field(host.status(), "MPos") == "1.0000,0.0000,0.0000"
    assert " F20.0 " in host.ask("$G")[0]
    assert "$110=3000.000" in host.ask("$$")
