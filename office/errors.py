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
