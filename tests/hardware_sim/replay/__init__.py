# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays recorded conversations with a GRBL controller against any serial port and tells where the answers differ.

``python -m tests.hardware_sim.replay TRACE... --port PATH [--ctl FIFO]``
"""
