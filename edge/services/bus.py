# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wants to see a change is told at once, on the publisher's stack; a slow view loses the oldest, and knows it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge.domain.events import Event


@dataclass(frozen=True, slots=True)
class MachineChanged:
    """Something in the view of a machine changed."""

    machine_id: str


@dataclass(frozen=True, slots=True)
class MachineHomed:
    """A machine has found its reference position."""

    machine_id: str


@dataclass(frozen=True, slots=True)
class OpeningChanged:
    """The checklist after a drive changed."""


@dataclass(frozen=True, slots=True)
class JobsChanged:
    """The queue or a job in it changed."""


@dataclass(frozen=True, slots=True)
class VisitChanged:
    """The open visit or its figures changed."""


@dataclass(frozen=True, slots=True)
class ProgramsChanged:
    """The list of programs changed."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the operator; level is info, attention or fault.

    code and facts say the same to a page that has words of its own: tripped and tripped-watched (machine, input), fault
    (machine, reason), job (claim, state, reason), settings (machine, count), load (machine, file, reason),
    counter-back (machine, before, after), counter-jump (machine, count).
    """

    level: str
    text: str
    code: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CheckProgress:
    """How far a check is: its name, as the page chose it, its stage, and the part of that which is done, 0 to 1."""

    check: str
    stage: str
    done: float


@dataclass(frozen=True, slots=True)
class TwinChanged:
    """A machine has cut something off its material, or more is known of what it will cut."""

    machine_id: str


Message = (
    MachineChanged
    | MachineHomed
    | OpeningChanged
    | JobsChanged
    | VisitChanged
    | ProgramsChanged
    | CheckProgress
    | TwinChanged
    | Notice
    | Event
)


class EventBus:
    """Publishes synchronously, in the order of subscription. Everything runs on the loop's thread."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Message], None]] = []

    def publish(self, message: Message) -> None:
        """Tell every listener."""
        for listener in tuple(self._listeners):
            listener(message)

    def subscribe(self, listener: Callable[[Message], None]) -> Callable[[], None]:
        """Call `listener` at each message; return the call that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


class LiveView:
    """A bounded queue behind the bus for one screen. A message that waits already is not queued twice."""

    def __init__(self, bus: EventBus, *, size: int = 256) -> None:
        self._waiting: deque[Message] = deque()
        self._size = size
        self._ready = asyncio.Event()
        self.dropped = 0
        self._close = bus.subscribe(self._put)

    def _put(self, message: Message) -> None:
        if isinstance(message, Event) or message in self._waiting:
            return
        if isinstance(message, CheckProgress):
            self._forget(message.check)
        if len(self._waiting) >= self._size:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(message)
        self._ready.set()

    def _forget(self, check: str) -> None:
        """Drop how far a check was: only how far it is now is of use."""
        for old in [item for item in self._waiting if isinstance(item, CheckProgress) and item.check == check]:
            self._waiting.remove(old)

    async def take(self, timeout: float) -> list[Message]:
        """Return everything that waits, after at most `timeout` seconds also nothing."""
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            return []
        messages = list(self._waiting)
        self._waiting.clear()
        self._ready.clear()
        return messages

    def close(self) -> None:
        """End the subscription."""
        self._close()
