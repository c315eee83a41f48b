# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of GRBL 1.1, sentence by sentence, and the test that holds the driver to it.

Where a sentence speaks of the program check, the simulated controller or the plan of times, the test is theirs.
`test_every_sentence_has_its_test` looks whether each test is there.

Link
  opening resets the controller; clear HUPCL
    unit/test_grbl_link::test_the_port_is_locked_raw_and_without_hupcl
  ready means a line that begins with Grbl or GrblHAL
    unit/test_grbl_md::test_ready_is_a_welcome_of_either_firmware
  an unexpected welcome fails the job and loses the position
    integration/test_grbl_failures::test_a_restart_in_mid_program
  Idle at 0,0,0 after it is not trusted
    integration/test_grbl_faults::test_a_brown_out_without_homing_is_not_taken_for_idle_at_zero
  no welcome within 2 s: ask, adopt
    integration/test_grbl_failures::test_a_controller_in_mid_life_is_adopted_without_reset_of_the_board
  never assume empty buffers before a reset
    integration/test_grbl_failures::test_a_controller_found_moving_is_stopped_and_needs_a_person
  acks of an earlier life are discarded
    unit/test_grbl_session::test_what_a_welcome_means
  an exclusive lock
    integration/test_grbl_failures::test_port_busy
  renumbered ports
    integration/test_grbl_faults::test_unplugged_and_plugged_in_again_under_another_name
  $I gives version, flags, blocks, receive bytes
    unit/test_grbl_protocol::test_lines
  its receive size is honoured
    unit/test_grbl_session::test_window
  a smaller one than a line is honoured too
    integration/test_grbl_md_wire::test_a_line_that_fits_no_buffer_is_refused_and_not_waited_for
  its planner size is honoured
    unit/test_grbl_jog::test_segments_are_long_enough_for_the_planner_to_reach_the_feed
  strip NUL and CR
    unit/test_grbl_protocol::test_splitter_drops_nul_and_keeps_other_bytes_visible
  an unknown line is evidence of noise
    unit/test_grbl_protocol::test_what_fits_nothing_is_noise

Replies
  each line gets one ok or error
    unit/test_grbl_session::test_answers_go_to_their_senders_in_order
  push lines never count as one
    unit/test_grbl_md::test_no_pushed_line_is_an_acknowledgement
  every line on record is understood
    unit/test_grbl_protocol::test_every_recorded_line_is_understood

Streaming
  unacknowledged bytes fit, 127 is prudent
    unit/test_grbl_window::test_wire_is_byte_identical_and_fits
  Bf: is never flow control
    unit/test_grbl_md::test_free_buffers_in_a_report_change_nothing
  jogs and $ commands one at a time
    integration/test_grbl_driver::test_one_command_at_a_time
  EEPROM writers: drain, send alone, wait
    integration/test_grbl_hand::test_memory_is_written_alone
  settings too, and verified
    integration/test_grbl_hand::test_settings_are_read_written_alone_and_verified
  EEPROM writers are never streamed
    unit/test_grbl_screening::test_what_is_never_streamed
  79 characters
    unit/test_gcode_check::test_79_characters_pass_and_80_do_not_and_comments_do_not_count
  no byte that acts at once, not even in a comment
    unit/test_gcode_check::test_bytes_that_act_at_once_are_found_everywhere
  and nothing of it on the wire
    integration/test_grbl_driver::test_what_is_refused_before_the_wire

Errors
  after an error: ! at once, Hold:0, 0x18
    integration/test_grbl_failures::test_error_holds_resets_and_names_the_line
  error codes have words
    unit/test_grbl_md::test_every_error_of_grbl_has_words_of_its_own
  error:7 needs a person
    integration/test_grbl_failures::test_settings_lost_need_a_person

Real-time bytes
  their values
    unit/test_grbl_md::test_real_time_bytes_are_those_of_grbl
  ? five times a second, ten at most
    unit/test_grbl_md::test_status_is_asked_for_five_to_ten_times_a_second
  never queued behind lines
    unit/test_grbl_link::test_real_time_bytes_overtake_and_never_wait
  send one, confirm by Ov:
    integration/test_grbl_md_wire::test_override_bytes_go_one_at_a_time_each_after_the_report_of_the_last
  a lost one is sent again
    integration/test_grbl_hand::test_a_lost_override_byte_is_sent_again
  the 100 % byte for 100 % alone
    unit/test_grbl_jog::test_override_bytes_lead_straight_to_the_value

Status
  fields missing, reordered, unknown
    unit/test_grbl_protocol::test_status_tolerates_order_unknown_fields_and_more_axes
  MPos or WPos, WPos = MPos - WCO
    unit/test_grbl_state::test_work_positions_become_machine_positions_once_the_offset_is_known
  WCO, Ov: and A: come now and then
    unit/test_grbl_state::test_offset_overrides_and_spindle_are_remembered
  A: absent beside Ov: is all off
    unit/test_grbl_state::test_spindle_is_unknown_until_told_and_off_when_overrides_come_without
  Pn: absent is no pin
    unit/test_grbl_state::test_pins
  $13 scales units
    unit/test_grbl_state::test_inches_become_millimetres
  Hold:0 and Door:0, Door:1 stand
    unit/test_grbl_state::test_standing
  a reset keeps the position only then
    unit/test_grbl_session::test_a_reset_keeps_the_position_only_where_axes_stand
  a dwell is reported Idle
    unit/test_grbl_state::test_words
  M0 is Hold:0 with its ok after ~
    integration/test_grbl_driver::test_program_stop_m0_waits_for_a_person
  done is acks, a final dwell, Idle
    unit/test_grbl_job::test_a_program_ends_with_a_dwell_and_idle
  no verdict while homing and after alarms
    unit/test_grbl_session::test_when_a_report_is_overdue

Hold
  ! leaves the spindle on
    integration/test_grbl_md_wire::test_a_hold_leaves_the_spindle_commanded_on_and_says_so
  ! in Idle blocks until ~
    integration/test_grbl_hand::test_places_and_leases_that_never_reach_the_wire
  no line waits behind a hold
    integration/test_grbl_driver::test_stop_while_nothing_runs_leaves_nothing_held

Stop
  !, Hold:0, 0x18 keeps the position
    integration/test_grbl_driver::test_stop_keeps_the_position
  a stray ok between 0x18 and the welcome
    unit/test_grbl_session::test_answers_between_reset_and_welcome_belong_to_nobody

Door
  closing never resumes, ~ does from Door:0
    integration/test_grbl_driver::test_door_interrupts_and_closing_does_not_resume
  a waiting $H would start after ~
    integration/test_grbl_driver::test_home_behind_an_open_door_is_refused_and_not_left_to_start
  no door pin: Door:0 says nothing
    integration/test_grbl_faults::test_a_stock_build_knows_no_door
  while homing: ALARM:7
    integration/test_grbl_failures::test_door_while_homing
  jogs queued behind a door never run
    integration/test_grbl_hand::test_a_door_ends_a_lease_and_nothing_moves_when_it_is_closed

Jog
  axis and F each time, or nothing
    unit/test_grbl_jog::test_a_jog_line_has_an_axis_word_and_a_feed_or_is_none
  a feed without axis never reaches the wire
    integration/test_grbl_hand::test_what_no_hand_may_ask_for_never_reaches_the_wire
  error:15 in words
    integration/test_grbl_hand::test_what_the_controller_refuses_is_said_in_words
  one unacknowledged, segments of v*dt
    integration/test_grbl_md_wire::test_at_most_one_jog_line_is_unanswered
  on release: stop sending, 0x85, Idle
    integration/test_grbl_hand::test_a_lease_moves_while_it_is_renewed_and_stands_soon_after_release
  no G-code while jogging
    integration/test_grbl_hand::test_a_lease_moves_while_it_is_renewed_and_stands_soon_after_release
  lost bytes join numbers
    integration/test_grbl_hand::test_a_line_that_was_damaged_into_a_longer_one_is_stopped
  and in programs
    integration/test_grbl_failures::test_an_axis_that_leaves_its_travel_is_stopped

Alarms
  kept by 2, 4, 5; lost by 1, 3, 6 to 10
    unit/test_grbl_session::test_alarms_that_lose_the_position
  tables are keyed by firmware
    unit/test_grbl_protocol::test_alarm_tables_are_keyed_by_firmware
  1 and 2 block until 0x18
    integration/test_grbl_failures::test_hard_limit_alarm_loses_the_position
  never unlock by itself
    integration/test_grbl_md_wire::test_nothing_unlocks_by_itself
  unlock only where the position was kept
    integration/test_grbl_driver::test_connect_reads_all_and_waits_for_homing
  4: the probe touched before
    integration/test_grbl_hand::test_a_probe_that_touches_as_it_starts_says_so
  5: it never touched
    integration/test_grbl_hand::test_a_probe_that_finds_nothing_locks_and_keeps_the_position
  homing failures say why
    integration/test_grbl_failures::test_homing_failure_says_why

Reset, sleep, unplug
  a reset loses overrides
    integration/test_grbl_hand::test_override_beside_a_program
  it loses G92 and keeps G54
    integration/test_grbl_md_wire::test_a_reset_loses_g92_and_keeps_g54
  $SLP ends only by reset, into Alarm
    integration/test_grbl_md_wire::test_sleep_ends_by_a_stop_and_in_a_lock
  buffered motion goes on after an unplug
    integration/test_grbl_failures::test_unplug_fails_the_program_and_needs_a_person

Field trouble
  ok turned into o or k
    unit/test_grbl_doctor::test_what_may_have_been_an_acknowledgement_cannot_be_counted
  jobs that freeze silently
    integration/test_grbl_failures::test_lost_acknowledgements_never_freeze_a_program
  stalls with bytes unsent
    unit/test_grbl_link::test_what_the_port_does_not_take_goes_later_and_whole
  runaway jog
    integration/test_grbl_hand::test_a_lease_that_nobody_renews_ends
  a jog cancelled at the machine stays cancelled
    integration/test_grbl_hand::test_the_hold_button_at_the_machine_ends_what_moves_by_hand

grbl-streamer
  no threads, nothing at exit
    unit/test_grbl_window::test_no_thread_and_nothing_left_at_exit
  its clean-up changes words
    unit/test_grbl_window::test_the_words_that_the_clean_up_would_have_changed_stay

Time
  true times
    unit/test_gcode_times::test_the_planned_time_is_the_recorded_one
  a drain of the planner costs $1 more
    unit/test_gcode_times::test_a_dwell_stops_and_waits
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from edge.drivers.grbl.codes import Firmware, error_text
from edge.drivers.grbl.protocol import ErrorReply, Ok, RealTime, StatusReport, Welcome, parse
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.grbl.state import fold

ROOT = Path(__file__).parents[2]
TRACES = sorted((ROOT / "tests" / "data" / "grbl_traces").glob("*.jsonl"))
PUSHED = re.compile(r"[<\[>$]|ALARM:|Grbl")


def test_every_sentence_has_its_test() -> None:
    named = re.findall(r"^    (\S+)::(\S+)$", __doc__ or "", re.MULTILINE)
    assert len(named) > 60
    missing = []
    for name, test in named:
        file = ROOT / "tests" / f"{name}.py"
        if not file.exists() or f"def {test}(" not in file.read_text(encoding="utf-8"):
            missing.append(f"{name}::{test}")
    assert missing == []


def test_ready_is_a_welcome_of_either_firmware() -> None:
    assert parse("Grbl 1.1h ['$' for help]") == Welcome(Firmware.GRBL, "1.1h")
    assert parse("GrblHAL 1.1f ['$' or '$HELP' for help]") == Welcome(Firmware.GRBL_HAL, "1.1f")


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: path.stem)
def test_no_pushed_line_is_an_acknowledgement(trace: Path) -> None:
    for text in trace.read_text(encoding="utf-8").splitlines():
        event = json.loads(text)
        if event.get("dir") == "rx" and PUSHED.match(event["data"]):
            assert not isinstance(parse(event["data"]), Ok | ErrorReply)


def test_free_buffers_in_a_report_change_nothing() -> None:
    plain, full = parse("<Run|MPos:1,2,3|FS:100,0>"), parse("<Run|MPos:1,2,3|Bf:0,0|FS:100,0>")
    assert isinstance(plain, StatusReport)
    assert isinstance(full, StatusReport)
    assert fold(None, plain, 1, inches=False) == fold(None, full, 1, inches=False)


def test_every_error_of_grbl_has_words_of_its_own() -> None:
    words = [error_text(code) for code in (*range(1, 18), *range(20, 39))]
    assert len(set(words)) == len(words)
    assert not [text for text in words if text.startswith("the controller answered error")]
    assert error_text(999) == "the controller answered error 999"


def test_real_time_bytes_are_those_of_grbl() -> None:
    assert {byte.name: byte.value for byte in RealTime} == {
        "STATUS": b"?",
        "HOLD": b"!",
        "RESUME": b"~",
        "RESET": b"\x18",
        "JOG_CANCEL": b"\x85",
        "FEED_100": b"\x90",
        "FEED_UP_10": b"\x91",
        "FEED_DOWN_10": b"\x92",
        "FEED_UP_1": b"\x93",
        "FEED_DOWN_1": b"\x94",
        "RAPID_100": b"\x95",
        "RAPID_50": b"\x96",
        "RAPID_25": b"\x97",
        "SPINDLE_100": b"\x99",
        "SPINDLE_UP_10": b"\x9a",
        "SPINDLE_DOWN_10": b"\x9b",
        "SPINDLE_UP_1": b"\x9c",
        "SPINDLE_DOWN_1": b"\x9d",
    }


def test_status_is_asked_for_five_to_ten_times_a_second() -> None:
    settings = GrblSettings(port="/dev/null")
    assert (settings.poll_hz, settings.poll_moving_hz) == (5, 10)
    for name in ("poll_hz", "poll_moving_hz"):
        with pytest.raises(ValidationError, match="less than or equal to 10"):
            GrblSettings.model_validate({"port": "/dev/null", name: 11})
