# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge with a wall clock that somebody turns: `python -m tests.torture.turned_clock FILE run --config EDGE.toml`.

FILE holds by how many seconds the wall clock is wrong; it is read anew at each look at the clock.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edge.cli import main


def turn(file: Path) -> None:
    """Let this process's wall clock differ by what `file` says."""
    true_ns = time.time_ns

    def turned_ns() -> int:
        return max(0, true_ns() + round(float(file.read_text(encoding="ascii") or 0) * 1e9))

    time.time_ns = turned_ns


if __name__ == "__main__":
    turn(Path(sys.argv.pop(1)))
    main()
