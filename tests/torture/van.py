# SPDX-License-Identifier: GPL-3.0-or-later
"""One van: a real edge without machines on a card (a folder), its people, and its air."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from edge.store.pin import write_pin
from tests.hardware_sim.lab.people import until
from tests.hardware_sim.lab.ports import free_port
from tests.hardware_sim.lab.processes import Process, port_answers, python
from tests.support.powercut import Disk, environment, read, shim
from tests.torture.air import Air
from tests.torture.people import Ledger, People

PIN = "135790"
SMALL = "24m"
QUICK_SYNC = "retry_min_s = 0.05\nretry_max_s = 0.3\nresend_min_s = 0.2\nconnect_timeout_s = 2.0"


@dataclass
class Van:
    """A van of the lab `lab` on the card in `folder`; two vans with one lab are one and its clone.

    small: its card is a file system of its own that can be filled, where this user may mount one.
    recorded: what reaches the card is recorded, so that the power can be cut, where there is a C compiler.
    """

    folder: Path
    lab: str
    broker_port: int
    seed: str
    ledger: Ledger = field(default_factory=Ledger)
    small: bool = False
    recorded: bool = False
    mounted: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.card = self.folder / "card"
        self.clock = self.folder / "clock"
        self._record = self.folder / "disk.record"
        self._disk = Disk()
        self.clock.write_text("0", encoding="ascii")
        self.air = Air(self.broker_port, self.seed)
        self._kiosk_port, self._console_port = free_port(), free_port()
        self.config = self.folder / "edge.toml"
        kiosk, console = (f"http://127.0.0.1:{port}" for port in (self._kiosk_port, self._console_port))
        self.people = People(kiosk, console, PIN, self.ledger, self.seed)
        command = python("tests.torture.turned_clock", self.clock, "run", "--config", self.config)
        self.edge = Process(f"edge of {self.folder.name}", command, self.folder / "edge.log", self._answers)

    async def _answers(self) -> bool:
        return await port_answers(self._kiosk_port)

    async def begin(self) -> None:
        """Open the air, start the edge, let people in."""
        write_pin(self.folder / "pin", PIN)
        self.card.mkdir(exist_ok=True)
        self.mounted = self.small and _mount(self.card)
        self.recorded = self.recorded and shim() is not None
        await self.air.start()
        self.config.write_text(
            f"""
[lab]
id = "{self.lab}"
name = "Van"
data_dir = "{self.card}"
[http]
console_port = {self._console_port}
kiosk_port = {self._kiosk_port}
[operator]
pin_file = "{self.folder / "pin"}"
[store]
reserve_mb = 0
ballast_mb = 2
[sync]
host = "127.0.0.1"
port = {self.air.port}
{QUICK_SYNC}
""",
            encoding="utf-8",
        )
        await self.start()
        self.people.come()

    async def start(self) -> None:
        """Start the edge on the card as it is."""
        if self.recorded:
            self._record.unlink(missing_ok=True)
            self._disk = Disk(self.card)
            self.edge.environment = environment(self.card, self._record)
        await self.edge.start()

    async def lose_power(self, chance: random.Random) -> None:
        """End the edge; the card then holds what the disk may have kept of what was not synchronised."""
        await self.edge.kill()
        if not self.recorded:
            return
        self._disk.play(read(self._record, self.card))
        after = self.folder / "after-power"
        self._disk.lay_out(after, chance)
        # What folders on the card hold is not recorded: the lab's key, and nothing that is counted.
        for folder in (path for path in self.card.iterdir() if path.is_dir()):
            shutil.copytree(folder, after / folder.name, dirs_exist_ok=True)
        self.put_card(after)

    async def drained(self) -> None:
        """Return once the office has acknowledged everything that this van holds."""

        async def empty() -> bool:
            return await self.people.waiting() == 0

        await until(f"{self.folder.name} has sent everything", empty, seconds=60, every=0.1)

    async def end(self) -> None:
        """End the edge, close the air, give the card's file system back."""
        await self.people.close()
        await self.edge.stop()
        await self.air.stop()
        if self.mounted:
            await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(self.card)], check=True)

    def copy_card(self, to: Path) -> None:
        """Copy the card into the folder `to`, in place of what is there; the edge must not run."""
        _copy(self.card, to)

    def put_card(self, image: Path) -> None:
        """Let the card be what `image` is; the edge must not run."""
        _copy(image, self.card)


def _copy(card: Path, to: Path) -> None:
    to.mkdir(exist_ok=True, parents=True)
    for path in to.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(card, to, dirs_exist_ok=True)


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
