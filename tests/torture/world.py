# SPDX-License-Identifier: GPL-3.0-or-later
"""One office with its broker and database, and the vans that send to it. All of it real, all of it may be killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.hardware_sim.lab.ports import free_port
from tests.hardware_sim.lab.processes import Process, port_answers, python
from tests.support.broker import Mosquitto
from tests.support.office import Postgres
from tests.torture.air import Air

POSTGRES_BACK_S = 20.0


class KilledPostgres(Postgres):
    """A cluster whose postmaster can be killed."""

    def kill(self) -> None:
        """End the postmaster by kill -9; its children end when they notice."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
        os.kill(pid, signal.SIGKILL)

    def start_again(self) -> None:
        """Start, as soon as the children of the one before are gone. Blocks."""
        deadline = time.monotonic() + POSTGRES_BACK_S
        while True:
            try:
                self.start()
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


class World:
    """Broker, office and database of one seed."""

    def __init__(self, folder: Path, seed: str, postgres: KilledPostgres | None) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.random = random.Random(f"world {seed}")
        self.struck: Counter[str] = Counter()
        self.broker = Mosquitto(folder)
        self.postgres = postgres
        self.database = f"sqlite:///{folder / 'office.sqlite3'}" if postgres is None else postgres.new_database()
        self.air = Air(self.broker.port, f"office {seed}")
        self._port = free_port()
        self.config = folder / "office.toml"
        command = python("office", "run", "--config", self.config)
        self.office = Process("office", command, folder / "office.log", lambda: port_answers(self._port))

    async def begin(self) -> None:
        """Start everything but vans."""
        self.broker.start()
        await self.air.start()
        # One file takes one writer.
        workers = "" if self.postgres is None else "[ingest]\nworkers = 2\n"
        self.config.write_text(
            f'database = "{self.database}"\n[http]\nport = {self._port}\n{workers}'
            f"[broker]\nport = {self.air.port}\nretry_first = 0.05\nretry_longest = 0.3\n",
            encoding="utf-8",
        )
        await self.office.start()

    async def end(self) -> None:
        """End everything."""
        await self.office.stop()
        await self.air.stop()
        self.broker.kill()

    async def strike(self, what: str) -> None:
        """Kill one of the parts that all vans share, and start it again after a while."""
        away = self.random.uniform(0.0, 0.6)
        match what:
            case "broker":
                self.broker.kill()
                await asyncio.sleep(away)
                self.broker.start()
            case "office":
                await self.office.kill()
                await asyncio.sleep(away)
                await self.office.start()
            case "worker":
                if not self._kill_a_worker():
                    return
            case "postgres" if self.postgres is not None:
                self.postgres.kill()
                await asyncio.sleep(away)
                await asyncio.to_thread(self.postgres.start_again)
            case "office noise":
                self.air.loss, self.air.copies, self.air.swaps = 0.2, 0.1, 0.1
                await asyncio.sleep(away + 0.5)
                self.air.loss = self.air.copies = self.air.swaps = 0.0
            case _:
                return
        self.struck[what] += 1

    def _kill_a_worker(self) -> bool:
        """Kill one of the office's child processes; the office starts it again."""
        children = Path(f"/proc/{self.office.pid}/task/{self.office.pid}/children")
        with suppress(OSError):
            found = children.read_text(encoding="ascii").split()
            if found:
                os.kill(int(self.random.choice(found)), signal.SIGKILL)
                return True
        return False
