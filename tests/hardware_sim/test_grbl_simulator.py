# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator as a process: port, plug, power, damage on the wire, logs, speed and cost."""

import os
import signal
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .grbl.baud import resample
from .grbl.launch import Simulator
from .replay.clocks import Line

PATIENCE_S = 20.0
QUIET_S = 0.4
LINES = 120
WELCOME = "Grbl 1.1h ['$' for help]"


class Host:
    """A plain host program: sends text and waits for lines, with a deadline."""

    def __init__(self, port: Path) -> None:
        self.line = Line(port)
        self._rest = b""
        self.line.open()

    def close(self) -> None:
        self.line.close()

    def send(self, text: str) -> None:
        self.line.send(text.encode("latin-1"))

    def read(self, patience: float = PATIENCE_S) -> str | None:
        """The next line, None if none comes."""
        deadline = time.monotonic() + patience
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._rest += self.line.receive(left)
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r").decode("latin-1")

    def until(self, start: str) -> str:
        """The first line that begins with `start`."""
        while (line := self.read()) is not None:
            if line.startswith(start):
                return line
        raise AssertionError(f"no line that begins with {start!r} came")

    def ask(self, line: str) -> str:
        """The answer to one line: ok or error:N."""
        self.send(line + "\n")
        while (answer := self.read()) is not None:
            if answer == "ok" or answer.startswith("error:"):
                return answer
        raise AssertionError(f"{line!r} was not answered")

    def status(self) -> str:
        self.send("?")
        return self.until("<")

    def until_status(self, start: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            status = self.status()
            if status.startswith(start):
                return status
        raise AssertionError(f"the state never became {start!r}")


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path) as running:
        yield running


@pytest.fixture
def host(simulator: Simulator) -> Iterator[Host]:
    client = Host(simulator.port)
    client.until(WELCOME)
    yield client
    client.close()


def clear_hupcl(host: Host) -> None:
    attributes = termios.tcgetattr(host.line.fd)
    attributes[2] &= ~termios.HUPCL
    termios.tcsetattr(host.line.fd, termios.TCSANOW, attributes)


def await_truth(simulator: Simulator, name: str, value: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while simulator.truth()[name] != value:
        assert time.monotonic() < deadline, f"{name} never became {value}"


def test_opening_the_port_restarts_the_controller(simulator: Simulator, host: Host) -> None:
    assert host.ask("G0 X1") == "ok"
    host.close()
    await_truth(simulator, "held", False)
    second = Host(simulator.port)
    assert second.until(WELCOME) == WELCOME
    assert second.status().startswith("<Idle|MPos:0.000,0.000,0.000|")
    assert simulator.truth()["mcu_restarts"] == 2
    second.close()


def test_no_restart_when_hupcl_was_cleared(simulator: Simulator, host: Host) -> None:
    assert host.ask("G92 X5") == "ok"
    clear_hupcl(host)
    host.close()
    await_truth(simulator, "held", False)
    second = Host(simulator.port)
    assert second.status().startswith("<Idle|")
    assert second.ask("$#") == "ok"
    assert simulator.truth()["mcu_restarts"] == 1
    second.close()


def test_two_holders_then_one_is_no_restart(simulator: Simulator, host: Host) -> None:
    second = Host(simulator.port)
    second.close()
    assert host.status().startswith("<Idle|")
    assert simulator.truth()["mcu_restarts"] == 1


def test_motion_goes_on_after_an_unplug(simulator: Simulator, host: Host, tmp_path: Path) -> None:
    assert host.ask("M3 S500") == "ok"
    assert host.ask("G1 X3 F1500") == "ok"
    simulator.command("unplug")
    await_truth(simulator, "plugged", False)
    with pytest.raises(OSError, match="Input/output"):
        host.send("?")
    assert not os.path.lexists(simulator.port)
    await_truth(simulator, "mpos_steps_mm", [3.0, 0.0, 0.0])
    assert simulator.truth()["spindle"] == "cw"
    other = tmp_path / "other-port"
    simulator.command(f"plug {other}")
    await_truth(simulator, "plugged", True)
    host.close()
    second = Host(other)
    second.until(WELCOME)
    assert second.status().startswith("<Idle|MPos:0.000,0.000,0.000|")
    truth = simulator.truth()
    assert truth["physical_mm"] == [-147.0, -100.0, -40.0]
    assert truth["spindle"] == "off"
    second.close()
    assert not os.path.lexists(simulator.port)


def test_emergency_stop_holds_the_processor_in_reset(simulator: Simulator, host: Host) -> None:
    assert host.ask("M3 S500") == "ok"
    assert host.ask("G1 X100 F1500") == "ok"
    simulator.command("estop on")
    await_truth(simulator, "moving", False)
    assert simulator.truth()["spindle"] == "off"
    host.send("?")
    assert host.read(QUIET_S) is None
    simulator.command("estop off")
    host.until(WELCOME)
    assert host.status().startswith("<Idle|MPos:0.000,0.000,0.000|")
    assert simulator.truth()["physical_mm"][0] > -150


@pytest.mark.parametrize("command", ["reset", "powercycle"])
def test_a_restart_forgets_the_position(simulator: Simulator, host: Host, command: str) -> None:
    assert host.ask("G0 X2") == "ok"
    host.until_status("<Idle|MPos:2.000")
    simulator.command(command)
    host.until(WELCOME)
    assert host.status().startswith("<Idle|MPos:0.000")
    assert simulator.truth()["physical_mm"][0] == -148.0


def test_buttons(simulator: Simulator, host: Host) -> None:
    assert host.ask("G1 X40 F600") == "ok"
    simulator.command("button hold press")
    assert "Pn:H" in host.until_status("<Hold:0")
    simulator.command("button hold release")
    simulator.command("button start press")
    simulator.command("button start release")
    host.until_status("<Run")
    simulator.command("button reset press")
    assert host.until("ALARM") == "ALARM:3"
    host.until(WELCOME)


def test_noise_changes_bytes_both_ways(simulator: Simulator, host: Host) -> None:
    simulator.command("noise 1")
    await_truth(simulator, "held", True)
    host.send("G0 X1\n")
    line = host.read(QUIET_S)
    simulator.command("noise 0")
    host.send("\x18")
    host.until(WELCOME)
    assert line != "ok"


def test_dropped_bytes(simulator: Simulator, host: Host) -> None:
    simulator.command("drop 1")
    await_truth(simulator, "held", True)
    host.send("?")
    assert host.read(QUIET_S) is None
    simulator.command("drop 0")
    await_truth(simulator, "held", True)
    assert host.status().startswith("<Idle")


def test_a_stall_delays_the_answer(simulator: Simulator, host: Host) -> None:
    simulator.command(f"stall {QUIET_S * 1000}")
    await_truth(simulator, "held", True)
    before = time.monotonic()
    host.status()
    assert time.monotonic() - before > QUIET_S / 4


def test_a_flood_without_line_ends_is_taken(host: Host) -> None:
    for _ in range(10):
        host.send("X" * 300)
    assert host.ask("") == "error:11"
    assert host.ask("G21") == "ok"


def test_a_nonsense_control_line_changes_nothing(simulator: Simulator, host: Host) -> None:
    simulator.command("limit q on")
    simulator.command("fly to the moon")
    simulator.command("advance 1 0")
    assert host.status().startswith("<Idle")


def test_the_wire_log_holds_every_byte_with_its_time(simulator: Simulator, host: Host) -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert host.ask("G1 X9 F600") == "ok"
    host.send("!")
    host.until_status("<Hold:0")
    entries = simulator.wire_entries()
    received = "".join(entry["data"] for entry in entries if entry["dir"] == "rx")
    assert received.startswith("G1 X9 F600\n!")
    hold = next(entry for entry in entries if entry["dir"] == "rx" and "!" in entry["data"])
    assert before < hold["t"] < time.clock_gettime(time.CLOCK_MONOTONIC)
    assert any(entry["dir"] == "tx" and entry["data"] == "ok\r\n" for entry in entries)
    assert entries[0] == {"t": entries[0]["t"], "dir": "ctl", "data": "port opened (DTR reset)"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with Simulator(tmp_path) as simulator:
        assert simulator.port.is_symlink()
        simulator.process.send_signal(number)
        assert simulator.process.wait(PATIENCE_S) == 0
        assert not os.path.lexists(simulator.port)


def test_door_build_has_what_stock_has_not(tmp_path: Path) -> None:
    with Simulator(tmp_path, "--build", "door", "--set", "$22=1", "--speed", "20") as simulator:
        host = Host(simulator.port)
        host.until("[MSG:'$H'")
        assert host.ask("$HZ") == "ok"
        assert host.status().startswith("<Idle|MPos:0.000,0.000,-2.000|")
        assert host.ask("M7") == "ok"
        assert simulator.truth()["mist"]
        simulator.command("door open")
        assert "Pn:D" in host.until_status("<Door:1")
        host.close()


def test_limit_and_probe_inputs_show(simulator: Simulator, host: Host) -> None:
    simulator.command("limit y on")
    simulator.command("probe on")
    await_truth(simulator, "probe", True)
    assert "|Pn:PY|" in host.status()
    simulator.command("limit y off")
    simulator.command("probe off")
    await_truth(simulator, "probe", False)
    assert "Pn:" not in host.status()


def test_twenty_times_the_speed_keeps_up_with_a_program(tmp_path: Path) -> None:
    lines = [f"G1 X{20 + 15 * (n % 2)} Y{n % 40 / 2} F3000" for n in range(LINES)]
    with Simulator(tmp_path, "--speed", "20") as simulator:
        host = Host(simulator.port)
        host.until(WELCOME)
        waiting: list[int] = []
        answers: list[str | None] = []
        for line in lines:
            data = line + "\n"
            while sum(waiting) + len(data) > 127:
                answers.append(host.read())
                waiting.pop(0)
            waiting.append(len(data))
            host.send(data)
        answers += [host.read() for _ in waiting]
        assert answers == ["ok"] * len(lines)
        assert host.ask("G4 P0.01") == "ok"
        status = host.until_status("<Idle")
        assert f"MPos:{20 + 15 * ((LINES - 1) % 2):.3f},{(LINES - 1) % 40 / 2:.3f},0.000" in status
        truth = simulator.truth()
        assert truth["rx_overflow_bytes_lost"] == 0
        # The moves alone take a third of a second each: the clock did not fall behind.
        assert truth["virtual_s"] > LINES / 3
        host.close()


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_costs_nothing_when_idle(simulator: Simulator, host: Host) -> None:
    before = processor_seconds(simulator.process.pid)
    assert host.read(1.5) is None
    assert processor_seconds(simulator.process.pid) - before <= 0.03


@pytest.mark.parametrize("baud", [9600, 57600, 230400])
def test_at_the_wrong_speed_nobody_understands_a_word(simulator: Simulator, host: Host, baud: int) -> None:
    attributes = termios.tcgetattr(host.line.fd)
    attributes[4] = attributes[5] = getattr(termios, f"B{baud}")
    termios.tcsetattr(host.line.fd, termios.TCSANOW, attributes)
    host.send("?$I\nG0 X5\n\x18")
    heard = host.read(QUIET_S) or ""
    assert "Grbl" not in heard
    assert "ok" not in heard
    assert simulator.truth()["mpos_steps_mm"] == [0.0, 0.0, 0.0]
    attributes[4] = attributes[5] = termios.B115200
    termios.tcsetattr(host.line.fd, termios.TCSANOW, attributes)
    host.send("\x18")
    host.until(WELCOME)
    assert host.status().startswith("<Idle|MPos:0.000,0.000,0.000|")


def test_bytes_at_the_right_speed_are_the_same() -> None:
    data = bytes(range(256))
    assert resample(data, 115200, 115200) == data
    assert resample(data, 115200, 0) == b""
    # Ten per cent aside is too much for the last bits, two per cent is not.
    assert resample(b"Grbl", 115200, 117504) == b"Grbl"
    assert resample(b"Grbl", 115200, 103680) != b"Grbl"
    # Half as fast: a train of 0x55 looks like a train of bits twice as long.
    assert resample(b"\x00", 9600, 115200) == b"\x00"
