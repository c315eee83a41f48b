# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are not there: each its own process, speaking the wire."""
