# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which things happen. Services see ports, never bytes, SQL or topics."""
