# SPDX-License-Identifier: GPL-3.0-or-later
"""Probing cycles as pure geometry: each yields the steps to do and is told where contact was.

All places are machine coordinates in mm, feeds mm/min. Contact is looked for fast, left, and measured slowly: the
controller latches the place of contact itself, and a slow approach leaves it little to be wrong about.
A corner or a wall is touched by the tool's flank, so that its radius lies between tool centre and wall.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

from edge.domain.hand import Axis, Displacement
from edge.domain.machine import Position, Travel
from edge.services.hand_settings import CornerSettings, ProbeSettings

MARGIN_MM = 0.5
"""What is left to the end of the travel: a controller alarms at the very end."""
LEAST_WAY_MM = 0.2


class NoRoom(Exception):
    """There is no room to look for contact in this direction."""


@dataclass(frozen=True, slots=True)
class Go:
    """Move the named axes together to machine coordinates."""

    to: Mapping[Axis, float]
    feed: float


@dataclass(frozen=True, slots=True)
class Touch:
    """Move until contact."""

    by: Displacement
    feed: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a cycle measured: every slow contact, and the machine coordinate of the work zero per axis."""

    contacts: tuple[Position, ...]
    zero: Mapping[Axis, float]
    text: str


Step = Go | Touch
Cycle = Generator[Step, Position, Found]


@dataclass(frozen=True, slots=True)
class Bench:
    """What every cycle needs: how to probe, how fast to go between, where the travel ends, where the machine stands."""

    probe: ProbeSettings
    feed: float
    travel: Travel | None
    start: Position


def _at(place: Position, axis: Axis) -> float:
    value: float = getattr(place, axis.value.lower())
    return value


def _along(axis: Axis, way: float) -> Displacement:
    return replace(Displacement(), **{axis.value.lower(): way})


def _room(bench: Bench, axis: Axis, place: float, sign: int, way: float) -> float:
    """Return how far contact may be looked for: `way`, or what is left of the travel. Raises NoRoom."""
    if bench.travel is not None:
        end = _at(bench.travel.high if sign > 0 else bench.travel.low, axis)
        way = min(way, sign * (end - place) - MARGIN_MM)
    if way < LEAST_WAY_MM:
        raise NoRoom
    return way


def measure(bench: Bench, axis: Axis, sign: int, place: float, way: float) -> Generator[Step, Position, Position]:
    """Find contact from `place` on along one axis, and measure it; ends one retract away from it."""
    probe = bench.probe
    found = yield Touch(_along(axis, sign * _room(bench, axis, place, sign, way)), probe.fast)
    away = _at(found, axis) - sign * probe.retract
    yield Go({axis: away}, bench.feed)
    contact = yield Touch(_along(axis, sign * _room(bench, axis, away, sign, 2 * probe.retract)), probe.slow)
    yield Go({axis: _at(contact, axis) - sign * probe.retract}, bench.feed)
    return contact


def plate(bench: Bench, thickness: float) -> Cycle:
    """Touch a plate of known thickness that lies on the stock: its underside is zero."""
    contact = yield from measure(bench, Axis.Z, -1, bench.start.z, bench.probe.down)
    zero = contact.z - thickness
    yield Go({Axis.Z: contact.z + bench.probe.clearance}, bench.feed)
    return Found((contact,), {Axis.Z: zero}, f"Z is zero {thickness:g} mm below the plate's top.")


def corner(bench: Bench, block: CornerSettings, tool_diameter: float) -> Cycle:
    """Touch a corner plate from above, then its walls at the left and in front: the stock's corner is zero."""
    radius, probe = tool_diameter / 2, bench.probe
    top = yield from measure(bench, Axis.Z, -1, bench.start.z, probe.down)
    high = top.z + probe.clearance
    yield Go({Axis.Z: high}, bench.feed)
    contacts, zero = [top], {Axis.Z: top.z - block.z}
    # Far enough out from anywhere above the plate, and from there as far back in at most.
    out = block.length + radius + probe.retract
    for axis, wall in ((Axis.X, block.x), (Axis.Y, block.y)):
        begin = _at(bench.start, axis)
        _room(bench, axis, begin, -1, out)
        beside = begin - out
        if bench.travel is not None:
            beside = max(beside, _at(bench.travel.low, axis) + MARGIN_MM)
        yield Go({axis: beside}, bench.feed)
        # Slowly: nothing watches this way, and a clamp may stand there.
        yield Go({Axis.Z: top.z - block.depth}, min(bench.feed, probe.fast))
        contact = yield from measure(bench, axis, 1, beside, out)
        yield Go({Axis.Z: high}, bench.feed)
        yield Go({axis: begin}, bench.feed)
        contacts.append(contact)
        zero[axis] = _at(contact, axis) + radius + wall
    return Found(tuple(contacts), zero, "Zero is the stock's front left corner, on its top.")


def bore(bench: Bench) -> Cycle:
    """Touch the wall of a bore left and right, then front and back, twice: its centre is zero in X and Y."""
    centre = {Axis.X: bench.start.x, Axis.Y: bench.start.y}
    contacts: list[Position] = []
    width = 0.0
    for _ in range(2):
        for axis in (Axis.X, Axis.Y):
            walls: list[float] = []
            for sign in (-1, 1):
                contact = yield from measure(bench, axis, sign, centre[axis], bench.probe.bore)
                yield Go({axis: centre[axis]}, bench.feed)
                contacts.append(contact)
                walls.append(_at(contact, axis))
            centre[axis], width = sum(walls) / 2, walls[1] - walls[0]
            yield Go({axis: centre[axis]}, bench.feed)
    return Found(tuple(contacts), centre, f"Zero is the bore's centre; the tool had {width:.2f} mm of room in it.")


def setter(bench: Bench, place: tuple[float, float], high: float, kept: float | None, offset: float) -> Cycle:
    """Measure the tool on the tool setter and let the work zero follow its length.

    high is the parking height; offset the machine coordinate of the work zero in Z; kept is how far the zero lies
    above the setter's contact, which is the same for every tool. Without it the zero is believed, and it is measured.
    """
    up = max(high, bench.start.z)
    yield Go({Axis.Z: up}, bench.feed)
    yield Go({Axis.X: place[0], Axis.Y: place[1]}, bench.feed)
    contact = yield from measure(bench, Axis.Z, -1, up, bench.probe.setter)
    yield Go({Axis.Z: up}, bench.feed)
    if kept is None:
        text = "The tool is measured. The work zero was not changed: it has to be set with this same tool."
        return Found((contact,), {}, text)
    longer = contact.z + kept - offset
    word = "longer" if longer > 0 else "shorter"
    text = f"This tool is {abs(longer):.2f} mm {word} than the one before: Z follows."
    return Found((contact,), {Axis.Z: contact.z + kept}, text)


def reads(found: Found, stands: Position) -> dict[Axis, float]:
    """Return what the axes read at `stands`, once the zero is where `found` says."""
    return {axis: round(_at(stands, axis) - zero, 3) for axis, zero in found.zero.items()}
