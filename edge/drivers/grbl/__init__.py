# SPDX-License-Identifier: GPL-3.0-or-later
"""How GRBL is spoken: the only room that knows `ok`, `ALARM:n`, `!` and 0x18."""

from edge.drivers.grbl.driver import GrblDriver
from edge.drivers.grbl.inputs import GrblPinInputs
from edge.drivers.grbl.settings import GrblSettings

__all__ = ["GrblDriver", "GrblPinInputs", "GrblSettings"]
