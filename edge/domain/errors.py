# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the domain. The docstring of a class is the message, its fields are the facts."""

from __future__ import annotations

from collections.abc import Callable


class InfoMobilError(Exception):
    """Something went wrong."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        template = " ".join((type(self).__doc__ or "").split())
        super().__init__(template.format(**facts))

    def __reduce__(self) -> tuple[Callable[..., InfoMobilError], tuple[type[InfoMobilError], dict[str, object]]]:
        """Let the error cross from a worker process: it is made again from its facts."""
        return _again, (type(self), self.facts)

    def __getattr__(self, name: str) -> object:
        """Return the fact `name`."""
        try:
            return self.__dict__["facts"][name]
        except KeyError:
            raise AttributeError(name) from None


def _again(kind: type[InfoMobilError], facts: dict[str, object]) -> InfoMobilError:
    return kind(**facts)


class JobTransitionRefused(InfoMobilError):
    """The job {job_id} is {state}: it cannot {action} now."""


class NotFound(InfoMobilError):
    """There is no {what} {key!r}."""


class NoOpenVisit(InfoMobilError):
    """No visit is open: an operator opens one at the console."""


class VisitAlreadyOpen(InfoMobilError):
    """The visit of {school} is still open: close it first."""


class Refused(InfoMobilError):
    """{what} {why} {remedy}"""  # noqa: D400, D415 - three sentences that bring their own full stops


class MotionRefused(InfoMobilError):
    """The machine {machine_id} does not {command}: {reasons}."""


class StopNotDelivered(InfoMobilError):
    """The stop did not reach the machine {machine_id} ({reason}): use the hard-wired stop at the machine."""


class DriverUnavailable(InfoMobilError):
    """The machine {machine_id} cannot be reached: {reason}."""


class DriverRefused(InfoMobilError):
    """The machine {machine_id} refused {command}: {reason}."""


class ProbeFailed(InfoMobilError):
    """The probe of the machine {machine_id} found nothing to measure: {reason}."""


class ProgramRejected(InfoMobilError):
    """The program {program_id} is refused: {reason}."""


class ProgramFailed(InfoMobilError):
    """The program {program_id} ended before its end: {reason}."""


class ProgramAborted(InfoMobilError):
    """The program {program_id} was stopped: {reason}."""


class ProgramInterrupted(InfoMobilError):
    """The program {program_id} was interrupted: {reason}."""


class FileRefused(InfoMobilError):
    """The file {name} is not taken: {reason}."""


class TransferFailed(InfoMobilError):
    """The program {name} is not on the machine {machine_id}: {reason}."""


class StoreUnavailable(InfoMobilError):
    """The record could not be written to disk: {reason}."""


class FactDamaged(StoreUnavailable):
    """The fact {seq} of {stream} in epoch {epoch} is damaged on the disk."""
