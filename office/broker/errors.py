# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the authority did not do what it was asked. The docstring of a class is the message, its fields are the facts."""

from __future__ import annotations

from office.errors import OfficeError


class BrokerError(OfficeError):
    """The broker's certificates are as they were: {reason}."""


class NoAuthority(BrokerError):
    """{folder} holds no authority: make one with "infomobil-office broker init"."""


class AuthorityExists(BrokerError):
    """{folder} holds an authority already; another one would shut out every lab that has a certificate of the first."""


class AuthorityUnusable(BrokerError):
    """The authority in {folder} cannot be used: {reason}."""


class NameRefused(BrokerError):
    """{name} cannot be the name of {what}: {rule}."""


class NotIssued(BrokerError):
    """{name} has no certificate in force: there is nothing to revoke."""


class AlreadyIssued(BrokerError):
    """{name} has a certificate until {until}: say --again for another one; the first stays good until it is revoked."""
