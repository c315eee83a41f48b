# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines watched over OPC UA. `connection.py` and `translate.py` alone import asyncua, at the first connection."""
