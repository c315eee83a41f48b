# SPDX-License-Identifier: GPL-3.0-or-later
"""The passwords of those who may read over OPC UA, each on the first line of a file of its own."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from edge.domain.errors import InfoMobilError


class PasswordMissing(InfoMobilError):
    """The password of the OPC UA user {user} is not taken from {path}: {reason}."""


def passwords_of(users: Mapping[str, Path]) -> dict[str, str]:
    """Return the passwords by user. Raises PasswordMissing."""
    return {user: _password(user, path) for user, path in users.items()}


def _password(user: str, path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise PasswordMissing(user=user, path=path, reason=f"others may read it: run `chmod 600 {path}`")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PasswordMissing(user=user, path=path, reason=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise PasswordMissing(user=user, path=path, reason="it is not UTF-8 text") from error
    if not lines or not lines[0]:
        raise PasswordMissing(user=user, path=path, reason="its first line is empty")
    return lines[0]
