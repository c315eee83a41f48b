# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver behind a proxy, watched from both ends: what it reported, and what the lathe held of it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from edge.domain.events import EventType
from edge.domain.machine import Availability, MachineState
from edge.drivers.opcua.driver import OpcUaDriver
from edge.drivers.opcua.settings import OpcUaSettings
from edge.pki import Pki
from edge.services.clock import SystemClock
from edge.services.watching import Found, Watch, look
from tests.support.opcua import PATIENCE_S, Lathe, Watched
from tests.support.proxy import Proxy, proxied

_POLL_S = 0.1
HELD = ("connections", "sessions", "subscriptions", "orphaned_subscriptions", "open_handles")


class Census:
    """Asks a lathe every tenth of a second who is connected, between the test's own control lines."""

    def __init__(self, lathe: Lathe) -> None:
        self.most_sessions = 0
        self._lathe = lathe
        self._turn = asyncio.Lock()
        self._ended = False

    async def ctl(self, line: str) -> dict[str, Any]:
        """Do something to the lathe; return its state after that."""
        async with self._turn:
            facts = await self._lathe.ctl(line)
        self._note(facts)
        return facts

    def _note(self, facts: dict[str, Any]) -> None:
        self.most_sessions = max(self.most_sessions, facts["sessions"])

    async def kill(self) -> None:
        """End the lathe at once, as a loss of power does."""
        async with self._turn:
            await self._lathe.kill()

    async def start(self) -> None:
        """Start the lathe again."""
        async with self._turn:
            await self._lathe.start()

    async def run(self) -> None:
        """Ask until `end`; a lathe that a test ended is asked no more."""
        while not self._ended:
            async with self._turn:
                if self._lathe.is_running:
                    self._note(await self._lathe.ctl("state"))
            await asyncio.sleep(_POLL_S)

    def end(self) -> None:
        """Let `run` return; cancelled, it would leave an answer for the next question."""
        self._ended = True

    async def until(self, predicate: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until the lathe's facts are as told; return them."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not predicate(facts := await self.ctl("state")):
            assert asyncio.get_running_loop().time() < deadline, f"never came: {what}; last: {facts}"
            await asyncio.sleep(_POLL_S)
        return facts

    async def until_nothing_is_held(self) -> None:
        """Wait until the lathe holds nothing of any client."""
        await self.until(lambda facts: not any(facts[name] for name in HELD), "nothing is held")


@dataclass
class Trial:
    """What a test has in hand. facts are the parts and gaps that the service derives from the driver's states."""

    watch: Watched
    proxy: Proxy
    census: Census
    facts: list[Found] = field(default_factory=list)
    _seen: Watch = field(default_factory=Watch)

    @property
    def driver(self) -> OpcUaDriver:
        """The driver."""
        return self.watch.driver

    @property
    def parts(self) -> int:
        """The parts that the service has counted."""
        return sum(int(one.body["count"] or 0) for one in self.facts if one.kind is EventType.PARTS_MADE)

    @property
    def gaps(self) -> list[Found]:
        """The times when nobody saw the machine."""
        return [one for one in self.facts if one.kind is EventType.MACHINE_GAP]

    def note(self, state: MachineState) -> None:
        """Derive what the service would."""
        seen = look(self._seen, state, boot_id="boot", wall_ns=0)
        assert seen.back is None, seen.back
        self._seen = seen.watch
        self.facts += seen.facts

    async def recovered(self) -> float:
        """Wait until the machine is seen again; return after how many seconds."""
        began = asyncio.get_running_loop().time()
        await self.watch.until_available()
        return asyncio.get_running_loop().time() - began

    async def outage(self, begin: Callable[[], Awaitable[object]], end: Callable[[], Awaitable[object]]) -> float:
        """Take something away until the driver says so, give it back; return the seconds of the recovery."""
        await begin()
        await self.watch.until_unavailable()
        await end()
        return await self.recovered()

    async def check_parts(self, before: int) -> None:
        """Stop the lathe and check that the parts counted are those that it made since it had made `before`."""
        made = (await self.census.ctl("stop"))["parts"]
        await self.watch.until(lambda state: state.part_count == made, f"{made} parts")
        assert self.parts == made - before, self.facts
        assert not any(one.body["doubtful"] for one in self.facts if one.kind is EventType.PARTS_MADE)


Settings = Callable[[str], OpcUaSettings]
"""Settings for an endpoint."""


@asynccontextmanager
async def counted(lathe: Lathe, most_sessions: int = 1) -> AsyncIterator[Census]:
    """Watch who is connected; at the end check that nobody is and that there never were more sessions."""
    census = Census(lathe)
    asking = asyncio.create_task(census.run(), name="census")
    try:
        yield census
    finally:
        census.end()
        await asyncio.wait({asking})
    await asking
    if lathe.is_running:
        await census.until_nothing_is_held()
    assert census.most_sessions <= most_sessions, census.most_sessions


@asynccontextmanager
async def followed(lathe: Lathe, census: Census, settings: Settings, pki: Pki | None = None) -> AsyncIterator[Trial]:
    """Run a driver behind a proxy of its own."""
    async with proxied(lathe.endpoint) as proxy:
        driver = OpcUaDriver("lathe-1", "Lathe", "lathe", settings(proxy.endpoint), SystemClock(), pki=pki)
        one = Trial(Watched(driver), proxy, census)
        driver.subscribe(one.note)
        running = asyncio.create_task(driver.run(), name="lathe-1")
        try:
            yield one
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert driver.state().availability is Availability.UNAVAILABLE


@asynccontextmanager
async def trial(lathe: Lathe, settings: Settings, pki: Pki | None = None) -> AsyncIterator[Trial]:
    """Run one driver behind a proxy, which may have one session at a time and leaves nothing."""
    async with counted(lathe) as census, followed(lathe, census, settings, pki) as one:
        yield one
