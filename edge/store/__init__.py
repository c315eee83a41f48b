# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts on disk: one SQLite database, one writer thread, group commit. The only room of the lab with SQL."""
