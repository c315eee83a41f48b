# SPDX-License-Identifier: GPL-3.0-or-later
"""Look-ahead of 15 blocks: junction deviation, per axis limits, entry speeds by a backward and a forward pass.

Units: mm, mm/s, mm/s^2; squared speeds in mm^2/s^2. Tested against ``job_times.csv`` and the Run reports of the
traces.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .numbers import quotient, single
from .settings import Settings

PLANNER_BLOCKS = 15
SLOWEST_RATE = 1.0 / 60
ENDLESS = 1.0e38
# mm/s^2. With a setting of 0 the firmware divides by it and stands still; this is as good as that.
SLOWEST_ACCELERATION = 1e-3
_STRAIGHT = 0.999999
_LOWEST = -(1 << 31)
"""Steps are 32-bit: lround() of avr-libc gives this for what does not fit, and differences wrap around."""


@dataclass(slots=True)
class MoveOptions:
    """What the interpreter attaches to a move. `feed` is mm/s, or 1/s when `inverse_time`."""

    feed: float = 0.0
    rapid: bool = False
    inverse_time: bool = False
    keep_feed: bool = False
    spindle: int = 0
    spindle_speed: float = 0.0
    coolant: int = 0
    line_number: int = 0


@dataclass(slots=True)
class Block:
    """One straight move. `steps` are unsigned, `signs` their directions; `events` is the longest axis."""

    steps: tuple[int, int, int]
    signs: tuple[int, int, int]
    events: int
    mm: float
    acceleration: float
    rapid_rate: float
    programmed_rate: float
    options: MoveOptions
    entry_sqr: float = 0.0
    max_entry_sqr: float = 0.0
    max_junction_sqr: float = 0.0

    def nominal_rate(self, feed_percent: int, rapid_percent: int) -> float:
        """Cruising speed under the present overrides."""
        rate = self.programmed_rate
        if self.options.rapid:
            rate *= rapid_percent / 100
        else:
            if not self.options.keep_feed:
                rate *= feed_percent / 100
            rate = min(rate, self.rapid_rate)
        return rate if rate > SLOWEST_RATE else SLOWEST_RATE

    def limit_entry(self, nominal: float, previous_nominal: float) -> None:
        """Bound the entry speed by both cruising speeds and the junction."""
        slower = min(nominal, previous_nominal)
        self.max_entry_sqr = min(slower * slower, self.max_junction_sqr)


def axis_bound(limits: Sequence[float], direction: Sequence[float]) -> float:
    """The greatest length along the unit vector `direction` that keeps each axis within `limits`."""
    bound = ENDLESS
    for limit, part in zip(limits, direction, strict=True):
        if part:
            bound = min(bound, abs(limit / part))
    return bound


class Planner:
    """The block ring. `blocks[0]` is the block in execution or the next to be."""

    def __init__(self, settings: Settings, refresh_executing: Callable[[], None]) -> None:
        self.settings = settings
        self._refresh_executing = refresh_executing
        self.feed_percent = 100
        self.rapid_percent = 100
        self.blocks: list[Block] = []
        self.system_block: Block | None = None
        self.position = [0, 0, 0]
        self._planned = 0
        self._previous_unit: tuple[float, float, float] = (0.0, 0.0, 0.0)
        self._previous_nominal = 0.0
        self.count = 0
        self.length_mm = 0.0

    def reset(self) -> None:
        """Forget every block; the position stays to be synchronised."""
        self.blocks.clear()
        self.system_block = None
        self._planned = 0
        self._previous_unit = (0.0, 0.0, 0.0)
        self._previous_nominal = 0.0

    @property
    def full(self) -> bool:
        return len(self.blocks) >= PLANNER_BLOCKS

    @property
    def available(self) -> int:
        """Free blocks, as ``Bf:`` shows them."""
        return PLANNER_BLOCKS - len(self.blocks)

    def add(self, target: Sequence[float], options: MoveOptions) -> bool:
        """Plan a move to machine position `target` (mm). False if it is shorter than a step."""
        block, unit, goal = self._make(target, options, self.position)
        if block is None:
            return False
        if not self.blocks:
            block.max_junction_sqr = 0.0
        else:
            block.max_junction_sqr = self._junction_sqr(unit)
        nominal = block.nominal_rate(self.feed_percent, self.rapid_percent)
        block.limit_entry(nominal, self._previous_nominal)
        self._previous_nominal = nominal
        self._previous_unit = unit
        self.position = goal
        self.blocks.append(block)
        self.count += 1
        self.length_mm += block.mm
        self._recalculate()
        return True

    def add_system(self, target: Sequence[float], options: MoveOptions, position: Sequence[int]) -> None:
        """Plan a homing move from `position` (steps); it stands outside the ring."""
        self.system_block = self._make(target, options, position)[0]

    def discard(self) -> None:
        """The first block is done."""
        if self.blocks:
            self.blocks.pop(0)
            self._planned = max(0, self._planned - 1)

    def exit_sqr(self) -> float:
        """Squared speed at which the executing block must end."""
        return self.blocks[1].entry_sqr if len(self.blocks) > 1 else 0.0

    def overrides_changed(self) -> None:
        """Bound all entries by the new cruising speeds and plan anew."""
        previous = ENDLESS**0.5
        for block in self.blocks:
            nominal = block.nominal_rate(self.feed_percent, self.rapid_percent)
            block.limit_entry(nominal, previous)
            previous = nominal
        self._previous_nominal = previous
        self.replan()

    def replan(self) -> None:
        """Plan all blocks anew from the speed that the machine has now."""
        self._refresh_executing()
        self._planned = 0
        self._recalculate()

    def _make(
        self, target: Sequence[float], options: MoveOptions, position: Sequence[int]
    ) -> tuple[Block | None, tuple[float, float, float], list[int]]:
        settings = self.settings
        goal: list[int] = []
        signs: list[int] = []
        steps: list[int] = []
        delta: list[float] = []
        for axis in range(3):
            scale = settings.steps_per_mm[axis]
            scaled = single(target[axis] * scale)
            end = math.floor(scaled + 0.5) if scaled >= 0 else -math.floor(0.5 - scaled)
            if not _LOWEST <= end <= -_LOWEST - 1:
                end = _LOWEST
            way = (end - position[axis] - _LOWEST) % (1 << 32) + _LOWEST
            goal.append(end)
            signs.append(-1 if way < 0 else 1)
            steps.append(abs(way))
            delta.append(quotient(way, scale))
        events = max(steps)
        if not events or not any(delta):
            return None, (0.0, 0.0, 0.0), goal
        mm = math.sqrt(delta[0] * delta[0] + delta[1] * delta[1] + delta[2] * delta[2])
        unit = (delta[0] / mm, delta[1] / mm, delta[2] / mm)
        rapid_rate = axis_bound(settings.max_rate, unit) / 60
        if options.rapid:
            programmed = rapid_rate
        else:
            programmed = options.feed * mm if options.inverse_time else options.feed
        block = Block(
            steps=(steps[0], steps[1], steps[2]),
            signs=(signs[0], signs[1], signs[2]),
            events=events,
            mm=mm,
            acceleration=max(axis_bound(settings.acceleration, unit), SLOWEST_ACCELERATION),
            rapid_rate=rapid_rate,
            programmed_rate=programmed,
            options=options,
        )
        return block, unit, goal

    def _junction_sqr(self, unit: tuple[float, float, float]) -> float:
        before = self._previous_unit
        cosine = -(before[0] * unit[0] + before[1] * unit[1] + before[2] * unit[2])
        if cosine > _STRAIGHT:
            return 0.0
        if cosine < -_STRAIGHT:
            return ENDLESS
        turn = (unit[0] - before[0], unit[1] - before[1], unit[2] - before[2])
        size = math.sqrt(turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2])
        acceleration = axis_bound(self.settings.acceleration, (turn[0] / size, turn[1] / size, turn[2] / size))
        half_sine = math.sqrt(0.5 * (1.0 - cosine))
        return acceleration * self.settings.junction_deviation * half_sine / (1.0 - half_sine)

    def _recalculate(self) -> None:
        blocks, planned = self.blocks, self._planned
        index = len(blocks) - 1
        if index <= planned:
            return
        current = blocks[index]
        current.entry_sqr = min(current.max_entry_sqr, 2 * current.acceleration * current.mm)
        index -= 1
        if index == planned:
            if index == 0:
                self._refresh_executing()
        else:
            while index != planned:
                following, current = current, blocks[index]
                index -= 1
                if index == 0:
                    self._refresh_executing()
                if current.entry_sqr != current.max_entry_sqr:
                    reachable = following.entry_sqr + 2 * current.acceleration * current.mm
                    current.entry_sqr = min(reachable, current.max_entry_sqr)
        following = blocks[planned]
        for index in range(planned + 1, len(blocks)):
            current, following = following, blocks[index]
            if current.entry_sqr < following.entry_sqr:
                reachable = current.entry_sqr + 2 * current.acceleration * current.mm
                if reachable < following.entry_sqr:
                    following.entry_sqr = reachable
                    planned = index
            if following.entry_sqr == following.max_entry_sqr:
                planned = index
        self._planned = planned
