# SPDX-License-Identifier: GPL-3.0-or-later
"""A visit with everything counted in it, as the lab keeps it on disk: the open one, and the closed ones of late."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass

from edge.domain.errors import Refused
from edge.domain.visit import Headcount, Language, Role, Visit

MAX_PEOPLE = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A headcount as entered, with the id that makes the entry repeatable."""

    entry_id: str
    headcount: Headcount
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """A visit with everything counted in it. Kept on disk as one JSON text.

    place orders the closed visits, the newest has the highest, and is 0 while the visit is open; sessions is how many
    kiosk sessions it had when it was closed.
    """

    visit: Visit
    entries: tuple[Entry, ...] = ()
    bell_boot_ns: int | None = None
    boot_id: str = ""
    place: int = 0
    sessions: int = 0

    @property
    def people(self) -> dict[Role, int]:
        """Return the sums of the headcounts."""
        people: Counter[Role] = Counter(dict.fromkeys(Role, 0))
        for entry in self.entries:
            people[entry.headcount.role] += entry.headcount.count
        return dict(people)

    def knows(self, entry_id: str) -> bool:
        """Return whether this entry was counted already."""
        return any(entry.entry_id == entry_id for entry in self.entries)

    def check(self, role: Role, count: int, reason: str) -> None:
        """Raise Refused for a count that cannot be."""
        if count == 0:
            raise Refused(what="The count is not entered.", why="It is zero.", remedy="Enter at least one person.")
        if count < 0 and not reason.strip():
            raise Refused(
                what="The correction is not entered.", why="It has no reason.", remedy="Say why the count was wrong."
            )
        after = self.people[role] + count
        if not 0 <= after <= MAX_PEOPLE:
            raise Refused(
                what="The count is not entered.",
                why=f"It would make {after} people of this role.",
                remedy="Check the number.",
            )

    def check_correction(self, group: str, role: Role, count: int, reason: str) -> None:
        """Raise Refused for a correction that cannot be: it needs a reason, and no group has fewer people than none."""
        if count and not reason.strip():
            raise Refused(
                what="The correction is not entered.", why="It has no reason.", remedy="Say why the count was wrong."
            )
        self.check(role, count, reason)
        before = sum(
            entry.headcount.count
            for entry in self.entries
            if (entry.headcount.group, entry.headcount.role) == (group, role)
        )
        if count < 0 and before + count < 0:
            raise Refused(
                what="The correction is not entered.",
                why=f"In the group {group} {max(before, 0)} people of this role were counted.",
                remedy="Name the group in which they were counted, or check the number.",
            )

    def dump(self) -> str:
        """Return the JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> VisitRecord:
        """Return the record of a JSON text made by `dump`, also one of an earlier version of the program."""
        raw = json.loads(text)
        visit = Visit(**{**raw["visit"], "language": Language(raw["visit"]["language"])})
        entries = tuple(
            Entry(
                item["entry_id"],
                Headcount(**{**item["headcount"], "role": Role(item["headcount"]["role"])}),
                item["reason"],
            )
            for item in raw["entries"]
        )
        place, sessions = raw.get("place", 0), raw.get("sessions", 0)
        return cls(visit, entries, raw["bell_boot_ns"], raw["boot_id"], place, sessions)
