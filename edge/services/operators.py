# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may operate: one PIN, checked slowly on purpose, with a delay that grows with every wrong one."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Protocol

from edge.domain.errors import InfoMobilError
from edge.domain.ports import Clock

FREE_TRIES = 3
FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 300.0
SESSION_NS = 12 * 3600 * 1_000_000_000
MAX_SESSIONS = 32


class WrongPin(InfoMobilError):
    """The PIN is wrong."""


class LockedOut(InfoMobilError):
    """Too many wrong PINs: wait {retry_after_s:.0f} s."""


class PinHash(Protocol):
    """Compares a PIN with what is stored of it. Slow, and runs away from the loop's thread."""

    def matches(self, pin: str) -> bool:
        """Return whether `pin` is the operator's."""
        ...


@dataclass
class OperatorDesk:
    """Logins of the console. Sessions live in memory: a restart logs everybody out, and stops nothing."""

    pin_hash: PinHash
    clock: Clock
    _wrong: int = 0
    _locked_until_ns: int = 0
    _sessions: dict[str, int] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def retry_after_s(self) -> float:
        """Return the seconds until a PIN is looked at again."""
        return max(0.0, (self._locked_until_ns - self.clock.boot_ns()) / 1e9)

    async def login(self, pin: str) -> str:
        """Return a new session token. Raises WrongPin, LockedOut; while locked even the right PIN is not looked at."""
        async with self._lock:
            wait = self.retry_after_s()
            if wait > 0:
                raise LockedOut(retry_after_s=wait)
            if not await asyncio.to_thread(self.pin_hash.matches, pin):
                self._wrong += 1
                if self._wrong >= FREE_TRIES:
                    delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (self._wrong - FREE_TRIES))
                    self._locked_until_ns = self.clock.boot_ns() + round(delay * 1e9)
                raise WrongPin
            self._wrong = 0
            self._forget_old()
            token = secrets.token_urlsafe(32)
            self._sessions[token] = self.clock.boot_ns() + SESSION_NS
            return token

    def _forget_old(self) -> None:
        now = self.clock.boot_ns()
        self._sessions = {token: end for token, end in self._sessions.items() if end > now}
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def knows(self, token: str | None) -> bool:
        """Return whether `token` is a session that has not ended."""
        return token is not None and self._sessions.get(token, 0) > self.clock.boot_ns()

    def logout(self, token: str | None) -> None:
        """End a session."""
        if token is not None:
            self._sessions.pop(token, None)
