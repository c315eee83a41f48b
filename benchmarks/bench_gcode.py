# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the check and the planner in lines per second, and the memory that the check takes.

References from the same run: reading the file's bytes, a bare regular expression over the lines, and what two public
libraries take to parse the same lines, without checking anything; both get fewer lines because of their pace.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gcode_machine import GcodeMachine
from gcodeparser import parse_gcode_lines

from benchmarks.gcode_programs import OFFSET, SHAPES, TRAVEL, spiral
from benchmarks.stats import Row, row
from edge.gcode import MotionSettings, check, interpret, path_preview, plan
from edge.gcode.limits import OPERATOR_BANNED

LINES = 2_000_000
SOME_LINES = 200_000
FEW_LINES = 20_000
REPEATS = 3
WORDS = re.compile(rb"([A-Z])([+-]?[0-9.]+)")
NAME = "check of {:,} lines"


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds of the best of some runs."""
    best = math.inf
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def parse_with_machine(lines: list[str]) -> None:
    """Let gcode-machine follow the lines, as its own documentation does."""
    machine = GcodeMachine()
    for line in lines:
        machine.set_line(line)
        machine.strip()
        machine.tidy()
        machine.parse_state()
        machine.done()


def memory(file: Path, who: str) -> float:
    """Return the peak memory of a process that reads `file`, bytes a line over the text."""
    command = [sys.executable, "-m", "benchmarks.gcode_memory", str(file), who]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    taken, lines, _ = (int(word) for word in answer.stdout.split())
    return taken / lines


def run() -> Iterator[Row]:
    """Yield the rows of the table."""
    some, few = min(SOME_LINES, LINES), min(FEW_LINES, LINES)
    with tempfile.TemporaryDirectory() as folder:
        file, small = Path(folder) / "program.nc", Path(folder) / "small.nc"
        file.write_bytes(spiral(LINES))
        small.write_bytes(spiral(some))
        text = file.read_bytes()
        lines = text.count(b"\n")
        taken = seconds(lambda: check(interpret(text), TRAVEL, OFFSET))
        checked = lines / taken
        judged = lines / seconds(lambda: check(interpret(text), TRAVEL, OFFSET, tools={}))
        read = lines / seconds(file.read_bytes)
        part = small.read_bytes()
        bare = some / seconds(lambda: [WORDS.findall(line) for line in part.split(b"\n")])
        short = spiral(few).decode()
        parser = few / seconds(lambda: list(parse_gcode_lines(short)))
        machine = few / seconds(lambda: parse_with_machine(short.splitlines()))
        name = NAME.format(LINES)
        yield row(f"{name}, time a line", taken / lines * 1e6, "µs")
        yield row(name, checked, "lines/s", "bare regular expression over the lines", bare)
        yield row(name, checked, "lines/s", "reading the bytes of the file", read)
        yield row(name, checked, "lines/s", "gcodeparser 0.3, words only", parser)
        yield row(name, checked, "lines/s", "gcode-machine 1.0, state only", machine)
        yield row(f"{name}, with its tools and material", judged, "lines/s", "gcode-machine 1.0, state only", machine)
        yield row(
            f"{name}, peak memory a line", memory(file, "check"), "bytes", "gcodeparser", memory(small, "gcodeparser")
        )
        for shape, made in SHAPES.items():
            other = made(some)
            pace = some / seconds(lambda: check(interpret(other), TRAVEL, OFFSET, banned=OPERATOR_BANNED))  # noqa: B023
            yield row(f"check, {shape}", pace, "lines/s", "bare regular expression over the lines", bare)
        pace = few / seconds(lambda: check(interpret(short.encode(), batches=False), TRAVEL, OFFSET))
        yield row("check, line by line", pace, "lines/s", "bare regular expression over the lines", bare)
        program, settings = interpret(part), MotionSettings()
    for name, work in (
        ("plan of the time", lambda: plan(program, settings)),
        ("path for a screen", lambda: path_preview(program, 4000)),
    ):
        yield row(name, some / seconds(work), "lines/s", "bare regular expression over the lines", bare)


if __name__ == "__main__":
    for found in run():
        print(found)
