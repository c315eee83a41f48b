# SPDX-License-Identifier: GPL-3.0-or-later
"""`make torture`: a thousand schedules of bad days, replayable by their seeds.

python -m tests.torture [--schedules N] [--vans N] [--seed S] [--only DAY] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.support.office import POSTGRES_BIN
from tests.torture.day import Outcome, live
from tests.torture.world import KilledPostgres

screen = Console(stderr=True)


def main() -> int:
    """Run days until enough schedules were lived through; exit code 1 where one ended wrong."""
    options = argparse.ArgumentParser(prog="make torture")
    options.add_argument("--schedules", type=int, default=1_000, help="how many vans' schedules to live through")
    options.add_argument("--vans", type=int, default=8, help="vans of one day, at one office")
    options.add_argument("--seed", default="1", help="what all chance is drawn from")
    options.add_argument("--only", type=int, help="live through this day of the seed only")
    options.add_argument("--keep", type=Path, help="where the files of days that ended wrong are kept")
    given = options.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="im-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    days = range(-(-given.schedules // given.vans)) if given.only is None else (given.only,)
    postgres = KilledPostgres() if (POSTGRES_BIN / "initdb").exists() else None
    try:
        outcomes = [_live(folder, given.seed, day, given.vans, postgres) for day in days]
    finally:
        if postgres is not None:
            postgres.remove()
    _tell(outcomes)
    return int(any(outcome.wrong for outcome in outcomes))


def _live(folder: Path, seed: str, day: int, vans: int, postgres: KilledPostgres | None) -> Outcome:
    """Live through one day: on PostgreSQL where it is there and the day's number is odd, else on SQLite."""
    began = time.monotonic()
    database = postgres if day % 2 else None
    outcome = asyncio.run(live(folder / f"day{day}", f"{seed} {day}", vans, database))
    word = "right" if not outcome.wrong else "WRONG"
    kind = "SQLite" if database is None else "PostgreSQL"
    screen.print(f"day {day} on {kind}: {word}, {outcome.told} told, {time.monotonic() - began:.1f} s")
    for sentence in outcome.wrong[:10]:
        screen.print(f"  {sentence}", markup=False, highlight=False)
    return outcome


def _tell(outcomes: list[Outcome]) -> None:
    struck: Counter[str] = Counter()
    for outcome in outcomes:
        struck += outcome.struck
    table = Table("what struck", "how often", title="Faults that really happened", title_justify="left")
    for name, count in sorted(struck.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{count:,}")
    screen.print(table)
    told, posts = sum(item.told for item in outcomes), sum(item.posts for item in outcomes)
    lost = sum(item.unanswered for item in outcomes)
    wrong = sum(bool(item.wrong) for item in outcomes)
    screen.print(
        f"{sum(item.schedules for item in outcomes):,} schedules in {len(outcomes):,} days: {told:,} counts told,"
        f" {posts:,} requests, {lost:,} without an answer; {wrong} days ended wrong."
    )


if __name__ == "__main__":
    sys.exit(main())
