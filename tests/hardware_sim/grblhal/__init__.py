# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated grblHAL controller behind a TCP port: the simulated GRBL, in grblHAL's words.

What differs is named in dialect.py; the rest of grblHAL (its own alarms, tool changes, macros) is not simulated.
"""
