# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements beside their floors: `make bench`, or `python -m benchmarks [NAME ...] [--quick] [--json FILE]`."""
