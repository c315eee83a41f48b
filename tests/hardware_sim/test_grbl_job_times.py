# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole programs on the virtual clock take as long as the real firmware took for them.

The programs are not part of this repository: INFOMOBIL_CORPUS names their folder.
"""

import csv
import json
import os
import re
from pathlib import Path

import pytest

from .grbl.virtual_host import VirtualHost

DATA = Path(__file__).parents[1] / "data"
CORPUS = os.environ.get("INFOMOBIL_CORPUS")
ROWS = list(csv.DictReader((DATA / "grbl_job_times.csv").read_text(encoding="utf-8").splitlines()))
SETTINGS = json.loads((DATA / "grbl_job_settings.json").read_text(encoding="utf-8"))
LINE_COST_S = 0.0015
TOLERANCE = 0.001
# Program, setting, how late the host reacts to each acknowledgement (s), recorded time (s).
SLOW_HOST = [
    ("jsdc.gcode", "A", 0.01, 37.901),
    ("jsdc.gcode", "A", 0.05, 42.796),
    ("jsdc.gcode", "A", 0.1, 65.201),
    ("jsdc.gcode", "B", 0.1, 76.613),
    ("tball.gcode", "C", 0.1, 86.745),
]

pytestmark = [
    pytest.mark.skipif(CORPUS is None, reason="INFOMOBIL_CORPUS does not name the folder of the programs"),
    pytest.mark.timeout(120),
]


def program(name: str) -> list[str]:
    """The lines that were sent: without comments, blank lines and lines that are only ``%``."""
    text = (Path(CORPUS or ".") / name).read_text(encoding="latin-1")
    lines = [re.sub(r"\([^)]*\)", "", line).split(";")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and line != "%"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['program']}-{row['setting']}")
def test_takes_the_recorded_time(row: dict[str, str]) -> None:
    notes = row["notes"]
    recorded = re.search(r"1\.5 ms per line ([\d.]+)", notes)
    assert recorded is not None
    run = VirtualHost(SETTINGS[row["setting"]]["settings"], line_cost=LINE_COST_S).run(program(row["program"]))
    assert run.seconds == pytest.approx(float(recorded[1]), rel=TOLERANCE)
    assert run.distance_mm == pytest.approx(float(row["distance_mm"]), rel=0.002)
    refused = [(int(line), int(code)) for code, line in re.findall(r"error:(\d+) at sent line (\d+)", notes)]
    assert run.errors == refused


@pytest.mark.parametrize(("name", "setting", "delay", "recorded"), SLOW_HOST)
def test_a_slow_host_starves_the_planner(name: str, setting: str, delay: float, recorded: float) -> None:
    host = VirtualHost(SETTINGS[setting]["settings"], line_cost=LINE_COST_S, host_delay=delay)
    assert host.run(program(name)).seconds == pytest.approx(recorded, rel=0.02)
