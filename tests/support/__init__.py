# SPDX-License-Identifier: GPL-3.0-or-later
"""Real neighbours for tests: each is a process of its own, stopped by its own pid."""
