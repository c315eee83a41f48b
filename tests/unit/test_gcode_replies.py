# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreter against what GRBL answered: one line after another, as recorded."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edge.gcode import interpret
from edge.gcode.diagnostics import GRBL_ERRORS

TRACES = Path(__file__).parents[1] / "data" / "grbl_traces"
LOSSY = {"eeprom_streamed_loss", "stream_overflow_220"}
"""In these bytes were lost on the way to the parser: what it answered to is not what was sent."""
REALTIME = re.compile(r"[!~?\x18\x80-\xff]")


@dataclass
class Talk:
    """The lines of a trace, each with GRBL's error or None for `ok`; a list for each life between two welcomes."""

    lives: list[list[tuple[str, int | None]]] = field(default_factory=lambda: [[]])
    end: dict[str, object] = field(default_factory=dict)


def recorded(name: str) -> Talk:
    talk, sent, part = Talk(), list[str](), ""
    for text in (TRACES / f"{name}.jsonl").read_text().splitlines():
        event = json.loads(text)
        if "end" in event:
            talk.end = event["truth"]
        elif event.get("dir") == "tx":
            # CR and LF end a line each, also an empty one.
            *lines, part = re.split(r"[\r\n]", part + REALTIME.sub("", event["data"]))
            sent += lines
        elif event.get("dir") == "rx" and event["data"].startswith("Grbl "):
            sent = []
            talk.lives.append([])
        elif event.get("dir") == "rx" and sent and (event["data"] == "ok" or event["data"].startswith("error:")):
            code = None if event["data"] == "ok" else int(event["data"].removeprefix("error:"))
            talk.lives[-1].append((sent.pop(0), code))
    return talk


def gcode(life: list[tuple[str, int | None]]) -> list[tuple[str, int | None]]:
    """Return the lines of G-code that were parsed: no settings, no jogs, none that met a locked controller."""
    parsed = (None, *GRBL_ERRORS)
    return [(line, code) for line, code in life if not line.lstrip().startswith("$") and code in parsed]


NAMES = sorted(path.stem for path in TRACES.glob("*.jsonl"))


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_each_line_gets_the_error_that_the_controller_gave(name: str, batches: bool) -> None:
    talk = recorded(name)
    lost = talk.end.get("rx_overflow_bytes_lost") or talk.end.get("eeprom_bytes_lost")
    assert bool(lost) == (name in LOSSY)
    if lost:
        return
    for life in talk.lives:
        pairs = gcode(life)
        program = interpret("\n".join(line for line, _ in pairs).encode("latin-1"), batches=batches)
        found = {item.line: item.grbl for item in program.diagnostics if item.grbl is not None}
        for number, (line, code) in enumerate(pairs, 1):
            assert found.get(number) == code, line


def test_the_recorded_conversations_are_not_empty() -> None:
    lines = [pair for name in NAMES if name not in LOSSY for life in recorded(name).lives for pair in gcode(life)]
    assert len(lines) > 350
    assert len({code for _, code in lines}) > 15


@pytest.mark.parametrize("name", ["motion_arcs", "motion_lines", "stream_60_lines"])
def test_the_program_ends_where_the_axes_ended(name: str) -> None:
    talk = recorded(name)
    pairs = [pair for life in talk.lives for pair in life]
    program = interpret("\n".join(line for line, _ in pairs).encode())
    np.testing.assert_allclose(program.segments.end[-1], talk.end["mpos_steps_mm"], atol=0.005)
