# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m edge` is `infomobil-edge`."""

from edge.cli import main

main()
