# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples GPIO inputs and reports them; interprets nothing."""
