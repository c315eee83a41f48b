# SPDX-License-Identifier: GPL-3.0-or-later
"""Towards the office: one MQTT connection, and the relay that empties the outbox over it. Never reaches back."""
