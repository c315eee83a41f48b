# SPDX-License-Identifier: GPL-3.0-or-later
"""The central office: takes in what the vans send, keeps the ledger, and shows how far the pledge has come."""
