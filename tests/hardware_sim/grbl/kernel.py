# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual clock: interrupts as timed events, the controller's main program as one coroutine.

The main program yields a float (busy until that virtual second, nothing can resume it earlier) or None (idle until
an interrupt calls :meth:`Kernel.wake`). All times are virtual seconds.
"""

import heapq
from collections.abc import Callable, Generator
from itertools import count
from typing import TypeVar

T = TypeVar("T")
Task = Generator[float | None, None, T]
INFINITY = float("inf")


class Timer:
    """One event in the queue; it can be cancelled."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Kernel:
    """Runs events and the main program in order of virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._main: Task[None] | None = None
        self._resume_at = INFINITY
        self._idle = False
        self._blocked_until = 0.0

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Call `action` at virtual second `when` (not before now)."""
        timer = Timer(action)
        heapq.heappush(self._events, (max(when, self.now), next(self._order), timer))
        return timer

    def start(self, main: Task[None]) -> None:
        """Make `main` the main program; it first runs now."""
        self._main, self._resume_at, self._idle, self._blocked_until = main, self.now, False, 0.0

    def stop(self) -> None:
        """Drop the main program and every pending event (the processor is held in reset)."""
        if self._main is not None:
            self._main.close()
        self._main, self._resume_at, self._idle = None, INFINITY, False
        self._events.clear()

    def wake(self) -> None:
        """Resume the main program if it is idle."""
        if self._idle:
            self._resume_at = self.now

    def block_main(self, seconds: float) -> None:
        """An interrupt routine takes `seconds`: the main program stands still for that long."""
        self._blocked_until = max(self._blocked_until, self.now) + seconds

    def delay_main(self, seconds: float) -> None:
        """The main program looks again `seconds` from now at the earliest."""
        self._blocked_until = max(self._blocked_until, self.now + seconds)

    @property
    def next_time(self) -> float:
        """Virtual second of the next thing to do, infinite if only the outside world can change anything."""
        events = self._events
        while events and events[0][2].action is None:
            heapq.heappop(events)
        first = events[0][0] if events else INFINITY
        if self._resume_at == INFINITY:
            return first
        return min(first, max(self._resume_at, self._blocked_until))

    def run_until(self, limit: float) -> None:
        """Do everything that is due up to and including virtual second `limit`, which becomes now."""
        events = self._events
        while True:
            while events and events[0][2].action is None:
                heapq.heappop(events)
            event_at = events[0][0] if events else INFINITY
            main_at = INFINITY if self._resume_at == INFINITY else max(self._resume_at, self._blocked_until)
            if event_at > limit and main_at > limit:
                break
            if event_at <= main_at:
                timer = heapq.heappop(events)[2]
                self.now = max(self.now, event_at)
                if timer.action is not None:
                    timer.action()
            else:
                self.now = max(self.now, main_at)
                self._step_main()
        self.now = max(self.now, limit)

    def _step_main(self) -> None:
        main = self._main
        if main is None:
            self._resume_at = INFINITY
            return
        self._resume_at, self._idle = INFINITY, False
        wish = main.send(None)
        if self._main is not main:
            return
        if wish is None:
            self._idle = True
        else:
            self._resume_at = max(wish, self.now)
