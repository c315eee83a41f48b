# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of a machine tool say: every word of the domain, and what is not known."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from edge.cli import cli
from edge.domain.job import JobState
from edge.domain.machine import ControllerMode, Execution
from edge.opcua_server.facts import (
    AlarmFacts,
    JobFacts,
    MachineFacts,
    Nameplate,
    Plan,
    Report,
    machine_of,
    plan_of,
    report_of,
    to_line,
)
from edge.opcua_server.passwords import PasswordMissing, passwords_of
from edge.opcua_server.settings import IdentificationSettings, OpcUaServerSettings
from edge.opcua_server.values import (
    ITEM_STATE,
    OPERATION_MODE,
    PARTS,
    PATHS,
    PROGRAM_STATE,
    Quality,
    State,
    silence,
    values_of,
)

CHANNEL = "Monitoring/Channel/ChannelState"
JOB = JobFacts("0b5e", 7, "gear", "RUNNING")


def facts(**changes: object) -> MachineFacts:
    usual: dict[str, object] = {"available": True, "execution": "READY", "mode": "AUTOMATIC"}
    return MachineFacts("router", 1, **{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("execution", "channel"),
    [("READY", 2), ("ACTIVE", 0), ("INTERRUPTED", 1), ("FEED_HOLD", 1), ("STOPPED", 2), ("PROGRAM_COMPLETED", 2)],
)
def test_every_execution_has_its_word_whatever_is_wrong(execution: str, channel: int) -> None:
    for blocked in (False, True):
        assert values_of(facts(execution=execution, blocked=blocked))[CHANNEL] == channel


def test_words_that_the_model_has_not_are_unknown() -> None:
    known = {execution.value for execution in Execution} - {"UNAVAILABLE"}
    assert all(isinstance(values_of(facts(execution=word))[CHANNEL], int) for word in known)
    values = values_of(facts(execution="UNAVAILABLE", mode="UNAVAILABLE"))
    assert values[CHANNEL] is Quality.UNKNOWN
    assert values[ITEM_STATE] is Quality.UNKNOWN
    assert values[OPERATION_MODE] is Quality.UNKNOWN


@pytest.mark.parametrize(
    ("mode", "channel", "operation", "machinery"),
    [
        (ControllerMode.AUTOMATIC, 0, 1, "Processing"),
        (ControllerMode.MANUAL_DATA_INPUT, 1, 0, "Setup"),
        (ControllerMode.MANUAL, 2, 0, "Setup"),
    ],
)
def test_every_mode_has_its_words(mode: ControllerMode, channel: int, operation: int, machinery: str) -> None:
    values = values_of(facts(mode=mode.value))
    assert values["Monitoring/Channel/ChannelMode"] == channel
    assert values["Monitoring/MachineTool/OperationMode"] == operation
    assert values[OPERATION_MODE] == State(machinery)


def test_overrides_and_counters_are_told_where_they_are_known() -> None:
    values = values_of(facts(feed_override=120, rapid_override=50, spindle_override=90, part_count=12))
    assert values["Monitoring/Channel/FeedOverride"] == 120.0
    assert values["Monitoring/Channel/RapidOverride"] == 50.0
    assert values["Monitoring/Spindle/Override"] == 90.0
    assert values[PARTS] == 12
    unknown = values_of(facts())
    assert unknown["Monitoring/Channel/FeedOverride"] is Quality.UNKNOWN
    assert unknown[PARTS] is Quality.UNKNOWN


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, 0), (2**32 - 1, 2**32 - 1), (2**32, Quality.TOO_LARGE), (10**30, Quality.TOO_LARGE), (-1, Quality.TOO_LARGE)],
)
def test_a_counter_that_its_node_cannot_hold_is_bad(count: int, told: object) -> None:
    assert values_of(facts(part_count=count))[PARTS] == told


def test_nobody_says_that_a_spindle_turns() -> None:
    for execution in ("READY", "ACTIVE"):
        assert values_of(facts(execution=execution))["Monitoring/Spindle/IsRotating"] is Quality.UNKNOWN


def test_the_active_program_is_that_of_the_job() -> None:
    values = values_of(facts(execution="ACTIVE", program="other", job=JOB))
    assert values["Production/ActiveProgram/Name"] == "gear"
    assert values["Production/ActiveProgram/JobIdentifier"] == "7"
    assert values[PROGRAM_STATE] == State("Running")


def test_without_a_program_its_name_is_empty_and_it_has_no_state() -> None:
    values = values_of(facts())
    assert values["Production/ActiveProgram/Name"] == ""
    assert values[PROGRAM_STATE] is Quality.UNKNOWN
    assert values["Production/ActiveProgram/JobIdentifier"] == ""


def test_a_machine_that_is_not_heard_says_nothing() -> None:
    values = values_of(facts(available=False, execution="ACTIVE", feed_override=100, job=JOB))
    assert set(values) == set(PATHS)
    assert set(values.values()) == {Quality.UNHEARD}


def test_silence_takes_every_value_back() -> None:
    assert set(silence()) == set(PATHS)
    assert set(silence().values()) == {Quality.SILENT}


def test_lines_bring_back_what_was_told() -> None:
    told = facts(alarms=(AlarmFacts("9", "Užrakinta"),), job=JOB, queue=(JOB,), controller="GRBL 1.1h")
    assert machine_of(to_line(told)) == told
    plan = Plan(
        "demo", "Demo", "1", "::1", 4840, "/p", users=(("ann", "/f"),), machines=(Nameplate("a", "A", "mill", "x"),)
    )
    assert plan_of(to_line(plan)) == plan
    assert plan.endpoint == "opc.tcp://[::1]:4840/infomobil"
    assert report_of(to_line(Report(True, 2, "x"))) == Report(True, 2, "x")


@pytest.mark.parametrize("line", [b"[]", b"{}", b'{"listening":true}'])
def test_lines_of_something_else_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="no Report"):
        report_of(line)


def test_every_state_of_a_waiting_job_has_a_state_of_isa_95() -> None:
    from edge.opcua_server.jobs import _STATES

    waiting = {state.value for state in JobState if not state.ended}
    assert set(_STATES) == waiting


def test_settings_make_a_plan_and_claim_nothing(tmp_path: Path) -> None:
    plate = IdentificationSettings().nameplate("router", "Router", "router", "grbl")
    assert (plate.manufacturer, plate.serial_number, plate.product_instance_uri) == ("", "", "")
    settings = OpcUaServerSettings.model_validate_json(
        '{"port": 4850, "users": [{"name": "ann", "password_file": "ann.txt"}]}', strict=True
    )
    plan = settings.plan("demo", "Demo", "1", tmp_path, [plate])
    assert (plan.host, plan.anonymous, plan.machines) == ("127.0.0.1", False, (plate,))
    assert (settings.niceness, plan.niceness) == (10, 10)
    assert Path(plan.users[0][1]).is_absolute()


def test_a_password_is_the_first_line_of_a_private_file(tmp_path: Path) -> None:
    secret = tmp_path / "ann"
    secret.touch(0o600)
    secret.write_text("turning\nfor all\n", encoding="utf-8")
    assert passwords_of({"ann": secret}) == {"ann": "turning"}


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (b"turning", 0o644, "chmod 600"),
        (b"", 0o600, "first line is empty"),
        (b"\n", 0o600, "first line is empty"),
        (b"\xff", 0o600, "not UTF-8"),
        (None, 0, "No such file"),
    ],
)
def test_a_password_that_cannot_be_used_is_told(tmp_path: Path, content: bytes | None, mode: int, why: str) -> None:
    secret = tmp_path / "ann"
    if content is not None:
        secret.write_bytes(content)
        secret.chmod(mode)
    with pytest.raises(PasswordMissing, match=why):
        passwords_of({"ann": secret})


def test_check_config_reads_the_passwords(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(
        '[lab]\nid = "a"\nname = "A"\ndata_dir = "d"\n[operator]\npin_file = "p"\n[opcua_server]\nport = 4855\n'
        '[[opcua_server.users]]\nname = "ann"\npassword_file = "ann.secret"\n',
        encoding="utf-8",
    )
    runner = CliRunner(env={"COLUMNS": "200"})
    result = runner.invoke(cli, ["check-config", str(file)])
    assert result.exit_code == 2
    assert "ann.secret" in result.output
    (tmp_path / "ann.secret").touch(0o600)
    (tmp_path / "ann.secret").write_text("turning", encoding="utf-8")
    result = runner.invoke(cli, ["check-config", str(file)])
    assert result.exit_code == 0, result.output
    assert "OPC UA server: port 4855" in result.output


@pytest.mark.parametrize(
    "text",
    [
        '{"port": 0}',
        '{"hosts": "0.0.0.0"}',
        '{"sessions": 0}',
        '{"anonymous": "yes"}',
        '{"niceness": -1}',
        '{"users": [{}]}',
    ],
)
def test_settings_that_are_wrong_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        OpcUaServerSettings.model_validate_json(text, strict=True)
