# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers to lines that no trace holds, each as the firmware's source has it (gnea/grbl, file and function named)."""

import pytest

from .grbl.builds import DOOR
from .grbl.conversation import Conversation
from .grbl.numbers import coordinate, fixed, read_number
from .grbl.settings import check_address
from .grbl.state import State

HOMING = {"$22": "1"}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        # gcode.c step 2: the code is kept in 8 bits, the hundredths of the rest in 16.
        ("G256", "error:23"),
        ("G-0.5", "error:23"),
        ("M256", "error:23"),
        ("G1.1", "error:23"),
        ("G49.5", "ok"),
        ("G43", "error:20"),
        ("G90.1", "error:20"),
        ("G91.1", "ok"),
        ("G38.1 Z-1", "error:20"),
        ("G28.2", "error:20"),
        ("G59.1", "error:23"),
        ("G10.1", "error:23"),
        ("M7", "error:20"),
        ("M56", "error:20"),
        ("T256", "error:38"),
        ("T1 T256", "error:38"),
        ("F-1", "error:4"),
        ("A1", "error:20"),
        ("G1 X", "error:2"),
        ("%", "error:1"),
        ("N10000001", "error:27"),
        ("G0 X1 X2", "error:25"),
        ("G0 G28 X1", "error:24"),
        ("G43.1 X1", "error:37"),
        ("G43.1 Z1 X1", "error:37"),
        # gcode.c step 3.
        ("G4", "error:28"),
        ("G10 L2 X1 P256", "ok"),
        ("G10 L258 P1 X1", "ok"),
        ("G10 L20 X0", "ok"),
        ("G10 P1 X0", "error:20"),
        ("G10 X0", "error:28"),
        ("G10 L2 P1 R1 X0", "error:20"),
        ("G92", "error:26"),
        ("G80 G92 X1", "error:31"),
        ("G53 G2 X1 I1", "error:30"),
        ("G80 G53", "error:30"),
        ("G2 X1 I1", "error:22"),
        ("G2 F100", "error:26"),
        ("G2 Z1 I1 F100", "error:32"),
        ("G2 X10 R1 F100", "error:34"),
        ("G2 X10 F100", "error:35"),
        ("G2 X10 I1 F100", "error:33"),
        ("G2 X0 Y0 R5 F100", "error:33"),
        ("G38.2 F100", "error:26"),
        ("G38.2 X0 F100", "error:33"),
        ("G38.2 X1", "error:22"),
        ("G0 I1 X1", "error:36"),
        ("G1 F100 P1 X1", "error:36"),
        ("L2", "error:36"),
        ("G93 G1 X1", "error:22"),
        # jog lines: gcode.c, system.c.
        ("$J=G2 X1 F100", "error:35"),
        ("$J=G80 X1 F100", "error:31"),
        ("$J=G1 X1 F100", "error:16"),
        ("$J=G93 X1 F100", "error:16"),
        ("$J=G54 X1 F100", "error:16"),
        ("$J=G28 X1 F100", "error:16"),
        ("$J=M3 X1 F100", "error:16"),
        ("$J=X1 F100 S5", "error:36"),
        ("$J=X1 F100 T1", "error:36"),
        ("$J=X1", "error:22"),
        ("$J", "error:3"),
        ("$JX1F100", "error:3"),
        ("$j=g53g20 x-0.1 f10 n5", "ok"),
        # system.c system_execute_line.
        ("$=", "error:2"),
        ("$100", "error:3"),
        ("$100=", "error:2"),
        ("$100=-1", "error:4"),
        ("$99=1", "error:3"),
        ("$103=1", "error:3"),
        ("$140=1", "error:3"),
        ("$256=1", "error:3"),
        ("$0=2", "error:6"),
        ("$0=256", "error:6"),
        ("$20=1", "error:10"),
        ("$10=1x", "error:3"),
        ("$h", "error:5"),
        ("$SL", "error:3"),
        ("$GG", "error:3"),
        ("$##", "error:3"),
        ("$I1", "error:3"),
        ("$N=1", "error:2"),
        ("$N0=G99", "error:20"),
        ("$N0=$H", "error:1"),
        ("$RST=", "error:3"),
        ("$RST=$$", "error:3"),
        ("$Z", "error:2"),
    ],
)
def test_answer(line: str, answer: str) -> None:
    assert Conversation().answer(line) == answer


def test_words_of_a_line_with_an_error_change_nothing() -> None:
    host = Conversation()
    before = host.ask("$G")
    assert host.answer("G91 G20 M8 S500 T3 F100 G2 X1") == "error:35"
    assert host.ask("$G") == before


def test_a_tool_number_lasts_one_line() -> None:
    host = Conversation()
    assert host.answer("T7") == "ok"
    assert " T7 " in host.ask("$G")[0]
    assert host.answer("G21") == "ok"
    assert " T0 " in host.ask("$G")[0]


def test_feed_after_inverse_time_in_inches_is_in_millimetres() -> None:
    host = Conversation()
    assert host.answer("G20 G93") == "ok"
    assert host.answer("G94 F100") == "ok"
    assert " F100 " in host.ask("$G")[0]
    assert host.answer("F100") == "ok"
    assert " F2540 " in host.ask("$G")[0]


@pytest.mark.parametrize("line", ["G2 X0 Y0 I0 J0 F100", "G2 X0 Z-1 R5 F100", "G3 X0.0004 I0.0002 F100"])
def test_an_arc_without_a_size_is_a_straight_move(line: str) -> None:
    host = Conversation()
    assert host.answer(line) == "ok"
    host.wait(2)
    assert host.is_in(State.IDLE)
    assert host.answer("G0 X1") == "ok"


def test_a_program_end_says_so_in_check_mode_too() -> None:
    host = Conversation()
    assert host.answer("$C") == "ok"
    assert host.ask("M30") == ["[MSG:Pgm End]", "ok"]
    assert host.ask("G38.2 Z-5 F10") == ["ok"]
    assert host.ask("G4 P60") == ["ok"]
    assert host.answer("$$") == "ok"
    assert host.answer("$N") == "error:8"
    assert host.answer("$J=X1F100") == "error:8"
    assert host.say("!~")[-1:] == []
    assert host.status().startswith("<Check|")


def test_the_debounce_time_is_kept_in_eight_bits() -> None:
    host = Conversation()
    assert host.answer("$26=300") == "ok"
    assert "$26=44" in host.ask("$$")


def test_startup_lines_are_written_in_idle_only() -> None:
    host = Conversation(HOMING)
    assert host.is_in(State.ALARM)
    assert host.answer("$N0=G21") == "error:8"
    assert host.answer("$N") == "ok"
    assert host.answer("$X") == "ok"
    assert host.answer("$N0=G21") == "ok"


def test_a_startup_line_may_jog() -> None:
    host = Conversation()
    assert host.answer("$N1=$J=X2F500") == "ok"
    host.until(State.IDLE)
    assert host.truth()["mpos_steps_mm"][0] == 2
    host.reset()
    assert ">$J=X2F500:ok" in [line for _, line in host.lines]


def test_a_startup_line_that_fails_says_why() -> None:
    host = Conversation()
    assert host.answer("$N0=G0 X1 F500") == "ok"
    assert host.answer("$N1=G54") == "ok"
    host.wait(1)
    host.board.eeprom.damage(check_address("n1"))
    replies = host.reset()
    assert replies[-2:] == [">G0X1F500:ok", ">:error:7"]
    assert host.ask("$N") == ["$N0=G0X1F500", "$N1=", "ok"]


def test_a_third_startup_line_lands_on_the_build_text() -> None:
    host = Conversation()
    assert host.answer("$I=SCHOOL") == "ok"
    assert host.answer("$N2=G21") == "ok"
    assert host.ask("$I")[0] == "[VER:1.1h.20190830:]"


def test_a_refused_homing_line_leaves_the_state_home() -> None:
    host = Conversation({**HOMING, "$27": "2"})
    assert host.answer("$HX") == "error:3"
    assert host.status().startswith("<Home|")
    assert host.answer("$X") == "ok"
    assert host.answer("$I") == "error:8"
    assert host.reset()[0] == "ALARM:6"


def test_single_axis_homing_runs_no_startup_line() -> None:
    host = Conversation({**HOMING, "$27": "2", "$25": "1500"}, build=DOOR)
    assert host.ask("$HZ") == ["ok"]
    assert host.status().startswith("<Idle|MPos:0.000,0.000,-2.000|")


def test_probe_results_are_forgotten_at_a_reset() -> None:
    host = Conversation()
    host.board.world.probe_plate_z = -41
    assert host.ask("G38.2 Z-5 F100")[0].endswith(":1]")
    host.reset()
    assert "[PRB:0.000,0.000,0.000:0]" in host.ask("$#")


@pytest.mark.parametrize(
    ("record", "line", "replies"),
    [
        ("g55", "G55", ["error:7"]),
        ("g55", "G10 L2 P2 X1", ["error:7"]),
        ("g28", "G28", ["error:7"]),
        ("g54", "M30", ["error:7"]),
        ("g54", "$#", ["error:7", "ok"]),
        ("build", "$I", ["[VER:1.1h.20190830:]", "[OPT:V,15,128]", "ok"]),
        ("n0", "$N", ["error:7", "$N1=", "ok"]),
    ],
)
def test_an_eeprom_record_that_cannot_be_read(record: str, line: str, replies: list[str]) -> None:
    host = Conversation()
    host.board.eeprom.damage(check_address(record))
    assert host.say(line + "\n", 1) == replies
    assert "error:7" not in host.say(line + "\n", 1)


@pytest.mark.parametrize("record", ["version", "settings"])
def test_settings_that_cannot_be_read_are_restored_and_listed_at_boot(record: str) -> None:
    host = Conversation({"$110": "3000", **HOMING})
    host.board.eeprom.damage(check_address(record))
    host.heard()
    host.board.restart()
    host.wait(1)
    replies = host.heard()
    assert replies[0] == "error:7"
    assert "$110=500.000" in replies
    assert replies[-2:] == ["", "Grbl 1.1h ['$' for help]"]
    assert host.is_in(State.IDLE)


def test_an_unreadable_g54_is_told_at_boot() -> None:
    host = Conversation()
    host.board.eeprom.damage(check_address("g54"))
    assert host.reset() == ["error:7", "", "Grbl 1.1h ['$' for help]"]


def test_a_reset_cuts_a_long_answer_off() -> None:
    host = Conversation()
    host.heard()
    host.send("$$\n")
    host.wait(0.01)
    replies = host.heard() + host.reset()
    assert "ok" not in replies
    assert replies[0] == "$0=10"
    assert replies[-1] == "Grbl 1.1h ['$' for help]"
    assert sum(len(reply) + 2 for reply in replies) < 400


@pytest.mark.parametrize(
    ("line", "where"),
    [("G0 X1.234", 1.236), ("G0 X-1.234", -1.236), ("G0 X0.002", 0.004), ("G0 X0.0019999", 0), ("G20 G0 X1", 25.4)],
)
def test_targets_are_rounded_to_steps_in_single_precision(line: str, where: float) -> None:
    host = Conversation()
    assert host.answer(line) == "ok"
    host.wait(30)
    assert host.truth()["mpos_steps_mm"][0] == where


def test_numbers_are_printed_from_single_precision() -> None:
    assert fixed(0.0125, 3) == "0.013"
    assert fixed(-0.0004, 3) == "-0.000"
    assert fixed(99999999, 3) == "2147483.647"
    assert coordinate(25.4, inches=True) == "1.0000"
    assert read_number("16777217", 0) == (16777216.0, 8)


def test_a_setting_that_stays_costs_no_eeprom_write() -> None:
    host = Conversation({"$120": "123.4567", "$27": "1.3"})
    assert "$120=123.457" in host.ask("$$")
    for line in ("$27=1.3", "$120=123.4567"):
        started = host.now
        assert host.answer(line) == "ok"
        assert host.now - started < 0.0034
