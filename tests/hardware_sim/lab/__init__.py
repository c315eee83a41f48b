# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole laboratory on one computer: private broker, simulated machines, edge and office, each its own process."""
