# SPDX-License-Identifier: GPL-3.0-or-later
"""The people in one van, who repeat everything with the same id until they are told that it is written down."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.hardware_sim.lab.people import Json, Wrong

PATIENCE_S = 3.0
AGAIN_S = (0.02, 0.12)
GAP_S = (0.0, 0.06)
ROLES = ("pupil", "teacher", "vet_trainer", "trainee")


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody was told is counted: a session (role empty, count 1), or people of a role."""

    visit: str
    role: str
    count: int


@dataclass
class Ledger:
    """Everything that people of a van were told, by the id under which they entered it.

    posts were made, of which unanswered got no answer and unwritten heard that nothing could be written; refused holds
    what else was said.
    """

    told: dict[str, Told] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    posts: int = 0
    unanswered: int = 0
    unwritten: int = 0


class People:
    """Visitors and the operator of one van, one action after the other, until `leave`.

    While `paused` nothing is under way: what was begun was told.
    """

    def __init__(self, kiosk: str, console: str, pin: str, ledger: Ledger, seed: object) -> None:
        self._random = random.Random(f"people {seed}")
        self._kiosk = httpx.AsyncClient(base_url=kiosk, timeout=PATIENCE_S)
        self._console = httpx.AsyncClient(base_url=console, timeout=PATIENCE_S)
        self._pin = pin
        self._ledger = ledger
        self._visit = ""
        self._earlier = ""
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._idle = asyncio.Event()
        self._leaving = False
        self._task: asyncio.Task[None] | None = None

    def come(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._live())

    async def pause(self) -> None:
        """Return once nothing is under way, and begin nothing before `go_on`."""
        self._may_go_on.clear()
        await self._idle.wait()

    def go_on(self) -> None:
        """Go on."""
        self._may_go_on.set()

    async def leave(self) -> None:
        """Finish what is under way and go."""
        self._leaving = True
        self._may_go_on.set()
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """Go at once, and close the connections; may be called without `come`."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._kiosk.aclose()
        await self._console.aclose()

    async def waiting(self) -> int | None:
        """Return how many facts the van still holds for the office, None where it does not answer."""
        try:
            answer = await self._console.get("/api/snapshot")
            if answer.is_success and not answer.json()["operator"]:
                await self._console.post("/api/login", json={"pin": self._pin})
                answer = await self._console.get("/api/snapshot")
        except httpx.TransportError:
            return None
        return int(answer.json()["sync"]["waiting_total"]) if answer.is_success else None

    async def _live(self) -> None:
        while not self._leaving:
            if not self._may_go_on.is_set():
                self._idle.set()
                await self._may_go_on.wait()
                self._idle.clear()
                continue
            await self._act()
            await asyncio.sleep(self._random.uniform(*GAP_S))
        self._idle.set()

    async def _act(self) -> None:
        chance = self._random.random()
        if not self._visit:
            await self._open()
        elif chance < 0.55:
            await self._check_in()
        elif chance < 0.85:
            await self._count(self._visit, "headcounts")
        elif chance < 0.95 and self._earlier:
            await self._count(self._earlier, "corrections")
        elif chance > 0.97:
            await self._close()

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    async def _until_told(self, client: httpx.AsyncClient, path: str, body: object = None) -> tuple[int, Any]:
        """Return the status and the answer, however often it has to be asked."""
        while True:
            self._ledger.posts += 1
            try:
                answer = await client.post(path, json=body)
                if answer.status_code == 401:
                    await client.post("/api/login", json={"pin": self._pin})
                    continue
            except httpx.TransportError:
                self._ledger.unanswered += 1
            else:
                if answer.status_code not in (429, 503):
                    return answer.status_code, answer.json()
                self._ledger.unwritten += answer.status_code == 503
            await asyncio.sleep(self._random.uniform(*AGAIN_S))

    async def _check_in(self) -> None:
        session = self._id()
        body = {"kiosk": "k1", "session": session, "language": self._random.choice(("lt", "en", "lv", "et", "de"))}
        status, answer = await self._until_told(self._kiosk, "/api/kiosk/sessions", body)
        if status != 201:
            raise Wrong(f"a tap was answered {status} {answer}")
        self._ledger.told[session] = Told(self._visit, "", 1)

    async def _count(self, visit: str, how: str) -> None:
        entry, role = self._id(), self._random.choice(ROLES)
        so_far = sum(told.count for told in self._ledger.told.values() if (told.visit, told.role) == (visit, role))
        takes_back = so_far > 0 and self._random.random() < 0.3
        count = -self._random.randint(1, so_far) if takes_back else self._random.randint(1, 9)
        body = {"entry": entry, "group": "8a", "role": role, "count": count}
        if how == "corrections" or takes_back:
            body["reason"] = "counted wrongly"
        status, answer = await self._until_told(self._console, f"/api/visits/{visit}/{how}", body)
        if status == 201:
            self._ledger.told[entry] = Told(visit, role, count)
            return
        self._ledger.refused.append(f"{how} of {count} {role} after {so_far}: {status} {answer}")
        # An old card may know of no such visit, or of fewer people in it.
        self._visit, self._earlier = "", ""

    async def _open(self) -> None:
        school = f"School {self._id()[:8]}"
        body = {
            **{"school": school, "municipality": "Kretingos r.", "date": "2026-03-02", "group": "8a"},
            **{"expected": 25, "language": "lt"},
        }
        status, answer = await self._until_told(self._console, "/api/visits", body)
        # 409: one is open, by an answer that was lost, or by what an old card knew.
        visit = answer if status == 201 else await self._snapshot_visit()
        if visit is not None:
            self._visit = str(visit["id"])

    async def _snapshot_visit(self) -> Json | None:
        while True:
            try:
                answer = await self._console.get("/api/snapshot")
                if answer.is_success and answer.json()["operator"]:
                    visit: Json | None = answer.json()["visit"]
                    return visit
                await self._console.post("/api/login", json={"pin": self._pin})
            except httpx.TransportError:
                await asyncio.sleep(self._random.uniform(*AGAIN_S))

    async def _close(self) -> None:
        await self._until_told(self._console, f"/api/visits/{self._visit}/close")
        self._visit, self._earlier = "", self._visit
