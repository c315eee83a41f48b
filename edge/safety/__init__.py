# SPDX-License-Identifier: GPL-3.0-or-later
"""When motion is permitted: pure total functions. Supervisory only: the hard-wired circuit is the safety function."""
