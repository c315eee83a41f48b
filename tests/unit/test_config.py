# SPDX-License-Identifier: GPL-3.0-or-later
"""The van's TOML file: what is read, and that each mistake is answered with its line, its key and a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.cli import cli
from edge.config import ConfigError, EdgeSettings, load_settings, parse_settings, settings_hash
from edge.domain.tool import Tool, ToolShape
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.opcua.settings import OpcUaSettings
from edge.services.opening import Item

GOOD = """\
[lab]
id = "im-01"
name = "InfoMobil 1"
data_dir = "data"

[http]
kiosk_port = 8081

[operator]
pin_file = "/etc/infomobil/pin"

[store]
path = "facts/lab.db"

[sync]
host = "mqtt.example.lt"
ca_file = "ca.pem"
retry_max_s = 30.0

[gpio]
sample_ms = 20
[[gpio.inputs]]
name = "rear-door"
pin = 17
[[gpio.inputs]]
name = "side-door"
pin = 27

[[machine]]
id = "router"
name = "Router [left]"
kind = "router"
[machine.connection]
driver = "grbl"
port = "/dev/serial/by-id/router"
door_pin = true
[[machine.interlock]]
input = "door"
source = "controller"
label = "Door"
remedy = "Close it."
[[machine.interlock]]
input = "side"
source = "gpio:side-door"
label = "Side door"
remedy = "Close it."

[machine.hand]
max_feed = 1500
park = [-5, -5.5, -2]
plate = 15.1
tool_setter = [-20, -180]
[machine.hand.corner]
x = 10
y = 10
z = 12
[machine.hand.probe]
fast = 150
[[machine.tools]]
number = 1
name = "End mill 3 mm"
shape = "flat"
diameter_mm = 3
flute_mm = 12
max_plunge = 250
[[machine.tools]]
number = 4
name = "V-bit 60 deg"
shape = "v"
diameter_mm = 6
flute_mm = 5
tip_angle_deg = 60
tip_diameter_mm = 0.1

[[machine]]
id = "lathe"
name = "Lathe"
kind = "lathe"
[machine.connection]
driver = "opcua"
endpoint = "opc.tcp://192.0.2.7:4840/"
user = "van"
password_file = "lathe.secret"
[[machine.connection.inputs]]
name = "hood"
node = "Interlock/Hood"
[[machine.connection.inputs]]
name = "door"
node = "Interlock/Door"
[[machine.interlock]]
input = "hood"
source = "opcua:lathe/hood"
label = "Hood"
remedy = "Close it."
"""


def parse(text: str) -> EdgeSettings:
    return parse_settings(text, Path("/van/edge.toml"))


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value


def edited(old: str, new: str, entry: int = 0) -> tuple[str, int]:
    """Return GOOD with the `entry`-th occurrence of `old` replaced, and the line (1-based) where it was."""
    parts = GOOD.split(old)
    assert len(parts) > entry + 1, old
    before = old.join(parts[: entry + 1])
    return before + new + old.join(parts[entry + 1 :]), before.count("\n") + 1


def test_a_good_file_is_read_and_paths_are_taken_from_its_folder() -> None:
    settings = parse(GOOD)
    router, lathe = settings.machine
    assert isinstance(router.connection, GrblSettings)
    assert isinstance(lathe.connection, OpcUaSettings)
    assert settings.lab.data_dir == Path("/van/data")
    assert settings.operator.pin_file == Path("/etc/infomobil/pin")
    assert settings.store.path == Path("/van/facts/lab.db")
    assert settings.store.database(settings.lab.data_dir) == Path("/van/facts/lab.db")
    assert lathe.connection.password_file == Path("/van/lathe.secret")
    assert settings.sync is not None
    assert (settings.sync.ca_file, settings.sync.cert_file, settings.sync.port) == (Path("/van/ca.pem"), None, 8883)
    assert [rule.rule().max_age_ns for rule in router.interlock] == [1_000_000_000, 1_000_000_000]


def test_a_relative_path_to_the_file_itself_is_no_trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "van").mkdir()
    (tmp_path / "van" / "edge.toml").write_text(GOOD, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_settings(Path("van/edge.toml")).lab.data_dir == tmp_path / "van" / "data"


def test_least_file() -> None:
    settings = parse('[lab]\nid = "a"\nname = "A"\ndata_dir = "d"\n[operator]\npin_file = "p"\n')
    assert (settings.sync, settings.machine, settings.gpio.inputs) == (None, (), ())
    assert (settings.http.host, settings.http.console_port, settings.http.kiosk_port) == ("127.0.0.1", 8080, 8081)


@pytest.mark.parametrize(
    ("old", "new", "entry", "key", "why"),
    [
        ('name = "InfoMobil 1"', 'nmae = "InfoMobil 1"', 0, "lab.name", "missing"),
        ("kiosk_port = 8081", "kiosk_prot = 8081", 0, "http.kiosk_prot", "not known here"),
        ("kiosk_port = 8081", 'kiosk_port = "many"', 0, "http.kiosk_port", "it says 'many'"),
        ("kiosk_port = 8081", 'kiosk_port = "8081"', 0, "http.kiosk_port", "it says '8081'"),
        ("kiosk_port = 8081", "kiosk_port = 65536", 0, "http.kiosk_port", "it says 65536"),
        ("kiosk_port = 8081", "kiosk_port = 8080", 0, "http.kiosk_port", "the console has this port already"),
        ('id = "im-01"', 'id = "IM 01"', 0, "lab.id", "it says 'IM 01'"),
        ('id = "im-01"', "id = 7", 0, "lab.id", "it says 7"),
        ('id = "im-01"', "id = 2026-03-02", 0, "lab.id", "valid string"),
        ("retry_max_s = 30.0", "retry_max_s = nan", 0, "sync.retry_max_s", "it says nan"),
        ("retry_max_s = 30.0", "retry_max_s = 0", 0, "sync.retry_max_s", "it says 0"),
        ("sample_ms = 20", "sample_ms = 20.5", 0, "gpio.sample_ms", "it says 20.5"),
        ("pin = 17", "pin = 99", 0, "gpio.inputs.1.pin", "it says 99"),
        ("pin = 27", "pin = true", 0, "gpio.inputs.2.pin", "it says True"),
        ("pin = 27", "pni = 27", 0, "gpio.inputs.2.pin", "missing"),
        ('id = "lathe"', 'id = "router"', 0, "machine.2.id", "two machines have the name 'router'"),
        ('kind = "lathe"', 'kind = "robot"', 0, "machine.2.kind", "it says 'robot'"),
        ("door_pin = true", "door_pni = true", 0, "machine.1.connection.door_pni", "not known here"),
        ('endpoint = "opc', 'endpiont = "opc', 0, "machine.2.connection.endpoint", "missing"),
        ('user = "van"', 'user = "van"\ndoor_pin = true', 0, "machine.2.connection.door_pin", "not known here"),
        (
            'driver = "opcua"',
            'driver = "modbus"',
            0,
            "machine.2.connection.driver",
            "'grbl', 'grblhal-laser' or 'opcua'",
        ),
        ('node = "Interlock/Door"', "node = 5", 0, "machine.2.connection.inputs.2.node", "it says 5"),
        ('source = "gpio:side-door"', 'source = "gpio:side"', 0, "machine.1.interlock.2.source", "no [[gpio.inputs]]"),
        ('source = "gpio:side-door"', 'source = "usb:1"', 0, "machine.1.interlock.2.source", "it says 'usb:1'"),
        ('"opcua:lathe/hood"', '"opcua:mill/hood"', 0, "machine.2.interlock.1.source", "no machine 'mill' on OPC UA"),
        ('"opcua:lathe/hood"', '"opcua:router/hood"', 0, "machine.2.interlock.1.source", "no machine 'router' on OPC"),
        ('"opcua:lathe/hood"', '"opcua:lathe/lid"', 0, "machine.2.interlock.1.source", "inputs]] named 'lid'"),
        ('"opcua:lathe/hood"', '"controller"', 0, "machine.2.interlock.1.source", "only a GRBL controller has pins"),
        ('input = "side"', 'input = "door"', 0, "machine.1.interlock.2.input", "two interlock inputs of this machine"),
        ("gpio:side-door", "controller", 0, "machine.1.interlock.2.source", "none is named 'side'"),
        ('label = "Side door"', "", 0, "machine.1.interlock.2.label", "missing"),
        ('remedy = "Close it."', 'remedy = ""', 2, "machine.2.interlock.1.remedy", "it says ''"),
        ('input = "side"', 'input = "side"\nshows = "roof"', 0, "machine.1.interlock.2.shows", "it says 'roof'"),
        ("max_feed = 1500", "max_feed = 2001", 0, "machine.1.hand.max_feed", "less than or equal to 2000"),
        ("max_feed = 1500", "max_fed = 1500", 0, "machine.1.hand.max_fed", "not known here"),
        ("plate = 15.1", "plate = -1", 0, "machine.1.hand.plate", "it says -1"),
        ("plate = 15.1", 'plate = "15"', 0, "machine.1.hand.plate", "it says '15'"),
        ("z = 12", "z = nan", 0, "machine.1.hand.corner.z", "it says nan"),
        ("z = 12", "z = 12\nlength = 0", 0, "machine.1.hand.corner.length", "it says 0"),
        ("fast = 150", "fast = 501", 0, "machine.1.hand.probe.fast", "it says 501"),
    ],
)
def test_a_mistake_is_answered_with_line_key_and_reason(old: str, new: str, entry: int, key: str, why: str) -> None:
    text, line = edited(old, new, entry)
    error = refused(text)
    assert error.key == key
    assert why in str(error.why)
    written = text.splitlines()[int(str(error.line)) - 1]
    if "missing" in why:
        # There is no line to name but that of the table that lacks the key.
        assert written.startswith("["), written
        assert int(str(error.line)) < line
    else:
        assert key.rsplit(".", 1)[1] in written
        assert abs(int(str(error.line)) - line) <= new.count("\n"), written
    assert str(error) == f"/van/edge.toml, line {error.line}: {key}: {error.why}."


def test_a_missing_table_is_named() -> None:
    error = refused(GOOD.replace("[operator]\n", "[oprator]\n"))
    assert (error.key, error.line) == ("operator", 1)
    error = refused(GOOD.replace('driver = "opcua"\n', ""))
    assert error.key == "machine.2.connection"
    assert "driver is missing" in str(error.why)
    assert GOOD.splitlines()[int(str(error.line)) - 1] == "[machine.connection]"


def test_the_missing_key_of_the_second_machine_is_not_looked_for_in_the_first() -> None:
    text, line = edited('name = "Lathe"\n', "")
    error = refused(text)
    assert (error.key, error.why) == ("machine.2.name", "this key is missing")
    assert error.line == line - 2
    assert text.splitlines()[line - 3] == "[[machine]]"


@pytest.mark.parametrize(
    ("old", "new", "key", "why"),
    [
        ("park = [-5, -5.5, -2]\n", "", "machine.1.hand", "tool_setter is approached at the parking height"),
        ("fast = 150", "fast = 10", "machine.1.hand.probe", "slow is faster than fast"),
        ("fast = 150", "setter = 60", "machine.1.hand", "farther than probe_mm = 50 of its connection"),
        ("z = 12", "z = 12\ndepth = 30", "machine.1.hand", "corner.depth is more than the probe may go down"),
    ],
)
def test_settings_of_the_hand_that_do_not_go_together(old: str, new: str, key: str, why: str) -> None:
    error = refused(edited(old, new)[0])
    assert error.key == key
    assert why in str(error.why)


def test_the_hand_of_a_machine() -> None:
    router, lathe = parse(GOOD).machine
    assert router.hand.park == (-5.0, -5.5, -2.0)
    assert router.hand.corner is not None
    assert (router.hand.corner.z, router.hand.corner.depth, router.hand.probe.fast) == (12, 5, 150)
    assert (lathe.hand.max_feed, lathe.hand.park, lathe.hand.plate) == (1000, None, None)


def test_the_tools_of_a_machine() -> None:
    router, lathe = parse(GOOD).machine
    assert router.tools == {
        1: Tool(1, "End mill 3 mm", ToolShape.FLAT, diameter=3, flute_length=12, max_plunge=250),
        4: Tool(4, "V-bit 60 deg", ToolShape.V, diameter=6, flute_length=5, tip_angle=60, tip_diameter=0.1),
    }
    assert lathe.tools == {}
    row = '[[machine.tools]]\nnumber = 9\nname = "Knife"\nshape = "turning"\nflute_mm = 8\nnose_radius_mm = 0.4\n'
    knife = parse(edited('kind = "lathe"\n', f'kind = "lathe"\n{row}')[0]).machine[1].tools[9]
    assert (knife.diameter, knife.nose_radius) == (0.8, 0.4)


@pytest.mark.parametrize(
    ("old", "new", "entry", "key", "why"),
    [
        ("number = 4", "number = 1", 0, "machine.1.tools.2.number", "two tools of this machine have the number 1"),
        ("number = 4", "number = 256", 0, "machine.1.tools.2.number", "it says 256"),
        ("number = 4", "number = -1", 0, "machine.1.tools.2.number", "it says -1"),
        ('shape = "flat"', 'shape = "round"', 0, "machine.1.tools.1.shape", "it says 'round'"),
        ("diameter_mm = 3", "diameter_mm = 0", 0, "machine.1.tools.1.diameter_mm", "it says 0"),
        ("flute_mm = 12", "flute_mm = true", 0, "machine.1.tools.1.flute_mm", "it says True"),
        ("flute_mm = 12", "flute_mm = 12\nflute = 12", 0, "machine.1.tools.1.flute", "not known here"),
        ("max_plunge = 250", "max_plunge = 0", 0, "machine.1.tools.1.max_plunge", "it says 0"),
    ],
)
def test_a_mistake_in_the_table_of_tools_is_answered_with_its_key(
    old: str, new: str, entry: int, key: str, why: str
) -> None:
    text, line = edited(old, new, entry)
    error = refused(text)
    assert error.key == key
    assert why in str(error.why)
    assert error.line == line + new.count("\n")


@pytest.mark.parametrize(
    ("old", "new", "entry", "why"),
    [
        ("diameter_mm = 3\n", "", 0, "diameter_mm is missing: a tool of the shape 'flat' has one"),
        ("diameter_mm = 3", "diameter_mm = 3\nnose_radius_mm = 1", 0, "nose_radius_mm does not belong"),
        ("diameter_mm = 3", "diameter_mm = 3\ntip_angle_deg = 60", 0, "tip_angle_deg does not belong"),
        ("diameter_mm = 3", "diameter_mm = 3\ntip_diameter_mm = 1", 0, "tip_diameter_mm does not belong"),
        ('shape = "flat"', 'shape = "turning"', 0, "diameter_mm does not belong to a tool of the shape 'turning'"),
        ("tip_angle_deg = 60\n", "", 1, "tip_angle_deg is missing: a tool of the shape 'v' has one"),
        ("tip_diameter_mm = 0.1", "tip_diameter_mm = 6", 1, "tip_diameter_mm is not under diameter_mm"),
    ],
)
def test_a_tool_that_does_not_fit_its_shape_is_answered_with_its_row(old: str, new: str, entry: int, why: str) -> None:
    text, _ = edited(old, new)
    error = refused(text)
    assert error.key == f"machine.1.tools.{entry + 1}"
    assert why in str(error.why)
    rows = [number for number, line in enumerate(text.splitlines(), 1) if line == "[[machine.tools]]"]
    assert error.line == rows[entry]


def test_a_laser_has_no_table_of_tools() -> None:
    error = refused(edited('kind = "router"', 'kind = "laser"')[0])
    assert (error.key, error.why) == ("machine.1.tools.1", "a laser cuts with no tool")


def test_inputs_show_the_items_of_the_opening_checklist() -> None:
    assert parse(GOOD).machine[0].checklist == {Item.DOOR: ["door"]}
    both = edited('input = "side"', 'input = "side"\nshows = "door"')[0]
    assert parse(both).machine[0].checklist == {Item.DOOR: ["door", "side"]}


def test_a_declared_pin_is_needed_for_a_pin_that_is_watched() -> None:
    text, line = edited("door_pin = true", "door_pin = false")
    error = refused(text)
    assert error.key == "machine.1.interlock.1.source"
    assert "door_pin = true in [machine.connection]" in str(error)
    assert int(str(error.line)) == line + 3


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('cert_file = "a.pem"', "cert_file and key_file come together"),
        ('password_file = "secret"', "password_file needs username"),
        ("retry_min_s = 60.0", "retry_max_s is less than retry_min_s"),
    ],
)
def test_sync_settings_that_do_not_go_together(lines: str, why: str) -> None:
    text, line = edited("retry_max_s = 30.0", f"retry_max_s = 30.0\n{lines}")
    error = refused(text)
    assert (error.key, error.why) == ("sync", why)
    assert text.splitlines()[int(str(error.line)) - 1] == "[sync]"
    assert int(str(error.line)) < line


def test_an_opcua_connection_that_does_not_go_together_names_its_machine() -> None:
    error = refused(edited('password_file = "lathe.secret"', "")[0])
    assert error.key == "machine.2.connection"
    assert "`user` and `password_file` go together" in str(error.why)


def test_keys_in_quotes_with_dots_and_inline_are_found_too() -> None:
    text = (
        'lab = { id = "a", name = "A", data_dir = "d" }\noperator.pin_file = "p"\n'
        'http."console_port" = 0\n# [http]\nmachine = []\n'
    )
    error = refused(text)
    assert (error.key, error.line) == ("http.console_port", 3)
    error = refused(text.replace('name = "A"', "name = 1"))
    assert (error.key, error.line) == ("lab.name", 1)


@pytest.mark.parametrize(
    ("text", "line"), [("[lab\n", 1), ('[lab]\nid = "a"\nid = "b"\n', 3), ("[lab]\nid = 'a\n", 2), ("[lab]\nid =", 2)]
)
def test_a_file_that_is_not_toml(text: str, line: int) -> None:
    error = refused(text)
    assert (error.line, error.key) == (line, "the file")
    assert "it is not TOML" in str(error)


def test_an_empty_file() -> None:
    error = refused("")
    assert (error.line, error.key, error.why) == (1, "lab", "this key is missing")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path / "none.toml", "it cannot be read (No such file or directory)"),
        (tmp_path, "it cannot be read (Is a directory)"),
    ):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            load_settings(path)
        assert caught.value.why == why
    latin = tmp_path / "latin.toml"
    latin.write_bytes('[lab]\nname = "Šilutė"\n'.encode("iso8859-13"))
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        load_settings(latin)


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_bytes(b"abc")
    assert settings_hash(file) == "ba7816bf8f01cfea"


class TestCheckConfig:
    """`infomobil-edge check-config`: exit code 0 and what the file means, or 2 and why not."""

    def test_a_good_file(self, tmp_path: Path) -> None:
        file = tmp_path / "edge.toml"
        file.write_text(GOOD, encoding="utf-8")
        secret = tmp_path / "lathe.secret"
        secret.write_text("quiet", encoding="utf-8")
        secret.chmod(0o600)
        result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["check-config", str(file)])
        assert result.exit_code == 0, result.output
        for word in ("InfoMobil 1 (im-01)", "Router [left]", "/dev/serial/by-id/router", "side (gpio:side-door)"):
            assert word in result.output
        assert "office broker: mqtt.example.lt:8883" in result.output
        assert "by hand: 1500 mm/min at most, parked at -5, -5.5, -2, touch plate of 15.1 mm" in result.output
        assert "after a drive: seen: door by door; told: stop_circuit, clamps" in result.output
        assert "tools: T1 End mill 3 mm (flat, 3 mm, to 12 mm deep), T4 V-bit 60 deg (v, 6 mm" in result.output
        assert result.output.endswith("The file can be used.\n")

    def test_without_office_and_interlock(self, tmp_path: Path) -> None:
        file = tmp_path / "edge.toml"
        file.write_text(
            '[lab]\nid = "a"\nname = "A"\ndata_dir = "d"\n[operator]\npin_file = "p"\n'
            '[[machine]]\nid = "r"\nname = "R"\nkind = "router"\n'
            'connection = { driver = "grbl", port = "/dev/ttyUSB0" }\n',
            encoding="utf-8",
        )
        result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["check-config", str(file)])
        assert result.exit_code == 0, result.output
        assert "none: facts stay in the outbox" in result.output
        assert "interlock: none, so motion is never permitted" in result.output
        assert "by hand: 1000 mm/min at most, no parking position, no plate" in result.output
        assert "tools: none described" in result.output

    def test_a_laser(self, tmp_path: Path) -> None:
        file = tmp_path / "edge.toml"
        file.write_text(
            '[lab]\nid = "a"\nname = "A"\ndata_dir = "d"\n[operator]\npin_file = "p"\n'
            '[[machine]]\nid = "l"\nname = "L"\nkind = "laser"\n'
            'connection = { driver = "grblhal-laser", host = "192.0.2.9" }\n',
            encoding="utf-8",
        )
        result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["check-config", str(file)])
        assert result.exit_code == 0, result.output
        assert "L: laser, grblhal-laser at socket://192.0.2.9:23" in result.output
        assert "after a drive: seen: nothing; told: stop_circuit, door, clamps" in result.output
        assert "tools:" not in result.output

    def _lathe(self, tmp_path: Path, extra: str = "") -> Path:
        file = tmp_path / "edge.toml"
        file.write_text(
            '[lab]\nid = "a"\nname = "A"\ndata_dir = "d"\n[operator]\npin_file = "p"\n[opcua_server]\nport = 4841\n'
            '[[machine]]\nid = "l"\nname = "L"\nkind = "lathe"\n'
            '[machine.identification]\nmanufacturer = "Maker"\n'
            f'[machine.connection]\ndriver = "opcua"\nendpoint = "opc.tcp://192.0.2.9:4840"\n{extra}',
            encoding="utf-8",
        )
        return file

    @pytest.mark.parametrize(
        ("extra", "said"),
        [
            ("", "programs: watched only, nothing is written to it"),
            ("write = true\n", "programs: loaded from here, started at the machine"),
            ("write = true\njob_control = true\n", "programs: loaded and started from here"),
        ],
    )
    def test_a_lathe_on_opc_ua(self, tmp_path: Path, extra: str, said: str) -> None:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["check-config", str(self._lathe(tmp_path, extra))])
        assert result.exit_code == 0, result.output
        assert said in result.output
        assert "OPC UA server: port 4841" in result.output
        assert ("after a drive" in result.output) is bool(extra)

    @pytest.mark.parametrize(
        ("extra", "why"),
        [
            ('model = "mapping"\nmapping_file = "lathe.toml"\n', "lathe.toml, line 1: the file: it cannot be read"),
            ('user = "van"\npassword_file = "secret"\n', "secret cannot be read (No such file or directory)."),
        ],
    )
    def test_a_file_that_a_machine_names_and_that_cannot_be_used(self, tmp_path: Path, extra: str, why: str) -> None:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["check-config", str(self._lathe(tmp_path, extra))])
        assert result.exit_code == 2
        assert why in result.output.replace("\n", " ")

    def test_a_mistake(self, tmp_path: Path) -> None:
        file = tmp_path / "edge.toml"
        text, line = edited("gpio:side-door", "gpio:side")
        file.write_text(text, encoding="utf-8")
        for command in (["check-config", str(file)], ["run", "--config", str(file)]):
            result = CliRunner().invoke(cli, command)
            assert result.exit_code == 2
            assert result.stdout == ""
            assert result.stderr == (
                f"{file}, line {line}: machine.1.interlock.2.source: no [[gpio.inputs]] has the name 'side'.\n"
            )

    def test_no_file(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(cli, ["check-config", str(tmp_path / "edge.toml")])
        assert result.exit_code == 2
        assert "it cannot be read (No such file or directory)" in result.stderr
