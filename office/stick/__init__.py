# SPDX-License-Identifier: GPL-3.0-or-later
"""What vans bring on sticks, on its way to the ledger: the same batches as over the air, vouched for by a signature."""

from office.stick.archive import BadStick, Stick, read_stick
from office.stick.taking import Imported, take_stick

__all__ = ["BadStick", "Imported", "Stick", "read_stick", "take_stick"]
