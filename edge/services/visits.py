# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts people: nothing is confirmed to anyone before it is on disk, and a repeated tap counts once."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from enum import StrEnum

from edge.domain.errors import NoOpenVisit, NotFound, VisitAlreadyOpen
from edge.domain.events import Event, EventType
from edge.domain.ports import Clock, EventStore
from edge.domain.visit import Headcount, Language, Role, Visit, VisitTotals
from edge.services.bus import EventBus, VisitChanged
from edge.services.finish import to_its_end
from edge.services.recorder import Recorder
from edge.services.visit_record import Entry, VisitRecord

VISIT_KEY = "visit"
SESSION_PREFIX = "session:"
EARLIER_PREFIX = "earlier-session:"
CLOSED_PREFIX = "closed-visit:"
RECENT = 20
"""Closed visits that the lab remembers, so that their counts can still be corrected here."""


class SchoolType(StrEnum):
    """What kind of school a visit is to."""

    PRIMARY = "primary"
    PROGYMNASIUM = "progymnasium"
    BASIC = "basic"
    GYMNASIUM = "gymnasium"
    VOCATIONAL = "vocational"
    SPECIAL = "special"
    UNIVERSITY = "university"
    OTHER = "other"


@dataclass
class VisitCounter:
    """The open visit, the closed ones of late, and the kiosk sessions.

    One change at a time, each committed before it is seen, and each made to its end once it is begun: a caller that is
    cancelled takes nothing back, and may repeat what it said.
    """

    store: EventStore
    recorder: Recorder
    bus: EventBus
    clock: Clock
    default_language: Language = Language.LT
    record: VisitRecord | None = None
    _closed: dict[str, VisitRecord] = field(default_factory=dict)
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
        closed = [VisitRecord.parse(text) for text in (await self.store.load(CLOSED_PREFIX)).values()]
        self._closed = {record.visit.visit_id: record for record in sorted(closed, key=lambda record: record.place)}
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

    def recent(self) -> list[VisitRecord]:
        """Return the closed visits that are remembered, newest first."""
        return list(reversed(self._closed.values()))

    @to_its_end
    async def open(
        self,
        *,
        school: str,
        municipality: str,
        date: str,
        group: str,
        expected: int,
        language: Language,
        school_type: SchoolType | None = None,
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
                    "school_type": school_type.value if school_type else None,
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

    @to_its_end
    async def count(
        self, visit_id: str, *, entry_id: str, group: str, role: Role, count: int, reason: str = ""
    ) -> VisitRecord:
        """Add a headcount; an entry id seen before counts once, also when the visit was closed meanwhile.

        Raises Refused, NoOpenVisit, NotFound, StoreUnavailable.
        """
        async with self._lock:
            if (closed := self._closed.get(visit_id)) and closed.knows(entry_id):
                return closed
            record = self._require(visit_id)
            if record.knows(entry_id):
                return record
            record.check(role, count, reason)
            return await self._enter(record, Entry(entry_id, Headcount(visit_id, group, role, count), reason))

    @to_its_end
    async def correct(
        self, visit_id: str, *, entry_id: str, group: str, role: Role, count: int, reason: str
    ) -> VisitRecord:
        """Add a correction, the difference to what was counted, to the open visit or to a closed one of late.

        The entries before it stay as they are; an entry id seen before counts once. Raises Refused, NotFound for a
        visit that the lab does not remember, StoreUnavailable.
        """
        async with self._lock:
            record = self._closed.get(visit_id)
            if record is None and self.record is not None and self.record.visit.visit_id == visit_id:
                record = self.record
            if record is None:
                raise NotFound(what="visit that this lab remembers", key=visit_id)
            if record.knows(entry_id):
                return record
            record.check_correction(group, role, count, reason)
            return await self._enter(record, Entry(entry_id, Headcount(visit_id, group, role, count), reason.strip()))

    async def _enter(self, record: VisitRecord, entry: Entry) -> VisitRecord:
        changed = replace(record, entries=(*record.entries, entry))
        visit_id = record.visit.visit_id
        if record.visit.is_open:
            await self.recorder.commit([self._counted(entry)], {VISIT_KEY: changed.dump()})
            self._show(changed)
        else:
            await self.recorder.commit([self._counted(entry)], {CLOSED_PREFIX + visit_id: changed.dump()})
            self._closed[visit_id] = changed
        return changed

    def _counted(self, entry: Entry) -> Event:
        counted = entry.headcount
        body = {
            "visit": counted.visit_id,
            "group": counted.group,
            "role": counted.role.value,
            "count": counted.count,
            "reason": entry.reason,
            "entry": entry.entry_id,
            "by": "operator",
        }
        return self.recorder.event(EventType.HEADCOUNT, body)

    @to_its_end
    async def ring(self, visit_id: str, in_minutes: float | None) -> VisitRecord:
        """Set the bell, in minutes from now, or take it away with None."""
        async with self._lock:
            record = self._require(visit_id)
            bell = None if in_minutes is None else self.clock.boot_ns() + round(in_minutes * 60e9)
            changed = replace(record, bell_boot_ns=bell, boot_id=self.clock.boot_id())
            await self.recorder.commit([], {VISIT_KEY: changed.dump()})
            self._show(changed)
            return changed

    @to_its_end
    async def close(self, visit_id: str) -> VisitRecord:
        """Close the visit; returns its last record, which is remembered among the RECENT newest ones.

        Session ids are kept through the next visit, for late repeats.
        """
        async with self._lock:
            record = self._require(visit_id)
            place = max((other.place for other in self._closed.values()), default=0) + 1
            closed = replace(
                record,
                visit=replace(record.visit, is_open=False),
                place=place,
                sessions=self.sessions_of(visit_id),
                bell_boot_ns=None,
            )
            forgotten = list(self._closed)[: max(0, len(self._closed) + 1 - RECENT)]
            await self.recorder.commit(
                [self.recorder.event(EventType.VISIT_CLOSED, {"visit": visit_id})],
                {
                    VISIT_KEY: None,
                    CLOSED_PREFIX + visit_id: closed.dump(),
                    **{CLOSED_PREFIX + old: None for old in forgotten},
                },
            )
            for old in forgotten:
                del self._closed[old]
            self._closed[visit_id] = closed
            self.record = None
            self.bus.publish(VisitChanged())
            return closed

    @to_its_end
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
        """Return the number of kiosk sessions of a visit, as long as their ids or the closed visit are remembered."""
        known = sum(1 for value in self._sessions.values() if value == visit_id)
        return max(known, self._closed[visit_id].sessions) if visit_id in self._closed else known
