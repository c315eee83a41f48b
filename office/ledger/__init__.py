# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: the only room of the office with SQL."""

from office.ledger.ledger import Ledger
from office.ledger.writer import Recorded

__all__ = ["Ledger", "Recorded"]
