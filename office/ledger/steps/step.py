# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step of the ledger's schema is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, what it does, and its statements with the dialect's words in braces."""

    number: int
    name: str
    statements: tuple[str, ...]
