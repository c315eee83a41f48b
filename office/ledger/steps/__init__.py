# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of the ledger, as numbered steps for both dialects. A step that was released is never changed."""

from __future__ import annotations

from office.ledger.steps.access import ACCESS
from office.ledger.steps.audit import AUDIT
from office.ledger.steps.figures import FIGURES
from office.ledger.steps.first import FIRST
from office.ledger.steps.lineage import LINEAGE
from office.ledger.steps.standing import STANDING
from office.ledger.steps.stored import STORED

MIGRATIONS = (*FIRST, *LINEAGE, *AUDIT, *ACCESS, *FIGURES, *STANDING, *STORED)
"""In the order of their numbers."""
