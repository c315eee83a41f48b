# SPDX-License-Identifier: GPL-3.0-or-later
"""The designs that make a piece of a visitor's own."""
