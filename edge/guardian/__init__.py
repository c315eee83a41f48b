# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops the machines when the main process is dead or stuck; nothing else, ever."""
