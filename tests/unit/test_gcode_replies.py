# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreter against what GRBL answered: one line after another, as recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge.gcode import interpret

TRACES = Path(__file__).parents[1] / "data" / "grbl_traces"


def _conversation(name: str) -> tuple[list[tuple[str, str]], list[float]]:
    """Return (line as sent, reply) of each line that got one reply, and the position at the end."""
    pairs: list[tuple[str, str]] = []
    sent: list[str] = []
    end: list[float] = []
    for text in (TRACES / f"{name}.jsonl").read_text().splitlines():
        event = json.loads(text)
        if "truth" in event and "end" in event:
            end = event["truth"]["mpos_steps_mm"]
        elif event.get("dir") == "tx" and event["data"] not in ("?", "!", "~"):
            lines = event["data"].replace("\r\n", "\n").replace("\r", "\n")
            sent += [line for line in lines.split("\n")[:-1] if line.strip() or "\r" not in event["data"]]
        elif event.get("dir") == "rx" and sent and (event["data"] == "ok" or event["data"].startswith("error:")):
            pairs.append((sent.pop(0), event["data"]))
    return pairs, end


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize("name", ["error_codes", "text_traps", "line_too_long", "motion_arcs", "check_mode", "dwell"])
def test_each_bad_line_gives_the_error_that_the_controller_gave(name: str, batches: bool) -> None:
    pairs, _ = _conversation(name)
    assert len(pairs) > 5
    pairs = [(line, reply) for line, reply in pairs if not line.startswith("$")]
    program = interpret("\n".join(line for line, _ in pairs).encode("latin-1"), batches=batches)
    found = {item.line: item.grbl for item in program.diagnostics if item.grbl is not None}
    for number, (line, reply) in enumerate(pairs, 1):
        recorded = int(reply.removeprefix("error:")) if reply != "ok" else None
        assert found.get(number) == recorded, (line, reply)


@pytest.mark.parametrize("name", ["motion_arcs", "motion_lines", "stream_60_lines"])
def test_the_program_ends_where_the_axes_ended(name: str) -> None:
    pairs, end = _conversation(name)
    program = interpret("\n".join(line for line, _ in pairs).encode())
    np.testing.assert_allclose(program.segments.end[-1], end, atol=0.005)
