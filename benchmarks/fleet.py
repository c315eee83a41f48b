# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulates a fleet of labs against a real Mosquitto, a real PostgreSQL and the office's real ingest.

    python -m benchmarks.fleet [--quick] [--workers N] [--json FILE]

Two parts, because one computer cannot hold everything at once. *Certificates*: so many labs with a TLS connection and
a certificate each, against the configuration that "infomobil-office broker" writes. *Shared*: ten times as many labs
over few connections without TLS, for what the office and its database make of so many feeds. At the end the ledger
must hold exactly what was acknowledged. The last table is no measurement: it multiplies the cost of a batch.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.fleet_labs import BATCHES_A_DAY, DAY_S, EVENTS_A_DAY, SIZES, Fleet, Lab, presence
from benchmarks.fleet_world import PROBE, World, resident_mb, world
from benchmarks.stats import Row, percentile, row
from wire import topics

PATIENCE_S = 120.0
WEEK_D = 7
REGION = 0.1
WINDOW = 4
KNOWN = f"select count(*) from lab where presence_ns > 0 and lab <> '{PROBE}'"
console = Console(stderr=True, width=None if sys.stderr.isatty() else 150)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is simulated. backlog is full batches for each lab of the region, seconds how long each phase may be.

    at_once is how many batches are under way when labs go flat out.
    """

    labs: int = 1_000
    shared_labs: int = 10_000
    connections: int = 64
    seconds: float = 12.0
    backlog: int = 4
    small: int = 24
    shared_small: int = 4
    at_once: int = 256

    @property
    def region(self) -> int:
        """Return how many labs were away for a week."""
        return max(1, round(self.labs * REGION))


QUICK = Sizes(labs=200, shared_labs=1_000, connections=16, seconds=4.0, backlog=3, small=24, shared_small=8, at_once=64)


@dataclass(frozen=True, slots=True)
class Phase:
    """What a phase took: wall clock and processor time, s, and how long each batch waited for its acknowledgement."""

    seconds: float
    used: dict[str, float]
    took: list[float]

    @property
    def batches_s(self) -> float:
        """Return the batches a second."""
        return len(self.took) / self.seconds

    @property
    def cost_ms(self) -> dict[str, float]:
        """Return the processor time of each part for one batch, ms."""
        return {name: 1e3 * used / len(self.took) for name, used in self.used.items()}


class Clock:
    """Measures a phase from its making until `stop`."""

    def __init__(self, world: World, labs: Sequence[Lab]) -> None:
        self._world, self._labs = world, labs
        for lab in labs:
            lab.took.clear()
        self._used, self._begin = world.used(), time.perf_counter()

    def stop(self) -> Phase:
        """Return the phase."""
        seconds = time.perf_counter() - self._begin
        used = {name: value - self._used[name] for name, value in self._world.used().items()}
        return Phase(seconds, used, list(itertools.chain.from_iterable(lab.took for lab in self._labs)))


def made(names: Sequence[str], small: int) -> dict[str, Lab]:
    """Return labs, each with so many batches of a school day cut."""
    labs = {name: Lab(name) for name in names}
    for lab in labs.values():
        lab.cut(itertools.islice(itertools.cycle(SIZES), small))
    return labs


async def true_pace(labs: Sequence[Lab], seconds: float) -> None:
    """Let each lab send a batch every ten seconds, as on a school day, for a while."""
    begin, every = time.perf_counter(), DAY_S / BATCHES_A_DAY / len(labs)
    for number, lab in enumerate(random.sample(labs, len(labs))):
        if (at := number * every) > seconds:
            return
        await asyncio.sleep(begin + at - time.perf_counter())
        lab.send()


async def flat_out(fleet: Fleet, labs: Sequence[Lab], seconds: float, at_once: int) -> Phase:
    """Let labs send in turn as soon as another's batch is acknowledged, so that so many are under way at any time."""
    clock = Clock(fleet.world, labs)
    fleet.turn = deque(random.sample(labs, len(labs)))
    for _ in range(min(at_once, len(labs))):
        fleet.next_turn()
    await asyncio.sleep(seconds)
    fleet.turn.clear()
    await fleet.all_acknowledged(labs, PATIENCE_S)
    return clock.stop()


def exact(world: World, fleet: Fleet) -> int:
    """Return the facts in the ledger; raises OSError where they are not those that were acknowledged."""
    found, sent = world.count() - 1, sum(lab.acknowledged for lab in fleet.labs.values())  # without the probe's
    if found != sent:
        raise OSError(f"the ledger has {found} facts of {sent} that were acknowledged")
    return found


def common(name: str, phase: Phase) -> list[Row]:
    """Return the rows that each phase has."""
    rows = [row(f"{name}: acknowledged", phase.batches_s, "batches/s")]
    for share, title in ((0.5, "p50"), (0.99, "p99")):
        rows.append(row(f"{name}: acknowledged after, {title}", 1e3 * percentile(phase.took, share), "ms"))
    return rows + [row(f"{name}: {part}", cost, "ms of CPU a batch") for part, cost in phase.cost_ms.items()]


async def with_certificates(folder: Path, sizes: Sizes, workers: int, rows: list[Row]) -> tuple[Phase, Phase]:
    """Measure labs with a connection each into `rows`; return the phases of small and of full batches."""
    names = [f"van-{number}" for number in range(sizes.labs)]
    label = f"{sizes.labs:,} labs with certificates"
    async with world(folder, names, secured=True, workers=workers) as made_world:
        fleet, empty = Fleet(made_world, made(names, sizes.small)), made_world.size()
        labs = list(fleet.labs.values())

        console.print(f"{label}: the morning ...")
        clock = Clock(made_world, labs)
        async with asyncio.timeout(PATIENCE_S * 2):
            greeted = await asyncio.gather(*(fleet.come(lab) for lab in labs))
        morning = clock.stop()
        rows += [
            row(f"{label}, morning: until half are greeted", percentile(greeted, 0.5), "s"),
            row(f"{label}, morning: until all are greeted", max(greeted), "s"),
            row(f"{label}, morning: attempts a lab", fleet.attempts / len(labs), ""),
            row(f"{label}, morning: broker", 1e3 * morning.used["broker"] / len(labs), "ms of CPU a lab"),
            row(f"{label}: broker's resident memory", resident_mb(made_world.broker.pid), "MB"),
        ]

        console.print(f"{label}: a school day at its own pace ...")
        clock = Clock(made_world, labs)
        await true_pace(labs, sizes.seconds)
        await fleet.all_acknowledged(labs, PATIENCE_S)
        rows += common(f"{label}, school day at its pace", clock.stop())

        console.print(f"{label}: the same flat out ...")
        small = await flat_out(fleet, labs, sizes.seconds, sizes.at_once)
        rows += common(f"{label}, school day flat out", small)

        console.print(f"{label}: {sizes.region} of them come back after a week ...")
        full = await region(fleet, labs, sizes, rows, label)
        fleet.leave()
        facts = exact(made_world, fleet)
        rows += [
            row(f"{label}: facts in the ledger, all of them acknowledged", facts, ""),
            row(f"{label}: PostgreSQL's disk", (made_world.size() - empty) / facts, "bytes a fact"),
        ]
    return small, full


async def region(fleet: Fleet, labs: Sequence[Lab], sizes: Sizes, rows: list[Row], label: str) -> Phase:
    """Let a region send what it kept while the others go on at their pace; return the region's phase."""
    away, others = labs[: sizes.region], labs[sizes.region :]
    fleet.keep_going = True
    for lab in labs:
        lab.take_back()  # what the day has left
    for lab in away:
        lab.cut(itertools.repeat(500, sizes.backlog))
    for lab in others:
        lab.cut(SIZES[:1])
    clock = Clock(fleet.world, labs)
    begin = time.perf_counter()
    for lab, _ in itertools.product(away, range(WINDOW)):
        lab.send()
    going = asyncio.create_task(true_pace(others, PATIENCE_S))
    await fleet.drained(away, PATIENCE_S * 2)
    seconds = time.perf_counter() - begin
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    await fleet.drained([lab for lab in others if lab.sent], PATIENCE_S)
    used = clock.stop().used
    fleet.keep_going = False
    full = Phase(seconds, used, [one for lab in away for one in lab.took])
    waited = [one for lab in others for one in lab.took]
    facts = 500 * len(full.took)
    rows.append(row(f"{label}, region back: facts of the backlog", facts / seconds, "events/s"))
    for share, title in ((0.5, "p50"), (0.99, "p99")):
        rows.append(
            row(f"{label}, region back: others acknowledged after, {title}", 1e3 * percentile(waited, share), "ms")
        )
    rows += [
        row(f"{label}, region back: {part}", 1e6 * seconds_used / facts, "ms of CPU for 1,000 facts")
        for part, seconds_used in used.items()
    ]
    return full


async def shared(folder: Path, sizes: Sizes, workers: int, rows: list[Row]) -> Phase:
    """Measure ten times as many labs over few connections into `rows`; return the phase of small batches."""
    names = [f"van-{number}" for number in range(sizes.shared_labs)]
    label = f"{sizes.shared_labs:,} labs over {sizes.connections} connections"
    async with world(folder, (), secured=False, workers=workers) as made_world:
        fleet = Fleet(made_world, made(names, sizes.shared_small))
        labs = list(fleet.labs.values())
        await fleet.share(sizes.connections)

        console.print(f"{label}: the morning ...")
        clock = Clock(made_world, labs)
        for number, lab in enumerate(labs):
            assert lab.client is not None
            lab.client.publish(topics.presence(lab.name), presence(lab), retain=True)
            if number % 100 == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(made_world.ask, KNOWN) < len(labs):  # noqa: ASYNC110 - the ledger is asked
                await asyncio.sleep(0.1)
        morning = clock.stop()
        rows.append(row(f"{label}: presences taken in", len(labs) / morning.seconds, "1/s"))

        console.print(f"{label}: a school day flat out ...")
        small = await flat_out(fleet, labs, sizes.seconds, sizes.at_once)
        rows += common(f"{label}, school day flat out", small)
        fleet.leave()
        rows.append(row(f"{label}: facts in the ledger, all of them acknowledged", exact(made_world, fleet), ""))
    return small


def extrapolation(certificates: Phase, many: Phase, full: Phase) -> Table:
    """Return what the costs of a batch make of 1,000 and 10,000 labs."""
    table = Table(title="Multiplied, not measured", title_justify="left")
    for heading in ("", "1,000 labs", "10,000 labs"):
        table.add_column(heading, justify="left" if not heading else "right")
    per_second = BATCHES_A_DAY / DAY_S

    def line(title: str, values: Sequence[str]) -> None:
        table.add_row(title, *values)

    fleets = ((1_000, certificates), (10_000, many))
    line("batches/s on a school day", [f"{per_second * n:,.0f}" for n, _ in fleets])
    line("events/s on a school day", [f"{EVENTS_A_DAY / DAY_S * n:,.0f}" for n, _ in fleets])
    for part in ("office", "PostgreSQL"):
        line(f"cores: {part}", [f"{per_second * n * phase.cost_ms[part] / 1e3:.2f}" for n, phase in fleets])
    # The broker's part is that of TLS in both: the shared connections have none.
    line("cores: broker", [f"{per_second * n * certificates.cost_ms['broker'] / 1e3:.2f}" for n, _ in fleets])
    seconds_a_lab = BATCHES_A_DAY * sum(certificates.cost_ms.values()) / 1e3
    line("CPU of a lab for a school day", [f"{seconds_a_lab:.2f} s"] * 2)
    fact_s = sum(full.used.values()) / (500 * len(full.took))
    kept = EVENTS_A_DAY * WEEK_D * REGION
    line("CPU for a tenth of them back after a week", [f"{n * kept * fact_s / 60:,.0f} min" for n, _ in fleets])
    return table


async def measure(sizes: Sizes, workers: int, rows: list[Row]) -> Table:
    """Run both parts into `rows`; return the table of what follows from them."""
    with tempfile.TemporaryDirectory(prefix="im-fleet-") as name:
        folder = Path(name)
        small, full = await with_certificates(folder / "certificates", sizes, workers, rows)
        many = await shared(folder / "shared", sizes, workers, rows)
    return extrapolation(small, many, full)


def show(rows: Sequence[Row], seconds: float) -> None:
    """Print the rows as JSON lines, and as a table for people."""
    table = Table(title="Measured here and now", title_justify="left")
    for heading in ("figure", "value", "unit"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for found in rows:
        value = found["value"]
        table.add_row(found["name"], f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}", found["unit"])
        print(json.dumps(found, ensure_ascii=False), flush=True)
    console.print(table)
    load, cores = os.getloadavg()[0], os.cpu_count()
    console.print(f"{len(rows)} figures in {seconds:.0f} s, load {load:.1f} on {cores} cores", highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 and 1,000 labs, under a minute on a quiet computer")
    parser.add_argument("--workers", type=int, default=1, help="processes that take in, as [ingest] workers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE, too")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    begin = time.monotonic()
    rows: list[Row] = []
    try:
        following = asyncio.run(measure(QUICK if arguments.quick else Sizes(), arguments.workers, rows))
    finally:
        show(rows, time.monotonic() - begin)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(following)
    return 0


if __name__ == "__main__":
    sys.exit(main())
