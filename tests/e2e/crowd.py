# SPDX-License-Identifier: GPL-3.0-or-later
"""People who do not give up: kiosks and an operator that send again until they are told, and hands that pull plugs."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from tests.hardware_sim.lab.people import Json, Operator, Wrong, until
from tests.hardware_sim.lab.processes import Process

PATIENCE_S = 5.0
AGAIN_S = (0.02, 0.15)
IMPATIENT_S = 0.003
"""A page that is closed, or loses the air, just after a tap: it will never know whether the tap was taken."""
LANGUAGES = ("lt", "en", "lv", "et", "de")
ROLES = ("pupil", "teacher", "vet_trainer", "trainee")
REACHED = ("pupil", "teacher")

# Settings that let a lab and an office find each other again soon after a kill.
QUICK_SYNC = "retry_min_s = 0.05\nretry_max_s = 0.3\nresend_min_s = 0.2\nconnect_timeout_s = 2.0"
QUICK_INGEST = "retry_first = 0.05\nretry_longest = 0.3\n"


@dataclass
class Tally:
    """What really happened. sessions and people are by visit; sessions of nobody's visit are under ""."""

    sessions: Counter[str] = field(default_factory=Counter)
    people: dict[str, Counter[str]] = field(default_factory=dict)
    posts: int = 0
    unanswered: int = 0

    @property
    def confirmed(self) -> int:
        """Return how many visitors were thanked."""
        return self.sessions.total()

    def reached(self) -> int:
        """Return how many pupils and teachers were entered."""
        return sum(people[role] for people in self.people.values() for role in REACHED)


class Page:
    """One kiosk's page: a tap is sent again, with its session id, until it is answered 201."""

    def __init__(self, url: str, kiosk: str, tally: Tally, seed: object) -> None:
        self.kiosk = kiosk
        self.tally = tally
        self.random = random.Random(f"{seed} {kiosk}")
        self.client = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    def session(self) -> str:
        """Return a new session id."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    async def tap(self, session: str, patience_s: float = PATIENCE_S) -> int:
        """Tap once; return the status, 0 where no answer came."""
        body = {"kiosk": self.kiosk, "session": session, "language": self.random.choice(LANGUAGES)}
        self.tally.posts += 1
        try:
            answer = await self.client.post("/api/kiosk/sessions", json=body, timeout=patience_s)
        except httpx.TransportError:
            self.tally.unanswered += 1
            return 0
        if answer.status_code not in (201, 429, 503):
            raise Wrong(f"a tap was answered {answer.status_code} {answer.text}")
        return answer.status_code

    async def _until_thanked(self, session: str) -> None:
        while await self.tap(session, IMPATIENT_S if self.random.random() < 0.1 else PATIENCE_S) != 201:
            await asyncio.sleep(self.random.uniform(*AGAIN_S))

    async def check_in(self, visit: str) -> None:
        """Let one visitor tap, some of them twice at once."""
        session = self.session()
        taps = 2 if self.random.random() < 0.3 else 1
        await asyncio.gather(*(self._until_thanked(session) for _ in range(taps)))
        self.tally.sessions[visit] += 1

    async def serve(self, visitors: int, visit: str, gap_s: float = 0.04) -> None:
        """Let visitors check in, one after the other."""
        for _ in range(visitors):
            await asyncio.sleep(self.random.uniform(0, gap_s))
            await self.check_in(visit)


class Desk:
    """An operator who enters everything again, with the same entry id, until it is taken."""

    def __init__(self, operator: Operator, pin: str, tally: Tally, seed: object) -> None:
        self.operator = operator
        self.pin = pin
        self.tally = tally
        self.random = random.Random(f"{seed} desk")

    async def _until_taken(self, path: str, body: object = None) -> tuple[Json | None, bool]:
        """Return the answer, None for a 404 or 409 after an answer was lost, and whether one was lost."""
        lost = False
        while True:
            self.tally.posts += 1
            try:
                answer = await self.operator.client.post(path, json=body)
                if answer.status_code == 401:
                    await self.operator.client.post("/api/login", json={"pin": self.pin})
                    continue
            except httpx.TransportError:
                self.tally.unanswered += 1
                lost = True
                await asyncio.sleep(self.random.uniform(*AGAIN_S))
                continue
            if answer.is_success:
                return answer.json(), lost
            if answer.status_code in (404, 409) and lost:
                return None, lost
            if answer.status_code not in (429, 503):
                raise Wrong(f"POST {path}: {answer.status_code} {answer.text}")
            await asyncio.sleep(self.random.uniform(*AGAIN_S))

    async def snapshot(self) -> Json:
        """Return what the console shows, however often it has to be asked."""

        async def look() -> Json | None:
            try:
                shown: Json = await self.operator.get("/api/snapshot")
                if not shown["operator"]:
                    await self.operator.client.post("/api/login", json={"pin": self.pin})
            except httpx.TransportError:
                return None
            return shown if shown["operator"] else None

        found: Json = await until("the console answers", look)
        return found

    async def open_visit(self, school: str, expected: int) -> str:
        """Open a visit; return its id."""
        body = {
            **{"school": school, "municipality": "Kretingos r.", "date": "2026-03-02", "group": "8a"},
            **{"expected": expected, "language": "lt"},
        }
        visit, _ = await self._until_taken("/api/visits", body)
        if visit is None:
            # The answer was lost and not the visit: it is on the screen.
            visit = (await self.snapshot())["visit"]
        if visit is None or visit["school"] != school:
            raise Wrong(f"the visit of {school} was not opened: {visit}")
        self.tally.people[visit["id"]] = Counter()
        return str(visit["id"])

    async def count(self, visit: str, role: str, count: int) -> None:
        """Enter a headcount, some of them twice at once."""
        body: dict[str, Any] = {
            "entry": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            **{"group": "8a", "role": role, "count": count, "reason": "" if count > 0 else "counted twice"},
        }
        taps = 2 if self.random.random() < 0.3 else 1
        answers = await asyncio.gather(
            *(self._until_taken(f"/api/visits/{visit}/headcounts", body) for _ in range(taps))
        )
        if any(answer is None for answer, _ in answers):
            raise Wrong("a headcount was refused")
        self.tally.people[visit][role] += count

    async def count_heads(self, visit: str, entries: int) -> None:
        """Enter headcounts in all roles, some of them corrections."""
        for _ in range(entries):
            await asyncio.sleep(self.random.uniform(0, 0.12))
            role = self.random.choice(ROLES)
            so_far = self.tally.people[visit][role]
            correction = so_far > 0 and self.random.random() < 0.25
            await self.count(visit, role, -self.random.randint(1, so_far) if correction else self.random.randint(1, 9))

    async def close_visit(self, visit: str) -> None:
        """Close a visit."""
        closed, _ = await self._until_taken(f"/api/visits/{visit}/close")
        if closed is None and (await self.snapshot())["visit"] is not None:
            raise Wrong("the visit was not closed")


async def strike(
    process: Process, moments: Sequence[int], progress: Callable[[], int], seed: object, away_s: tuple[float, float]
) -> int:
    """Kill -9 and start again whenever `progress` passes one of `moments`; return how often."""
    chance = random.Random(f"{seed} {process.name}")
    for moment in sorted(moments):
        await until(f"visitor {moment}", lambda moment=moment: progress() >= moment, seconds=240, every=0.002)
        await asyncio.sleep(chance.uniform(0, 0.03))
        await process.kill()
        await asyncio.sleep(chance.uniform(*away_s))
        await process.start()
    return len(moments)
