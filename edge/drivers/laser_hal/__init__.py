# SPDX-License-Identifier: GPL-3.0-or-later
"""A laser engraver on grblHAL, reached over TCP. It speaks through the GRBL room's public face."""
