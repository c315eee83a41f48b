# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every bench_*.py in a process of its own; rows go to stdout as JSON lines, a table of all to the end.

A row holds name, value, unit, reference, reference_value and ratio. Progress and the table go to stderr, so that
stdout stays one JSON object a line. The exit code is 1 where a bench failed, not where an aim was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.aims import AIMS, reached
from benchmarks.stats import Row

LIMIT_S = 240.0
FOLDER = Path(__file__).parent
KEYS = tuple(Row.__annotations__)
QUICK: dict[str, dict[str, int]] = {
    "gcode": {"LINES": 50_000, "REPEATS": 1},
    "grbl": {"REPEATS": 1},
    "guardian": {"REPEATS": 8},
    "store": {"BACKLOG": 20_000, "CROWD": 6_400},
    "sync": {"BACKLOG": 10_000, "BACKLOG_FAR": 5_000, "SINGLE": 1_000, "SINGLE_FAR": 100, "BACKLOG_PHONE": 20_000},
    "twin": {"AWAKE_S": 1},
}
"""Constants of the benches whose `run` does not take `quick`, made smaller for it."""
progress = Console(stderr=True, width=None if sys.stderr.isatty() else 170)


def _arguments() -> argparse.Namespace:
    names = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, each figure beside its floor.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run, by default all: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="smaller samples: under a minute and a half")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE, too")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.names = [name.removeprefix("bench_") for name in arguments.names] or names
    for name in arguments.names:
        if name not in names:
            parser.error(f"there is no bench {name}; there are {', '.join(names)}")
    return arguments


async def _each(rows: AsyncIterator[Row]) -> None:
    async for found in rows:
        print(json.dumps(found), flush=True)


async def _awaited(rows: Awaitable[list[Row]]) -> list[Row]:
    return await rows


def _here(name: str, *, quick: bool) -> None:
    """Run one bench in this process and print its rows. Its `run` is a function or a generator, async or not."""
    module = importlib.import_module(f"benchmarks.bench_{name}")
    for constant, smaller in QUICK.get(name, {}).items() if quick else ():
        setattr(module, constant, smaller)
    rows = module.run(quick=quick) if "quick" in inspect.signature(module.run).parameters else module.run()
    if inspect.isasyncgen(rows):
        asyncio.run(_each(rows))
        return
    for found in asyncio.run(_awaited(rows)) if inspect.isawaitable(rows) else rows:
        print(json.dumps(found), flush=True)


def _row(line: str) -> Row | None:
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and tuple(found) == KEYS else None


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _apart(name: str, *, quick: bool) -> Iterator[Row]:
    """Run one bench in a process of its own, bounded in time; yield its rows as they come. Raises OSError."""
    command = [sys.executable, "-m", "benchmarks", name, "--alone", *(["--quick"] if quick else [])]
    process = subprocess.Popen(
        command, cwd=FOLDER.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    timer = threading.Timer(LIMIT_S, _end, [process])
    timer.start()
    try:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if found := _row(line):
                    yield found
                else:
                    progress.print(line.rstrip(), markup=False, highlight=False)
        if process.wait() != 0:
            raise OSError(f"the bench {name} ended with {process.returncode}")
    finally:
        timer.cancel()
        _end(process)
        process.wait()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _table(rows: list[Row]) -> Table:
    table = Table(title="Measured here and now", title_justify="left")
    for heading in ("figure", "value", "unit", "reference", "its value", "ratio", "aim", ""):
        table.add_column(heading, justify="right" if heading in ("value", "its value", "ratio", "aim") else "left")
    for found in rows:
        aim = AIMS.get(found["name"])
        verdict = "" if aim is None else "[green]reached[/green]" if reached(found) else "[red]missed[/red]"
        table.add_row(
            found["name"],
            _number(found["value"]),
            found["unit"],
            found["reference"] or "",
            _number(found["reference_value"]),
            _number(found["ratio"]),
            "" if aim is None else f"<= {aim:g}",
            verdict,
        )
    return table


def main() -> int:
    arguments = _arguments()
    if arguments.alone:
        (name,) = arguments.names
        _here(name, quick=arguments.quick)
        return 0
    rows: list[Row] = []
    failed: list[str] = []
    begin = time.monotonic()
    for number, name in enumerate(arguments.names, 1):
        progress.print(f"[{number}/{len(arguments.names)}] {name} ...", markup=False, highlight=False)
        since = time.monotonic()
        try:
            for found in _apart(name, quick=arguments.quick):
                rows.append(found)
                print(json.dumps(found, ensure_ascii=False), flush=True)
        except OSError as error:
            failed.append(name)
            progress.print(str(error), style="red")
        progress.print(f"    {time.monotonic() - since:.1f} s", highlight=False)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    progress.print(_table(rows))
    load, cores = os.getloadavg()[0], os.cpu_count()
    progress.print(
        f"{len(rows)} figures in {time.monotonic() - begin:.0f} s, load {load:.1f} on {cores} cores", highlight=False
    )
    if failed:
        progress.print(f"These failed: {', '.join(failed)}", style="red")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
