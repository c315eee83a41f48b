# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong between us and a server, in our words; the class says when to try again."""

from __future__ import annotations

from edge.domain.errors import InfoMobilError


class LinkError(InfoMobilError):
    """The link cannot be used: {reason}."""


class ServiceRefused(LinkError):
    """The link cannot be used: {reason}."""  # by the status of that name (`status`), with the connection intact


class LinkLost(LinkError):
    """The link cannot be used: {reason}."""  # the network or the server is away: it may be back at any moment


class ServerBusy(LinkError):
    """The link cannot be used: {reason}."""  # no free session: one may be free in a while


class NeedsPerson(LinkError):
    """The link cannot be used: {reason}."""  # it stays so until somebody changes something


class CredentialsRefused(NeedsPerson):
    """The link cannot be used: {reason}."""


class CertificateRefused(NeedsPerson):
    """The link cannot be used: {reason}."""


class CallRefused(InfoMobilError):
    """The server answered {status} when {what} was called."""
