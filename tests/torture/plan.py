# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to one van, drawn from a seed, and the hands that do it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.hardware_sim.lab.people import Wrong
from tests.hardware_sim.lab.processes import ROOT, python
from tests.support.disk import fill
from tests.torture.van import Van

FAULTS = {
    "kill": 5,
    "power": 4,
    "cut": 3,
    "noise": 4,
    "clock": 2,
    "stick": 1,
    "full": 1,
    "restore": 1,
    "clone": 1,
}
"""Each fault by how often it is drawn."""
TRIES = 20
YEAR_S = 365.25 * 86_400
WRONG_CLOCKS_S = (3_600.0, -3_600.0, 20 * YEAR_S)


@dataclass
class Schedule:
    """One van's share of a bad day: `faults` in their order, with the pause before each."""

    seed: str
    faults: tuple[tuple[float, str], ...]

    @classmethod
    def draw(cls, seed: str, names: tuple[str, ...] = tuple(FAULTS)) -> Schedule:
        """Return the schedule of `seed`."""
        chance = random.Random(f"schedule {seed}")
        weights = [FAULTS[name] for name in names]
        drawn = chance.choices(names, weights, k=chance.randint(2, 4))
        return cls(seed, tuple((chance.uniform(0.1, 0.6), name) for name in drawn))


@dataclass
class Hands:
    """Carries out a schedule on a van.

    maybe_lost holds ids that were told and whose card was taken away; for forked and branches see judge.Case.
    """

    van: Van
    schedule: Schedule
    office_config: Path
    struck: Counter[str] = field(default_factory=Counter)
    twins: list[Van] = field(default_factory=list)
    maybe_lost: set[str] = field(default_factory=set)
    forked: bool = False
    branches: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(f"hands {self.schedule.seed}")
        self._image = self.van.folder / "image"

    async def run(self) -> None:
        """Let everything of the schedule happen."""
        deeds: dict[str, Callable[[], Awaitable[None]]] = {
            "kill": self._kill,
            "power": self._power,
            "cut": self._cut,
            "noise": self._noise,
            "clock": self._clock,
            "stick": self._stick,
            "full": self._full,
            "restore": self._restore,
            "clone": self._clone,
        }
        if any(name == "restore" for _, name in self.schedule.faults):
            await self._card_out(lambda: self.van.copy_card(self._image))
        for pause, name in self.schedule.faults:
            await asyncio.sleep(pause)
            await deeds[name]()
        await asyncio.sleep(0.2)

    async def _kill(self) -> None:
        await self.van.edge.kill()
        await asyncio.sleep(self._random.uniform(0.0, 0.3))
        await self.van.start()
        self.struck["kill -9 of the edge"] += 1

    async def _power(self) -> None:
        await self.van.lose_power(self._random)
        await asyncio.sleep(self._random.uniform(0.0, 0.3))
        await self.van.start()
        self.struck["power cut" if self.van.recorded else "kill -9 of the edge"] += 1

    async def _cut(self) -> None:
        self.van.air.cut()
        if self._random.random() < 0.6:
            await self.van.air.stop()
            await asyncio.sleep(self._random.uniform(0.1, 0.8))
            await self.van.air.start()

    async def _noise(self) -> None:
        air = self.van.air
        air.loss, air.copies, air.swaps = 0.2, 0.1, 0.1
        await asyncio.sleep(self._random.uniform(0.4, 1.2))
        air.loss = air.copies = air.swaps = 0.0

    async def _clock(self) -> None:
        wrong = self._random.choice((*WRONG_CLOCKS_S, -time.time()))
        self.van.clock.write_text(str(wrong), encoding="ascii")
        self.struck["clock turned"] += 1

    async def _stick(self) -> None:
        """Carry what waits to the office on a stick, twice, while the service runs."""
        stick = self.van.folder / "stick"
        stick.mkdir(exist_ok=True)
        # It writes to the card, too: where that is recorded, it must be.
        await command("edge", "export", "--config", self.van.config, stick, environment=self.van.edge.environment)
        files = sorted(stick.glob("*.infomobil"))
        if files:
            # Who carries it tries again where the ledger is just away.
            for _ in range(TRIES):
                with suppress(Wrong):
                    await command("office", "import", "--config", self.office_config, *files, *files)
                    self.struck["stick carried"] += 1
                    return
            raise Wrong(f"no stick of {self.van.lab} was taken in")

    async def _full(self) -> None:
        if not self.van.mounted:
            return
        refused = self.van.ledger.unwritten
        filler = fill(self.van.card)
        for _ in range(100):
            if self.van.ledger.unwritten > refused:
                self.struck["disk full, taps refused"] += 1
                break
            await asyncio.sleep(0.02)
        filler.unlink()

    async def _card_out(self, do: Callable[[], object]) -> None:
        """Stop the van in order for people, without a word for the edge; do something with the card; start again."""
        await self.van.people.pause()
        await self.van.edge.kill()
        do()
        await self.van.start()
        self.van.people.go_on()

    async def _restore(self) -> None:
        """Put the card's image of the beginning back: what waited on the card only, nobody has any more."""

        def swap() -> None:
            self.maybe_lost |= _waiting(self.van.card) - _waiting(self._image)
            self.branches |= _newest_epoch(self.van.card) - _newest_epoch(self._image)
            self.van.put_card(self._image)

        await self._card_out(swap)
        self.forked = True
        self.struck["old card restored"] += 1

    async def _clone(self) -> None:
        """Let a second van go on from a copy of the card, under the same name, at the same time."""
        number = len(self.twins) + 1
        folder = self.van.folder.with_name(f"{self.van.folder.name}-twin{number}")
        twin = Van(folder, self.van.lab, self.van.air.target, f"{self.van.seed} twin {number}")
        await self._card_out(lambda: self.van.copy_card(twin.card))
        self.twins.append(twin)
        self.forked = True
        await twin.begin()
        self.branches |= _newest_epoch(twin.card)
        self.struck["card cloned"] += 1


async def command(module: str, *arguments: object, environment: dict[str, str] | None = None) -> None:
    """Run a command of ours; raises Wrong with what it said where it failed."""
    process = await asyncio.create_subprocess_exec(
        *python(module, *arguments),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise Wrong(f"{module} {arguments[0]} ended with {process.returncode}: {said.decode()}")


def _newest_epoch(card: Path) -> set[str]:
    """Return the epoch that was begun last on a card."""
    with closing(sqlite3.connect(card / "infomobil.db")) as database:
        return {str(name) for (name,) in database.execute("SELECT name FROM epoch ORDER BY id DESC LIMIT 1")}


def _waiting(card: Path) -> set[str]:
    """Return the ids of the counts that wait on a card."""
    with closing(sqlite3.connect(card / "infomobil.db")) as database:
        rows = database.execute(
            "SELECT coalesce(json_extract(body, '$.session'), json_extract(body, '$.entry')) FROM fact"
            " WHERE type IN ('kiosk.session', 'visit.headcount')"
        )
        return {str(row[0]) for row in rows}
