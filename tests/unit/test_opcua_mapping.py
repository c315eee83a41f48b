# SPDX-License-Identifier: GPL-3.0-or-later
"""Mapping files: what they may say, what is said of what they may not, and what their nodes mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import ConfigError, load_settings
from edge.domain.machine import (
    Availability,
    ControllerMode,
    DoorState,
    EmergencyStop,
    Execution,
    MachineState,
    Overrides,
    Position,
    SpindleCommand,
)
from edge.drivers.opcua.errors import LinkError, NeedsPerson
from edge.drivers.opcua.models import mapping
from edge.drivers.opcua.models.find import find
from edge.drivers.opcua.models.mapping_file import (
    SIGNALS,
    MachineMapping,
    MappingError,
    load_mapping,
    parse_mapping,
)
from edge.drivers.opcua.models.model import AlarmSource, Item
from edge.drivers.opcua.models.units import UNITS
from edge.drivers.opcua.settings import OpcUaSettings
from tests.support.opcua_shelf import ANYTHING, Shelf

FILE = Path("press.toml")
URI = "urn:maker:press"
EXECUTION = """
[signal.execution]
node = "State"
values = { 0 = "READY", 1 = "ACTIVE", "DOWN" = "STOPPED" }
"""
WHOLE = """
controller = "Maker 12"
root = "nsu=urn:maker:press;s=Press"

[signal.execution]
node = "State/Word"
values = { 0 = "READY", 1 = "ACTIVE" }

[signal.mode]
node = "State/Auto"
values = { true = "AUTOMATIC", false = "MANUAL" }

[signal.emergency_stop]
node = "nsu=urn:maker:press;s=Circuit"
healthy = true

[signal.door]
node = "State/Door"
healthy = false

[signal.spindle]
node = "State/Turning"
values = { CW = "CLOCKWISE", OFF = "OFF" }

[signal.machine_x]
node = "Axes/X"
unit = "in"
[signal.machine_y]
node = "Axes/Y"
unit = "m"
scale = 0.001
[signal.machine_z]
node = "Axes/Z"
offset = -5.0

[signal.feed]
node = "Axes/Feed"
unit = "mm/s"
[signal.spindle_speed]
node = "Axes/Speed"
unit = "rad/s"
[signal.feed_override]
node = "Axes/Override"
unit = "ratio"
[signal.program]
node = "Program/Number"
[signal.line]
node = "Program/Line"
[signal.part_count]
node = "Program/Parts"

[alarms]
node = "i=2253"
code = "nsu=urn:maker:press;Number"
code_type = "nsu=urn:maker:press;i=3001"

[programs]
directory = "Files"
files = "Memory"
select = "Memory"
"""


def press(mapped: str = WHOLE) -> tuple[Shelf, MachineMapping]:
    """Return a server that has what WHOLE maps."""
    shelf = Shelf(("ua", "app", URI))
    shelf.fill(
        "ns=2;s=Press",
        {
            "State/Word": 1,
            "State/Auto": True,
            "State/Door": False,
            "State/Turning": "CW",
            "Axes/X": 2.0,
            "Axes/Y": 250,
            "Axes/Z": "12.5",
            "Axes/Feed": 10.0,
            "Axes/Speed": 3.141592653589793,
            "Axes/Override": 0.8,
            "Program/Number": 2101,
            "Program/Line": "17",
            "Program/Parts": 41,
        },
    )
    shelf.values["ns=2;s=Circuit"] = True
    shelf.put("ns=2;s=Press", "Files", "i=13353", "files")
    shelf.put("files", "CreateFile", "i=0")
    shelf.put("ns=2;s=Press", "Memory", "i=58", "memory")
    for name in ("CopyFileToServer", "CopyFileFromServer", "Select"):
        shelf.put("memory", name, "i=0")
    return shelf, parse_mapping(mapped, FILE)


async def state_of(shelf: Shelf, mapped: MachineMapping) -> MachineState:
    """Find the machine and return its state, as a driver does."""
    found = await mapping.resolved(shelf, mapped)
    return found.state_of({key: shelf.values.get(item.node_id) for key, item in found.monitored().items()}, 5)


async def test_every_signal_comes_in_the_words_and_units_of_the_house() -> None:
    state = await state_of(*press())
    assert (state.availability, state.execution, state.mode) == (
        Availability.AVAILABLE,
        Execution.ACTIVE,
        ControllerMode.AUTOMATIC,
    )
    assert (state.emergency_stop, state.door) == (EmergencyStop.ARMED, DoorState.CLOSED)
    assert state.spindle is SpindleCommand.CLOCKWISE
    assert state.machine_position == Position(50.8, 250.0, 7.5)
    assert state.feed == pytest.approx(600.0)
    assert state.spindle_speed == pytest.approx(30.0)
    assert state.overrides == Overrides(80, 100, 100)
    assert (state.program, state.line, state.part_count) == ("2101", 17, 41)
    assert state.work_position is None


async def test_a_mapping_tells_of_alarms_and_of_ways_for_programs() -> None:
    shelf, mapped = press()
    found = await mapping.resolved(shelf, mapped)
    assert (found.node_id, found.controller, found.missing) == ("ns=2;s=Press", "Maker 12", ())
    assert found.alarms == AlarmSource("i=2253", "ns=2;i=3001", ((2, "Number"),))
    assert found.programs.directory is not None
    assert found.programs.select is not None
    assert dict(found.programs.select.methods) == {"Select": "memory/Select"}
    assert found.programs.files is not None
    assert found.programs.jobs is None
    assert found.monitored()["part_count"] == Item("ns=2;s=Press/Program/Parts", counter=True)
    assert found.monitored()["emergency_stop"] == Item("ns=2;s=Circuit")


async def test_what_the_server_lacks_is_named_and_the_rest_works() -> None:
    text = WHOLE.replace('"Axes/Feed"', '"Axes/Nothing"').replace('"Program/Line"', '"nsu=urn:nobody;i=7"')
    text = text.replace('directory = "Files"', 'directory = "Folder"').replace('files = "Memory"', 'files = "Files"')
    text = text.replace("i=2253", "Alarms")
    shelf, mapped = press(text)
    shelf.values["ns=2;s=Circuit"] = None
    found = await mapping.resolved(shelf, mapped)
    assert found.missing == (
        "signal feed: the server has no node Axes/Nothing",
        "signal line: the server has no node nsu=urn:nobody;i=7",
        "signal emergency_stop: the server has no value at nsu=urn:maker:press;s=Circuit",
        "alarms: the server has no node Alarms",
        "programs.directory: the server has no node Folder",
        "programs.files: Files has no method CopyFileToServer and no CopyFileFromServer",
    )
    assert found.alarms is None
    state = await state_of(shelf, mapped)
    assert (state.execution, state.feed, state.line) == (Execution.ACTIVE, None, None)
    assert state.emergency_stop is EmergencyStop.UNAVAILABLE


async def test_an_alarm_number_that_the_server_lacks_leaves_the_alarms() -> None:
    shelf, mapped = press(WHOLE.replace("nsu=urn:maker:press;Number", "nsu=urn:nobody;Number"))
    found = await mapping.resolved(shelf, mapped)
    assert found.alarms == AlarmSource("i=2253")
    assert found.missing == ("alarms: the server has no node nsu=urn:nobody;Number",)
    _, mapped = press(EXECUTION + '[alarms]\nnode = "Press"\n')
    shelf.put("i=85", "Press", "i=58", "press")
    assert (await mapping.resolved(shelf, mapped)).alarms == AlarmSource("press")


@pytest.mark.parametrize(
    ("value", "execution"),
    [
        (0, Execution.READY),
        (1, Execution.ACTIVE),
        (1.0, Execution.ACTIVE),
        ("DOWN", Execution.STOPPED),
        (" DOWN ", Execution.STOPPED),
        ("1", Execution.ACTIVE),
        (True, None),
        (2, None),
        (0.5, None),
        (None, None),
    ],
)
def test_a_value_that_the_mapping_does_not_name_is_unknown(value: object, execution: Execution | None) -> None:
    mapped = parse_mapping(EXECUTION, FILE)
    state = mapping.MappedMachine("i=85", mapped.signal, {}).state_of({"execution": value}, 5)
    if execution is None:
        assert state == MachineState(taken_ns=5)
    else:
        assert (state.execution, state.availability) == (execution, Availability.AVAILABLE)


def test_availability_is_what_its_signal_says() -> None:
    text = EXECUTION + '[signal.availability]\nnode = "On"\nhealthy = true\n'
    machine = mapping.MappedMachine("i=85", parse_mapping(text, FILE).signal, {})
    for value in (False, None, 1, "true"):
        assert machine.state_of({"execution": 1, "availability": value}, 5) == MachineState(taken_ns=5)
    state = machine.state_of({"availability": True}, 5)
    assert (state.availability, state.execution) == (Availability.AVAILABLE, Execution.UNAVAILABLE)


@pytest.mark.parametrize(
    ("text", "line", "key", "why"),
    [
        ("signal = 3", 1, "signal", "has to be a table"),
        ("[signal.execution", 1, "the file", "it is not TOML"),
        ("", 1, "signal", "this key is missing"),
        (EXECUTION + '[signal.exection]\nnode = "A"', 5, "signal.exection", "did you mean execution?"),
        (EXECUTION + "[signal.feed]\nunit = 'mm/s'", 5, "signal.feed.node", "this key is missing"),
        (EXECUTION + '[signal.feed]\nnode = "A"\nunit = "mm/sec"', 7, "signal.feed.unit", "did you mean mm/s?"),
        (EXECUTION + '[signal.feed]\nnode = "A"\nunit = "mm"', 7, "signal.feed.unit", "is no unit of feed"),
        (EXECUTION + '[signal.feed]\nnode = "A"\nunits = "mm/s"', 7, "signal.feed.units", "did you mean unit?"),
        (EXECUTION + '[signal.feed]\nnode = "A"\nscale = true', 7, "signal.feed.scale", "valid number"),
        (EXECUTION + '[signal.feed]\nnode = "A"\nscale = nan', 7, "signal.feed.scale", "finite number"),
        (EXECUTION + '[signal.feed]\nnode = "A"\nhealthy = true', 7, "signal.feed.healthy", "not one of a few words"),
        (EXECUTION + '[signal.program]\nnode = "A"\nunit = "mm"', 7, "signal.program.unit", "takes no unit"),
        (EXECUTION + '[signal.door]\nnode = "A"', 5, "signal.door", "needs `values` or `healthy`"),
        (EXECUTION + '[signal.mode]\nnode = "A"\nhealthy = true', 7, "signal.mode.healthy", "mode needs `values`"),
        (EXECUTION.replace('"READY"', '"REDY"'), 4, "signal.execution.values.0", "did you mean READY?"),
        (EXECUTION.replace('"READY"', '"{x}"'), 4, "signal.execution.values.0", "'{x}' is no word of execution"),
        (EXECUTION.replace('"State"', '"ns=2;s=State"'), 3, "signal.execution.node", "write nsu=URI;"),
        (EXECUTION.replace('"State"', '"nsu=urn:x"'), 3, "signal.execution.node", "a node is a browse path"),
        (EXECUTION.replace('"State"', '"i=many"'), 3, "signal.execution.node", "a node is a browse path"),
        (EXECUTION.replace('"State"', '"A//B"'), 3, "signal.execution.node", "a node is a browse path"),
        (EXECUTION + '[signal.work_x]\nnode = "A"', 5, "signal.work_x", "work_y and work_z is not there"),
        ('[signal.program]\nnode = "A"', 1, "signal", "needs the signal execution"),
        (EXECUTION + '[alarms]\nnode = "A"\ncode = "B"', 5, "alarms", "go together"),
        ("alarm = 1\n" + EXECUTION, 1, "alarm", "did you mean alarms?"),
        (EXECUTION + "[programs]\nselekt = 'A'", 6, "programs.selekt", "did you mean select?"),
        (EXECUTION + "[programs]\ndirectory = 'A'\nselect = 'B'", 7, "programs.select", "`select` goes with `files`"),
        ("root = 2026-11-23\n" + EXECUTION, 1, "root", "valid string"),
    ],
)
def test_a_wrong_mapping_is_explained_with_line_and_key(text: str, line: int, key: str, why: str) -> None:
    with pytest.raises(MappingError) as caught:
        parse_mapping(text, FILE)
    assert (caught.value.line, caught.value.key) == (line, key), str(caught.value)
    assert why in str(caught.value)


def test_the_worked_example_of_the_manual_is_right() -> None:
    manual = (Path(__file__).parents[2] / "docs/how-to/opcua-mapping.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml mapping\n(.*?)```", manual, re.DOTALL)
    mapped = parse_mapping(example, FILE)
    assert mapped.signal["machine_z"].offset == 20.0
    for name in (*SIGNALS, *(unit.name for unit in UNITS)):
        suffix = name.removeprefix("machine").removeprefix("work") if name[-2:] in ("_x", "_y", "_z") else name
        assert f"`{name}`" in manual or f"`{suffix}`" in manual or f" {name}" in manual, name


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path / "nothing.toml")
    (tmp_path / "latin.toml").write_bytes(b"controller = '\xe9'")
    with pytest.raises(MappingError, match="not UTF-8"):
        load_mapping(tmp_path / "latin.toml")


async def test_the_driver_finds_a_machine_by_its_mapping_file(tmp_path: Path) -> None:
    path = tmp_path / "press.toml"
    endpoint = {"driver": "opcua", "endpoint": "opc.tcp://127.0.0.1:4840", "security": "none"}
    settings = OpcUaSettings.model_validate({**endpoint, "model": "mapping", "mapping_file": path})
    shelf, _ = press()
    with pytest.raises(NeedsPerson, match=r"the mapping is wrong: .*press\.toml, line 1: the file: it cannot be read"):
        await find(shelf, settings)
    path.write_text(WHOLE, encoding="utf-8")
    assert (await find(shelf, settings)).controller == "Maker 12"
    path.write_text('root = "Nowhere"\n' + EXECUTION, encoding="utf-8")
    with pytest.raises(LinkError, match="the server has no Nowhere, where the mapping begins"):
        await find(shelf, settings)
    with pytest.raises(NeedsPerson, match="set `mapping_file`"):
        await mapping.find(shelf, None)


def test_the_lab_does_not_start_on_a_wrong_mapping(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    lines = (
        *("[lab]", 'id = "van"', 'name = "Van"', 'data_dir = "data"', "[operator]", 'pin_file = "pin"'),
        *("[[machine]]", 'id = "press"', 'name = "Press"', 'kind = "other"', "[machine.connection]"),
        *(
            'driver = "opcua"',
            'endpoint = "opc.tcp://127.0.0.1:4840"',
            'model = "mapping"',
            'mapping_file = "press.toml"',
        ),
    )
    config.write_text("\n".join(lines), encoding="utf-8")
    path = tmp_path / "press.toml"
    path.write_text(EXECUTION, encoding="utf-8")
    assert load_settings(config).machine[0].id == "press"
    path.write_text(EXECUTION.replace("node", "nod"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(config)
    assert (caught.value.path, caught.value.line, caught.value.key) == (path, 2, "signal.execution.node")


@given(values=st.dictionaries(st.sampled_from(list(parse_mapping(WHOLE, FILE).signal)), ANYTHING))
def test_no_value_ends_a_driver(values: dict[str, object]) -> None:
    machine = mapping.MappedMachine("i=85", parse_mapping(WHOLE, FILE).signal, {})
    assert machine.state_of(values, 5).taken_ns == 5
