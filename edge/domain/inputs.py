# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs that interlocks look at: copies of the hard-wired circuits, each with its age."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InputSample:
    """One reading of an input.

    healthy is True where the contact says that motion may be permitted, False where it says the opposite and
    None where the source cannot tell. taken_ns is the boot-time clock at the moment of the reading.
    """

    name: str
    healthy: bool | None
    taken_ns: int
    source: str


@dataclass(frozen=True, slots=True)
class InputRule:
    """What an interlock expects of an input.

    max_age_ns is the age after which a sample counts as unknown; label and remedy are sentences for people:
    what the input is, and who can put it right and how.
    """

    name: str
    label: str
    source: str
    max_age_ns: int
    remedy: str
