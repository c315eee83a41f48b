# SPDX-License-Identifier: GPL-3.0-or-later
"""How machines and inputs are spoken to: one room per wire."""
