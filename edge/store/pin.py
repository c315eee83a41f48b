# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's PIN on disk: an argon2id hash, readable by the service only."""

from __future__ import annotations

from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edge.domain.errors import InfoMobilError
from edge.files import write_whole

SHORTEST = 4


class PinUnusable(InfoMobilError):
    """The PIN file {path} cannot be used: {reason}. Make it with: infomobil-edge set-pin {path}"""  # noqa: D400, D415


class StoredPin:
    """The hash in a file, read anew at each login so that a changed PIN holds at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._read()

    def _read(self) -> str:
        try:
            return self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PinUnusable(path=self._path, reason=str(error)) from error

    def matches(self, pin: str) -> bool:
        """Return whether `pin` is the operator's. Raises PinUnusable."""
        try:
            return self._hasher.verify(self._read(), pin)
        except InvalidHashError as error:
            raise PinUnusable(path=self._path, reason="it holds no argon2 hash") from error
        except VerificationError:
            return False


def write_pin(path: Path, pin: str) -> None:
    """Write the hash of `pin`; the file appears whole or not at all. Raises PinUnusable."""
    if len(pin) < SHORTEST or not pin.isdigit():
        raise PinUnusable(path=path, reason=f"a PIN has at least {SHORTEST} digits and nothing else")
    hashed = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(pin)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, f"{hashed}\n".encode("ascii"))
