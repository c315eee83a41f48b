# SPDX-License-Identifier: GPL-3.0-or-later
"""A visit: one stop of the van at one school on one day, with its groups and counted heads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """As what a person is counted in the pledge."""

    PUPIL = "pupil"
    TEACHER = "teacher"
    VET_TRAINER = "vet_trainer"
    TRAINEE = "trainee"


class Language(StrEnum):
    """Languages of the kiosk, ISO 639-1."""

    LT = "lt"
    EN = "en"
    LV = "lv"
    ET = "et"
    DE = "de"


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit as the operator opened it. date is ISO 8601 as the operator sees it on the wall, not a clock's."""

    visit_id: str
    school: str
    municipality: str
    date: str
    group: str
    expected: int
    language: Language
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Headcount:
    """People of one role in one group, counted by the operator. The ledger of the pledge adds these up."""

    visit_id: str
    group: str
    role: Role
    count: int


@dataclass(frozen=True, slots=True)
class VisitTotals:
    """Sums of the open visit: people per role (operator's headcounts) and kiosk sessions, which are not people."""

    people: dict[Role, int]
    kiosk_sessions: int

    @property
    def total(self) -> int:
        """Return the number of people counted."""
        return sum(self.people.values())
