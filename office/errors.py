# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the office. The docstring of a class is the message, its fields are the facts."""

from __future__ import annotations


class OfficeError(Exception):
    """Something went wrong in the office."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        template = " ".join((type(self).__doc__ or "").split())
        super().__init__(template.format(**facts))


class ConfigInvalid(OfficeError):
    """{where}: {problem}."""


class LedgerUnavailable(OfficeError):
    """The ledger cannot be reached now: {reason}."""


class LedgerRefused(OfficeError):
    """The ledger does not take this: {reason}."""


class TaskEnded(OfficeError):
    """The task {task} returned although it must run for ever."""


class AccountRefused(OfficeError):
    """The account {name} stays as it is: {reason}."""


class LastAdmin(OfficeError):
    """The account {name} stays an admin: it is the last one."""


class AccountUnknown(OfficeError):
    """There is no account {name}."""


class PasswordRefused(OfficeError):
    """The password is not taken: {reason}."""


class QuarantineUnknown(OfficeError):
    """Nothing is set aside under the number {id}: only the newest are kept."""
