# SPDX-License-Identifier: GPL-3.0-or-later
"""InfoMobil edge: the controller of one mobile laboratory."""

__version__ = "0.1.0"
