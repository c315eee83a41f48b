# SPDX-License-Identifier: GPL-3.0-or-later
"""What words mean in the laboratory: values and rules, no clock and no I/O."""
