# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad days, drawn from a seed: whatever is killed, cut, lost or copied, the office's number is exact."""
