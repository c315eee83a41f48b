# SPDX-License-Identifier: GPL-3.0-or-later
"""The link doctor: from what comes in over the wire to how well the wire carries it, and why it may not.

GRBL sends no checksums, so damage is recognised by its look: bytes that plain text has not, and broken forms of the
lines that a controller says. Interference turns `ok` into `o`, `k` or `gk`; from then on the acknowledgements cannot
be counted any more, and a program that is fed by counting waits for ever (gnea/grbl#1016, cncjs#746). Everything here
is pure: it is told what was written and read, and when.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from enum import Enum
from statistics import median

from edge.domain.machine import LinkGrade, LinkHealth
from edge.drivers.grbl.protocol import Noise, Reply, StatusReport

_LATENCIES = 50
"""Reports over which the median latency is taken, for each state of the spindle."""
_LOST_NS = 1_000_000_000
"""An answer to `?` this late belongs to another one: homing and alarms answer none."""
_ENOUGH_LINES = 20
"""Lines without damage after which a link is called good."""
_ENOUGH_BYTES = 8
"""Bytes after which garbage is told from a stray byte at the opening of a port."""
_MANY_TIMES = 5
"""So many times more damage in one state of the spindle than in the other is no chance."""
_BAD_PART = 0.02
"""Part of the newest lines from which a damaged link is called bad: a program of some minutes does not get through."""
_NEWEST = 200
_TOLERATED = 2
"""Broken reports and unknown lines within a minute that a running program survives."""
_TOLERATED_NS = 60_000_000_000

_GARBAGE = re.compile(rb"[^\x00\r\n\x20-\x7e]")
_GARBAGE_TEXT = re.compile(r"\\x[89a-f][0-9a-f]|[\x00-\x1f\x7f]")
_BROKEN = re.compile(
    r"^[<\[$>]|[>\]]$|\||Pos:|\dx?,-?\d|[oO].?k|er?ro?r?.?:|rror|AL?A?R?M|Grb|rbl |MSG|^.?[ok].?$|^.{1,3}$",
)


class Finding(Enum):
    """What a line is to the doctor."""

    SOUND = "a line that a controller says"
    UNKNOWN = "a line that no controller says, without a trace of damage"
    DAMAGED = "a broken line that was no acknowledgement"
    UNCOUNTABLE = "a broken line that may have been an acknowledgement"


def finding(line: str, reply: Reply) -> Finding:
    """Return what `line`, parsed as `reply`, is. In doubt a damaged line counts as a lost acknowledgement."""
    garbage = _GARBAGE_TEXT.search(line) is not None
    if not isinstance(reply, Noise):
        return Finding.DAMAGED if garbage else Finding.SOUND
    if not garbage and not _BROKEN.search(line):
        return Finding.UNKNOWN
    return Finding.DAMAGED if _is_report(line) else Finding.UNCOUNTABLE


def _is_report(text: str) -> bool:
    """Whether a broken line is as a whole one status report or one bracketed line, so that no `ok` hides in it.

    A line end that was damaged joins two lines, so an opening bracket behind other text, or text behind a closing one,
    may be an acknowledgement that was swallowed.
    """
    if len(text) < 10 or "ok" in text or "rror" in text:
        return False
    for opening, closing in ("<>", "[]"):
        begins, ends = text.find(opening), text.find(closing)
        whole = begins in (-1, 0) and ends in (-1, len(text) - 1)
        if whole and (begins == 0 or ends > 0):
            return True
    return False


class LinkDoctor:
    """Counts and times what crosses one wire since it was opened, and names the likely cause of damage."""

    def __init__(self) -> None:
        self.opened(0)

    def opened(self, baud: int) -> None:
        """Forget the link before: this one is at `baud`."""
        self._baud = baud
        self._bytes = self._garbage = 0
        self._known = 0
        self._asked_ns: int | None = None
        self._latencies: dict[bool, deque[float]] = {on: deque(maxlen=_LATENCIES) for on in (False, True)}
        self._lines = {False: 0, True: 0}
        self._damaged = {False: 0, True: 0}
        self._unknown = 0
        self._newest: deque[bool] = deque(maxlen=_NEWEST)
        self._oddities_ns: deque[int] = deque(maxlen=_TOLERATED + 1)
        self._health: LinkHealth | None = LinkHealth()

    def asked(self, now_ns: int) -> None:
        """Take note of a `?`. One whose answer is overdue was lost or swallowed."""
        if self._asked_ns is None or now_ns - self._asked_ns > _LOST_NS:
            self._asked_ns = now_ns

    def received(self, data: bytes) -> None:
        """Take note of bytes, also of those that never become a line."""
        self._bytes += len(data)
        if not data.isascii() or _GARBAGE.search(data):
            self._garbage += len(_GARBAGE.findall(data))
            self._health = None

    def heard(self, line: str, reply: Reply, now_ns: int, *, spindle: bool) -> Finding:
        """Take note of a line, read at `now_ns` (boot-time) with the spindle commanded on or off; return what it is."""
        found = finding(line, reply)
        self._lines[spindle] += 1
        self._newest.append(found in (Finding.DAMAGED, Finding.UNCOUNTABLE))
        match found:
            case Finding.SOUND:
                self._known += 1
            case Finding.UNKNOWN:
                self._unknown += 1
            case Finding.DAMAGED | Finding.UNCOUNTABLE:
                self._damaged[spindle] += 1
        if isinstance(reply, StatusReport) and self._asked_ns is not None:
            waited, self._asked_ns = now_ns - self._asked_ns, None
            if waited < _LOST_NS:
                self._latencies[spindle].append(waited / 1e6)
        self._health = None
        return found

    def too_much(self, found: Finding, now_ns: int) -> bool:
        """Whether a program that runs has to be held for what was just found.

        One acknowledgement that may be lost is too much. So are three other lines within a minute that should not be
        there: what is damaged on its way here is damaged on its way there, and a broken number is still a number.
        """
        if found is Finding.UNCOUNTABLE:
            return True
        if found is Finding.SOUND:
            return False
        self._oddities_ns.append(now_ns)
        return len(self._oddities_ns) > _TOLERATED and now_ns - self._oddities_ns[0] < _TOLERATED_NS

    def health(self) -> LinkHealth:
        """Return figures, grade and cause."""
        if self._health is None:
            damaged = sum(self._damaged.values())
            self._health = LinkHealth(
                lines=sum(self._lines.values()),
                damaged=damaged,
                unknown=self._unknown,
                latency_ms=_median(self._latencies[False]),
                latency_spindle_ms=_median(self._latencies[True]),
            )
            self._health = replace(self._health, grade=self._grade(), cause=self.cause)
        return self._health

    @property
    def unreadable(self) -> bool:
        """Whether most of what came in is no text, and no line of a controller was among it."""
        return not self._known and self._bytes >= _ENOUGH_BYTES and self._garbage * 4 > self._bytes

    @property
    def cause(self) -> str:
        """Return the likely reason of damage in a person's words, or "" where there is none."""
        if self.unreadable:
            return (
                f"What comes in is unreadable from the start: the port is set to {self._baud} baud and the controller"
                " probably to another rate."
            )
        off, on = self._damaged[False], self._damaged[True]
        if not off and not on:
            return ""
        if on and self._part(spindle=True) > _MANY_TIMES * self._part(spindle=False):
            return (
                "Replies are damaged while the spindle is on and not while it is off: interference. Lay the USB cable"
                " away from the spindle's cable, and use a short shielded one."
            )
        return "Replies are damaged whether the spindle is on or off: a bad cable, or a plug that is loose."

    def _grade(self) -> LinkGrade:
        """Return the grade. Damage is remembered as long as the connection lasts."""
        if self.unreadable:
            return LinkGrade.BAD
        if any(self._damaged.values()):
            bad = sum(self._newest) > max(1, _BAD_PART * len(self._newest))
            return LinkGrade.BAD if bad else LinkGrade.DAMAGED
        return LinkGrade.GOOD if self._known >= _ENOUGH_LINES else LinkGrade.UNKNOWN

    def _part(self, *, spindle: bool) -> float:
        """Return the damaged part of the lines in one state of the spindle."""
        return self._damaged[spindle] / self._lines[spindle] if self._lines[spindle] else 0.0


def _median(values: deque[float]) -> float | None:
    """Return the median to a tenth, or None without values."""
    return round(median(values), 1) if values else None
