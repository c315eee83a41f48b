# SPDX-License-Identifier: GPL-3.0-or-later
"""What the check of a program was made for, and what of that is different now. Lengths mm, feeds mm/min.

An approval is a person's word for a result. The result holds for one machine with one zero, one set of settings and
one table of tools: where one of these has changed since, nobody has seen the result that would count.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from edge.domain.block import Block
from edge.domain.machine import MachineInfo, Motion, Position, Travel
from edge.domain.tool import Tool
from edge.safety.permissives import Refusal

PERMISSIVE = "check-outdated"
REMEDY = "Check the program again, look at the result and approve it."
UNKNOWN = "What the program was checked for is not known any more: the controller service was started again since then."
CHANGED = "changed-since"
CONFIRM = "Read what has changed. If the piece comes out right all the same, let the job go on once more."
OTHER_PROGRAM = "The program is another one than was approved."
FORGOTTEN = "The check that was looked at is not remembered any more."
REMEMBERED = 256
SAME_MM = 0.001
"""Controllers report micrometres."""

_AXES = ("x", "y", "z")
_TRAVEL = (
    ("max_feed", "The highest feed", "mm/min"),
    ("max_spindle", "The highest spindle speed", "rev/min"),
    ("min_spindle", "The lowest spindle speed", "rev/min"),
)
_PER_AXIS = (
    ("max_rate", "The fastest motion of {axis}", "mm/min"),
    ("acceleration", "The acceleration of {axis}", "mm/s²"),
    ("steps_per_mm", "The resolution of {axis}", "steps/mm"),
)
_PLANNER = (
    ("junction_deviation", "The junction deviation", "mm"),
    ("arc_tolerance", "The arc tolerance", "mm"),
    ("stop_delay_s", "The wait after each stop", "s"),
)


@dataclass(frozen=True, slots=True)
class Basis:
    """All that the result of a check depends on, beside the program: two that are equal give equal results.

    offset is the work offset, machine minus work position, None where the machine had not said it; tools is the table
    of the machine and of the piece, by number, None for a machine that does not mill; block is the piece's, None where
    it has to be guessed; banned are the words that the role of whoever wants it may not use; settings are the
    controller's own that the others do not tell, by their numbers.
    """

    controller: str
    travel: Travel | None
    motion: Motion | None
    offset: Position | None
    tools: tuple[Tool, ...] | None
    block: Block | None
    banned: frozenset[str]
    tool_change: bool
    settings: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(
        cls,
        info: MachineInfo,
        offset: Position | None,
        *,
        tools: tuple[Tool, ...] | None = (),
        block: Block | None = None,
        banned: frozenset[str],
        tool_change: bool,
    ) -> Basis:
        """Return the basis of a check for a machine as it stands."""
        return cls(info.controller, info.travel, info.motion, offset, tools, block, banned, tool_change, info.settings)


@dataclass(frozen=True, slots=True)
class Checked:
    """What was approved: the program by its SHA-256, and what its check was made for."""

    sha256: str
    basis: Basis


class Shown:
    """The checks whose results people have been shown: the newest REMEMBERED of them, by their digests."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Checked] = OrderedDict()

    def keep(self, checked: Checked) -> str:
        """Remember a check; return its digest, by which an approval names it."""
        parts = [checked.sha256]
        for field in fields(Basis):
            value = getattr(checked.basis, field.name)
            parts.append(repr(sorted(value) if isinstance(value, frozenset) else value))
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        self._known[digest] = checked
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return digest

    def differs(self, digest: str, now: Checked) -> tuple[Refusal, ...]:
        """Return why the check that `digest` names does not count for `now`; none where it would have its result."""
        seen = self._known.get(digest)
        if seen is None:
            return (Refusal(PERMISSIVE, FORGOTTEN, "check", None, REMEDY),)
        return outdated(seen, now.basis, now.sha256)


def changes(before: Basis, now: Basis) -> tuple[str, ...]:
    """Return what has changed, one sentence each; none where a check made now would give the same result."""
    return tuple(_changes(before, now))


def _changes(before: Basis, now: Basis) -> Iterator[str]:
    if before.controller != now.controller:
        yield f"The controller was {before.controller or 'not known'} and is {now.controller or 'not known'}."
    yield from _zero(before.offset, now.offset)
    yield from _travel(before.travel, now.travel)
    yield from _motion(before.motion, now.motion)
    yield from _settings(dict(before.settings), dict(now.settings))
    yield from _tools(before.tools or (), now.tools or ())
    if before.block != now.block:
        yield "The block of material is another one than at the check."
    if (before.banned, before.tool_change) != (now.banned, now.tool_change):
        yield "Other words are allowed in the program than at the check."


def _zero(before: Position | None, now: Position | None) -> Iterator[str]:
    if before is None or now is None:
        if before is not now:
            yield from _known("The zero of the work coordinates", now is not None)
        return
    for axis in _AXES:
        was, is_ = getattr(before, axis), getattr(now, axis)
        if abs(was - is_) > SAME_MM:
            yield f"The zero of {axis.upper()} was {was:.3f} and is {is_:.3f} mm."


def _travel(before: Travel | None, now: Travel | None) -> Iterator[str]:
    if before is None or now is None:
        if before is not now:
            yield from _known("The travel of the machine", now is not None)
        return
    for axis in _AXES:
        was = getattr(before.low, axis), getattr(before.high, axis)
        is_ = getattr(now.low, axis), getattr(now.high, axis)
        if was != is_:
            yield (
                f"The travel of {axis.upper()} was {was[0]:.3f} to {was[1]:.3f} and is {is_[0]:.3f} to {is_[1]:.3f} mm."
            )
    for name, what, unit in _TRAVEL:
        yield from _value(what, getattr(before, name), getattr(now, name), unit)


def _motion(before: Motion | None, now: Motion | None) -> Iterator[str]:
    if before is None or now is None:
        if before is not now:
            yield from _known("How the machine accelerates", now is not None)
        return
    for name, what, unit in _PER_AXIS:
        for axis in _AXES:
            was, is_ = getattr(getattr(before, name), axis), getattr(getattr(now, name), axis)
            yield from _value(what.format(axis=axis.upper()), was, is_, unit)
    for name, what, unit in _PLANNER:
        yield from _value(what, getattr(before, name), getattr(now, name), unit)
    if before.laser != now.laser:
        yield "The laser mode was off and is on." if now.laser else "The laser mode was on and is off."


def _settings(before: Mapping[int, str], now: Mapping[int, str]) -> Iterator[str]:
    if not before or not now:
        if before != now:
            yield from _known("What the controller is set to", bool(now))
        return
    for number in sorted(before.keys() | now.keys()):
        was, is_ = before.get(number, "not known"), now.get(number, "not known")
        if was != is_:
            yield f"The setting ${number} of the controller was {was} and is {is_}."


def _tools(before: tuple[Tool, ...], now: tuple[Tool, ...]) -> Iterator[str]:
    was, is_ = ({tool.number: tool for tool in table} for table in (before, now))
    for number in sorted(was.keys() | is_.keys()):
        old, new = was.get(number), is_.get(number)
        if old is None:
            yield f"Tool {number} was not in the table, and is now."
        elif new is None:
            yield f"Tool {number} was in the table, and is not any more."
        elif old != new:
            parts = [field.name.replace("_", " ") for field in fields(Tool) if _differ(old, new, field.name)]
            yield f"Tool {number} has changed: {', '.join(parts)}."


def _differ(old: Tool, new: Tool, name: str) -> bool:
    return bool(getattr(old, name) != getattr(new, name))


def _value(what: str, was: float, is_: float, unit: str) -> Iterator[str]:
    if was != is_:
        yield f"{what} was {was:g} and is {is_:g} {unit}."


def _known(what: str, known: bool) -> Iterator[str]:  # noqa: FBT001 - the sentence turns on it
    yield f"{what} was not known at the check, and is now." if known else f"{what} is not known any more."


def outdated(checked: Checked | None, now: Basis, sha256: str = "") -> tuple[Refusal, ...]:
    """Return why an approval does not hold for `now`: one refusal for each change, none where nothing has changed.

    sha256 is that of the program as it is now, where it has been read.
    """
    return tuple(Refusal(PERMISSIVE, why, "check", None, REMEDY) for why in differences(checked, now, sha256))


def differences(checked: Checked | None, now: Basis, sha256: str = "") -> tuple[str, ...]:
    """Return what `outdated` refuses, one sentence each."""
    if checked is None:
        return (UNKNOWN,)
    found = changes(checked.basis, now)
    return (*found, OTHER_PROGRAM) if sha256 and sha256 != checked.sha256 else found


def unconfirmed(found: Iterable[str], confirmed: Collection[str]) -> tuple[Refusal, ...]:
    """Return the reasons against going on with a job that has begun: of what was found all that nobody confirmed."""
    return tuple(Refusal(CHANGED, why, "check", None, CONFIRM) for why in found if why not in confirmed)
