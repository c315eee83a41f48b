# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that reads one program and prints how much memory it took at its peak, bytes over the text's own.

`python -m benchmarks.gcode_memory FILE check|gcodeparser`; Linux only.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gcodeparser import parse_gcode_lines

from benchmarks.gcode_programs import OFFSET, TRAVEL
from edge.gcode import check, interpret

STATUS = Path("/proc/self/status")
RESET_PEAK = "5"


def peak() -> int:
    """Return the peak of the resident memory since it was last reset, bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    if found is None:
        raise RuntimeError(f"{STATUS} has no VmHWM")
    return int(found[1]) * 1024


def main(file: str, who: str) -> None:
    check(interpret(b"G1 X1 F100\n" * 100), TRAVEL, OFFSET)
    if who == "check":
        text = Path(file).read_bytes()
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
        before = peak()
        program = interpret(text)
        findings = check(program, TRAVEL, OFFSET)
        print(peak() - before, program.total_lines, len(findings))
    else:
        lines = Path(file).read_text(encoding="ascii")
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
        before = peak()
        parsed = list(parse_gcode_lines(lines))
        print(peak() - before, lines.count("\n"), len(parsed))


if __name__ == "__main__":
    main(*sys.argv[1:])
