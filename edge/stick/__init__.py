# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the office without a network: what waits in the outbox, on a USB stick."""
