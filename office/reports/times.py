# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as the office says them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(ns: int) -> str | None:
    """Return UTC ns as ISO 8601 to the second, None for a time that no calendar has or that never was."""
    if ns <= 0:
        return None
    try:
        return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None
