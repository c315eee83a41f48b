# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong between us and a server, in our words."""

from __future__ import annotations

from edge.domain.errors import InfoMobilError


class LinkError(InfoMobilError):
    """The link cannot be used: {reason}."""


class CredentialsRefused(LinkError):
    """The link cannot be used: {reason}."""
