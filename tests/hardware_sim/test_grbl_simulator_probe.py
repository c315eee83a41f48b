# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts in the probe circuit: block, ring, plate, and a tool that is longer than the one before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .grbl.launch import Simulator
from .grbl.world import BORE_WALL_MM, Box, World, parse_bore, parse_box
from .test_grbl_simulator import WELCOME, Host

STEP_MM = 0.004
BLOCK = "--probe-box=-140,-90,-120,-70,-50"
RING = "--probe-bore=-100,-50,10,-45"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[tuple[Simulator, Host]]:
    options = ("--speed", "20", "--tool-diameter", "3", BLOCK, RING)
    with Simulator(tmp_path, *options) as simulator:
        host = Host(simulator.port)
        host.until(WELCOME)
        yield simulator, host
        host.close()


def probe(host: Host, line: str) -> list[float]:
    """Where contact was made, machine mm."""
    host.send(line + "\n")
    result = host.until("[PRB:")
    assert result.endswith(":1]")
    assert host.until("ok") == "ok"
    return [float(part) for part in result[5:-3].split(",")]


def test_the_sides_of_a_block_are_found_half_a_tool_away(bench: tuple[Simulator, Host]) -> None:
    _, host = bench
    # The axes start at -150,-100,-40 and machine 0 is there: the block is X 10..30, Y 10..30, its top at Z -10.
    assert host.ask("G0 Y20 Z-12") == "ok"
    assert probe(host, "G38.2 X20 F100")[0] == pytest.approx(10 - 1.5, abs=STEP_MM)
    assert host.ask("G0 X5 Y5") == "ok"
    assert host.ask("G0 X20") == "ok"
    assert probe(host, "G38.2 Y20 F100")[1] == pytest.approx(10 - 1.5, abs=STEP_MM)
    assert host.ask("G0 Y5") == "ok"
    assert host.ask("G0 Z0") == "ok"
    assert host.ask("G0 Y20") == "ok"
    assert probe(host, "G38.2 Z-20 F100")[2] == pytest.approx(-10, abs=STEP_MM)


def test_the_middle_of_a_bore_is_found_from_its_walls(bench: tuple[Simulator, Host]) -> None:
    _, host = bench
    assert host.ask("G0 X51 Y49") == "ok"
    assert host.ask("G0 Z-8") == "ok"
    right = probe(host, "G38.2 X70 F100")[0]
    assert host.ask("G0 X51") == "ok"
    left = probe(host, "G38.2 X30 F100")[0]
    assert (right + left) / 2 == pytest.approx(50, abs=STEP_MM)
    # Y is 1 mm beside the middle, the tool's radius makes the hole 8.5 mm.
    assert right - left == pytest.approx(2 * (8.5**2 - 1) ** 0.5, abs=3 * STEP_MM)


def test_a_longer_tool_makes_contact_that_much_higher(bench: tuple[Simulator, Host]) -> None:
    simulator, host = bench
    simulator.command("plate -55")
    assert host.ask("G0 X0 Y0") == "ok"
    first = probe(host, "G38.2 Z-30 F100")[2]
    assert host.ask("G0 Z0") == "ok"
    assert host.ask("G4 P0.01") == "ok"
    simulator.command("tool 2.5")
    second = probe(host, "G38.2 Z-30 F100")[2]
    assert second - first == pytest.approx(2.5, abs=STEP_MM)
    simulator.command("plate off")
    assert host.ask("G38.3 Z-20 F1000") == "ok"


def test_a_move_away_shows_the_probe_input_turned_round(bench: tuple[Simulator, Host]) -> None:
    simulator, host = bench
    simulator.command("probe on")
    host.send("G38.4 Z-20 F60\n")
    assert "|Pn:" not in host.until_status("<Run")
    simulator.command("probe off")
    assert host.until("[PRB:").endswith(":1]")
    assert host.until("ok") == "ok"


def test_contact_is_geometry() -> None:
    world = World(probe_box=parse_box([10, 10, 0, 0, -5]), tool_diameter=2.0)
    assert world.probe_box == Box(0, 0, 10, 10, -5)
    assert world.probe_at([-1, 5, -6])
    assert not world.probe_at([-1, -1, -6])
    assert not world.probe_at([5, 5, -4])
    world.tool_length = 1.0
    assert world.probe_at([5, 5, -4])
    bore = parse_bore([0, 0, 10, 0])
    assert not bore.touches(8.9, 0, -1, 1)
    assert bore.touches(9, 0, -1, 1)
    assert not bore.touches(10 + BORE_WALL_MM + 1.1, 0, -1, 1)
    for wrong in ([0, 0, 0, 0], [0, 0, 1]):
        with pytest.raises(ValueError):  # noqa: PT011 the message is for nobody
            parse_bore(wrong)


@pytest.mark.parametrize("line", ["box 1 2 3", "bore 1 2 0 4", "plate up", "plate 1 2", "tool long"])
def test_a_part_that_cannot_be_placed_changes_nothing(bench: tuple[Simulator, Host], line: str) -> None:
    simulator, host = bench
    simulator.command(line)
    assert simulator.truth()["probe"] is False
    assert host.status().startswith("<Idle")
