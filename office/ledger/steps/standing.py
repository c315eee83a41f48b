# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 9: the facts that were not understood are found without looking at all others."""

from __future__ import annotations

from office.ledger.steps.step import Migration

STANDING = (
    Migration(
        9,
        "facts that were not understood",
        ("create index event_odd on event (feed, seq) where standing <> 'understood'",),
    ),
)
