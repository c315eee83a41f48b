# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m office` is `infomobil-office`."""

from office.cli import main

main()
