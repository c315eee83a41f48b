# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step of the ledger's schema is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from office.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, what it does, and its statements with the dialect's words in braces.

    fill, where there is one, comes after them: what the statements alone cannot carry over from what is there.
    """

    number: int
    name: str
    statements: tuple[str, ...]
    fill: Callable[[Database], None] | None = None
