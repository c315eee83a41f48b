# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts people: nothing is confirmed to anyone before it is on disk, and a repeated tap counts once."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field, replace

from edge.domain.errors import NoOpenVisit, NotFound, Refused, VisitAlreadyOpen
from edge.domain.events import EventType
from edge.domain.ports import Clock, EventStore
from edge.domain.visit import Headcount, Language, Role, Visit, VisitTotals
from edge.services.bus import EventBus, VisitChanged
from edge.services.recorder import Recorder

VISIT_KEY = "visit"
SESSION_PREFIX = "session:"
EARLIER_PREFIX = "earlier-session:"
MAX_PEOPLE = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A headcount as entered, with the id that makes the entry repeatable."""

    entry_id: str
    headcount: Headcount
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """The open visit with everything counted in it. Kept on disk as one JSON text."""

    visit: Visit
    entries: tuple[Entry, ...] = ()
    bell_boot_ns: int | None = None
    boot_id: str = ""

    @property
    def people(self) -> dict[Role, int]:
        """Return the sums of the headcounts."""
        people: Counter[Role] = Counter(dict.fromkeys(Role, 0))
        for entry in self.entries:
            people[entry.headcount.role] += entry.headcount.count
        return dict(people)

    def dump(self) -> str:
        """Return the JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> VisitRecord:
        """Return the record of a JSON text made by `dump`."""
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
        return cls(visit, entries, raw["bell_boot_ns"], raw["boot_id"])


@dataclass
class VisitCounter:
    """The open visit and the kiosk sessions. One change at a time, each committed before it is seen."""

    store: EventStore
    recorder: Recorder
    bus: EventBus
    clock: Clock
    default_language: Language = Language.LT
    record: VisitRecord | None = None
    _sessions: dict[str, str] = field(default_factory=dict)
    _earlier: set[str] = field(default_factory=set)
    _arriving: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def load(self) -> None:
        """Take up the visit that was open when the service ended. A bell of an earlier boot is forgotten."""
        kept = await self.store.load(VISIT_KEY)
        if VISIT_KEY in kept:
            record = VisitRecord.parse(kept[VISIT_KEY])
            if record.boot_id != self.clock.boot_id():
                record = replace(record, bell_boot_ns=None, boot_id=self.clock.boot_id())
            self.record = record
        kept = await self.store.load(SESSION_PREFIX)
        self._sessions = {key.removeprefix(SESSION_PREFIX): visit_id for key, visit_id in kept.items()}
        self._earlier = {key.removeprefix(EARLIER_PREFIX) for key in await self.store.load(EARLIER_PREFIX)}

    @property
    def visit(self) -> Visit | None:
        """Return the open visit."""
        return self.record.visit if self.record else None

    def totals(self) -> VisitTotals:
        """Return the figures of the open visit, zeros where none is open."""
        if self.record is None:
            return VisitTotals(dict.fromkeys(Role, 0), 0)
        return VisitTotals(self.record.people, self.sessions_of(self.record.visit.visit_id))

    def bell_in_s(self) -> float | None:
        """Return the seconds until the bell rings, where the operator set it."""
        if self.record is None or self.record.bell_boot_ns is None:
            return None
        return (self.record.bell_boot_ns - self.clock.boot_ns()) / 1e9

    async def open(
        self, *, school: str, municipality: str, date: str, group: str, expected: int, language: Language
    ) -> Visit:
        """Open a visit. Raises VisitAlreadyOpen, StoreUnavailable."""
        async with self._lock:
            if self.record is not None:
                raise VisitAlreadyOpen(school=self.record.visit.school)
            visit = Visit(uuid.uuid4().hex, school, municipality, date, group, expected, language)
            record = VisitRecord(visit, boot_id=self.clock.boot_id())
            event = self.recorder.event(
                EventType.VISIT_OPENED,
                {
                    "visit": visit.visit_id,
                    "school": school,
                    "municipality": municipality,
                    "date": date,
                    "group": group,
                    "expected": expected,
                    "language": language.value,
                },
            )
            # A page whose answer was lost may still repeat its tap: ids are kept for one visit more.
            ended = set(self._sessions)
            moved: dict[str, str | None] = {
                **{EARLIER_PREFIX + session: None for session in self._earlier},
                **{SESSION_PREFIX + session: None for session in ended},
                **{EARLIER_PREFIX + session: "" for session in ended},
            }
            await self.recorder.commit([event], {**moved, VISIT_KEY: record.dump()})
            for session in ended:
                del self._sessions[session]
            self._earlier = ended
            self._show(record)
            return visit

    def _require(self, visit_id: str) -> VisitRecord:
        if self.record is None:
            raise NoOpenVisit
        if self.record.visit.visit_id != visit_id:
            raise NotFound(what="open visit", key=visit_id)
        return self.record

    async def count(
        self, visit_id: str, *, entry_id: str, group: str, role: Role, count: int, reason: str = ""
    ) -> VisitRecord:
        """Add a headcount; an entry id seen before counts once. Raises Refused, NoOpenVisit, StoreUnavailable."""
        async with self._lock:
            record = self._require(visit_id)
            if any(entry.entry_id == entry_id for entry in record.entries):
                return record
            self._check_count(record, role, count, reason)
            entry = Entry(entry_id, Headcount(visit_id, group, role, count), reason)
            changed = replace(record, entries=(*record.entries, entry))
            body = {"visit": visit_id, "group": group, "role": role.value, "count": count, "reason": reason}
            await self.recorder.commit([self.recorder.event(EventType.HEADCOUNT, body)], {VISIT_KEY: changed.dump()})
            self._show(changed)
            return changed

    @staticmethod
    def _check_count(record: VisitRecord, role: Role, count: int, reason: str) -> None:
        before = record.people[role]
        if count == 0:
            raise Refused(what="The count is not entered.", why="It is zero.", remedy="Enter at least one person.")
        if count < 0 and not reason.strip():
            raise Refused(
                what="The correction is not entered.", why="It has no reason.", remedy="Say why the count was wrong."
            )
        if not 0 <= before + count <= MAX_PEOPLE:
            raise Refused(
                what="The count is not entered.",
                why=f"It would make {before + count} people of this role.",
                remedy="Check the number.",
            )

    async def ring(self, visit_id: str, in_minutes: float | None) -> VisitRecord:
        """Set the bell, in minutes from now, or take it away with None."""
        async with self._lock:
            record = self._require(visit_id)
            bell = None if in_minutes is None else self.clock.boot_ns() + round(in_minutes * 60e9)
            changed = replace(record, bell_boot_ns=bell, boot_id=self.clock.boot_id())
            await self.recorder.commit([], {VISIT_KEY: changed.dump()})
            self._show(changed)
            return changed

    async def close(self, visit_id: str) -> VisitRecord:
        """Close the visit; returns its last record. Session ids are kept through the next visit, for late repeats."""
        async with self._lock:
            record = self._require(visit_id)
            event = self.recorder.event(EventType.VISIT_CLOSED, {"visit": visit_id})
            await self.recorder.commit([event], {VISIT_KEY: None})
            self.record = None
            self.bus.publish(VisitChanged())
            return replace(record, visit=replace(record.visit, is_open=False))

    async def check_in(self, session_id: str, *, kiosk: str, language: Language) -> None:
        """Count a kiosk session once, however often it is sent. Returns after its commit.

        Sessions are counted with or without an open visit; the office shows those without one by themselves.
        """
        if self.knows(session_id):
            return
        if session_id in self._arriving:
            await asyncio.shield(self._arriving[session_id])
            return
        arrival = asyncio.get_running_loop().create_future()
        self._arriving[session_id] = arrival
        visit_id = self.record.visit.visit_id if self.record else None
        body = {"session": session_id, "kiosk": kiosk, "language": language.value, "visit": visit_id}
        try:
            await self.recorder.commit(
                [self.recorder.event(EventType.KIOSK_SESSION, body)], {SESSION_PREFIX + session_id: visit_id or ""}
            )
        except BaseException as error:
            arrival.set_exception(error)
            arrival.exception()
            raise
        else:
            self._sessions[session_id] = visit_id or ""
            arrival.set_result(None)
        finally:
            del self._arriving[session_id]
        self.bus.publish(VisitChanged())

    def knows(self, session_id: str) -> bool:
        """Return whether the session has checked in, in this visit or in the one before."""
        return session_id in self._sessions or session_id in self._earlier

    def _show(self, record: VisitRecord) -> None:
        self.record = record
        self.bus.publish(VisitChanged())

    def sessions_of(self, visit_id: str) -> int:
        """Return the number of kiosk sessions of a visit, as long as their ids are kept."""
        return sum(1 for value in self._sessions.values() if value == visit_id)
