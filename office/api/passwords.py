# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords: how they are kept, and what wrong ones cost whoever gives them."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from office.errors import PasswordRefused

SHORTEST = 10
LONGEST = 200
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 300.0
MOST_CLIENTS = 10_000

_hasher = PasswordHasher()
_NOBODY = _hasher.hash(secrets.token_urlsafe(16))


def new_hash(password: str) -> str:
    """Return the argon2id hash of a new password; raises PasswordRefused for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordRefused(reason=f"it has {len(password)} characters, and {SHORTEST} to {LONGEST} are needed")
    try:
        return _hasher.hash(password)
    except UnicodeEncodeError as error:
        raise PasswordRefused(reason="it holds half a character") from error


def verify(kept: str | None, password: str) -> bool:
    """Return whether `password` is the one of the hash `kept`; None, for no such account, takes as long."""
    try:
        return _hasher.verify(_NOBODY if kept is None else kept, password) and kept is not None
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def renewed(kept: str, password: str) -> str | None:
    """Return a hash of the right `password` with today's cost where `kept` has another one."""
    return _hasher.hash(password) if _hasher.check_needs_rehash(kept) else None


class Throttle:
    """Lets each client wait twice as long after each wrong password."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}

    def wait_s(self, client: str) -> float:
        """Return for how many more seconds nothing from `client` is looked at."""
        _, until = self._wrong.get(_group(client), (0, 0.0))
        return max(0.0, until - self._clock())

    def wrong(self, client: str) -> None:
        """Note a wrong password."""
        times, _ = self._wrong.pop(_group(client), (0, 0.0))
        if len(self._wrong) >= MOST_CLIENTS:
            self._wrong.pop(next(iter(self._wrong)))
        delay = min(FIRST_DELAY_S * 2.0 ** min(times, 20), LONGEST_DELAY_S)
        self._wrong[_group(client)] = (times + 1, self._clock() + delay)

    def right(self, client: str) -> None:
        """Forget what was wrong before."""
        self._wrong.pop(_group(client), None)


def _group(client: str) -> str:
    """Return what counts as one client: of IPv6 whoever shares the 64 bits that one subscriber is given."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else client
