# SPDX-License-Identifier: GPL-3.0-or-later
"""The visitors' HTTP contract: an app of its own, on a port of its own, with no motion endpoint."""
