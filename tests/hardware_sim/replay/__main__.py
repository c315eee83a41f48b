# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line: play traces one after another against a serial port and print a table of agreement."""

import argparse
import sys
import time
from pathlib import Path

from .clocks import LockstepClock, WallClock
from .compare import Result, compare
from .player import Player
from .trace import load

_REST_S = 0.5


def table(results: list[Result]) -> str:
    """The results as text, one row a trace, the first difference below it."""
    rows = [f"{'scenario':28} {'replies':>8} {'seen':>6} {'equal':>6} {'shifted':>8} {'worst':>9}  verdict"]
    for result in results:
        verdict = "agrees" if result.agrees else "DIFFERS"
        rows.append(
            f"{result.scenario:28} {result.expected:8} {result.seen:6} {result.equal:6} {result.shifted:8}"
            f" {result.worst_s * 1000:6.0f} ms  {verdict}"
        )
        if not result.agrees:
            rows.append(f"    {len(result.differences)} differences, the first: {result.differences[0]}")
    return "\n".join(rows)


def main() -> int:
    """Exit status 0 if every trace agrees."""
    parser = argparse.ArgumentParser(prog="replay", description="Play recorded GRBL conversations against a port.")
    parser.add_argument("traces", nargs="+", type=Path, metavar="TRACE")
    parser.add_argument("--port", type=Path, required=True)
    parser.add_argument("--ctl", type=Path, help="control FIFO of the simulator, for switches and the true state")
    parser.add_argument("--all", action="store_true", help="print every difference, not only the first")
    parser.add_argument("--lockstep", action="store_true", help="the simulator was started with --lockstep")
    arguments = parser.parse_args()
    if arguments.lockstep and arguments.ctl is None:
        parser.error("--lockstep needs --ctl")
    results = []
    for path in arguments.traces:
        trace = load(path)
        clock = LockstepClock(arguments.ctl) if arguments.lockstep else WallClock()
        player = Player(trace, arguments.port, arguments.ctl, clock)
        seen = player.play()
        results.append(compare(trace, seen, player.true_state()))
        clock.close()
        if path is not arguments.traces[-1]:
            time.sleep(_REST_S)
    sys.stdout.write(table(results) + "\n")
    if arguments.all:
        for result in results:
            sys.stdout.writelines(f"{result.scenario}: {line}\n" for line in result.differences)
    return 0 if all(result.agrees for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
