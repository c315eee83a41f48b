# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed profile of the executing block, cut into 10 ms segments of whole steps, and their execution in time.

Five segments are prepared ahead, so a hold or an override acts about 50 ms late, and ``FS:`` is the speed at the end
of the last prepared segment (traces hold_resume, motion_lines).
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .kernel import Kernel, Timer
from .planner import Block, Planner

SEGMENT_S = 0.01
SEGMENTS_AHEAD = 5
_STEP_MARGIN = 1.25
_CPU_HZ = 16_000_000
# Below these step rates (cycles per step) the step interrupt runs 2, 4 or 8 times as fast.
_SMOOTHING_CYCLES = (2000, 4000, 8000)
# The step timer counts from 0 in 16 bits: no step takes longer than 8 * 65536 cycles (32.8 ms), so slower feeds
# run too fast.
_TIMER_MAX = 0xFFFF


class Ramp(Enum):
    """Parts of a speed profile; SLOW_DOWN is the way to a lowered override."""

    UP = 1
    CRUISE = 2
    DOWN = 3
    SLOW_DOWN = 4


@dataclass(slots=True)
class StepBlock:
    """Steps of one block for the interpolation: where it began and how far it is."""

    steps: tuple[int, int, int]
    signs: tuple[int, int, int]
    events: int
    done: int = 0

    def taken(self, axis: int, events: int) -> int:
        """Steps of `axis` after `events` step events (line interpolation in whole steps)."""
        total = self.events
        return -(-(total + 2 * events * self.steps[axis]) // (2 * total)) - 1


@dataclass(slots=True)
class Segment:
    """`count` step events at an even `period` (s); `lag` is the delay from counting a step to its pulse."""

    block: StepBlock
    count: int
    period: float
    lag: float


class Stepper:
    """Prepares segments (main program) and executes them (step interrupt)."""

    def __init__(self, kernel: Kernel, on_steps: Callable[[int, int], None]) -> None:
        self._kernel = kernel
        self._on_steps = on_steps
        self.planner: Planner
        self.on_segment: Callable[[], None] = lambda: None
        self.on_empty: Callable[[], None] = lambda: None
        self.on_segment_start: Callable[[Segment], None] = lambda _segment: None
        self.on_block: Callable[[Block], None] = lambda _block: None
        self.on_speed: Callable[[float], None] | None = None
        self.use_system_block = False
        self.position = [0, 0, 0]
        self.running = False
        self.starved_s = 0.0
        """Time for which everything stood because no motion was there, added up as the next one starts."""
        self._empty_at: float | None = None
        self._timer: Timer | None = None
        self.reset()

    def reset(self) -> None:
        """Forget block, profile and segments."""
        self._halt()
        self.segments: deque[Segment] = deque()
        self._started = 0.0
        self._taken = 0
        self._block: Block | None = None
        self._shape: StepBlock | None = None
        self._keep_block = False
        self._slowing = False
        self.hold = False
        self.ended = False
        self.speed = 0.0
        self._exit_speed = 0.0
        self._top_speed = 0.0
        self._ramp = Ramp.UP
        self._mm_end = self._up_until = self._down_after = 0.0
        self._steps_left = self._steps_per_mm = self._margin_mm = self._time_left = 0.0

    def normal(self) -> None:
        """Leave hold and end-of-motion."""
        self.hold = self.ended = self.use_system_block = False

    def refresh_block(self) -> None:
        """The plan changes under the executing block: take its profile anew from the present speed."""
        if self._block is not None:
            self._keep_block = True
            self._block.entry_sqr = self.speed * self.speed
            self._block = None

    def reload_spindle(self) -> None:
        """The spindle override changed: the next segment has the new speed."""
        if self._block is not None:
            self.on_block(self._block)

    # --- execution -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Switch the step interrupt on."""
        if not self.running:
            self.running = True
            if self._empty_at is not None:
                self.starved_s += self._kernel.now - self._empty_at
                self._empty_at = None
            self._next()

    def stop(self) -> None:
        """Switch it off at once; a step that was counted a moment ago may not have left as a pulse."""
        if self.running and self.segments:
            self.sync()
            self._drop_unsent_step()
        self._halt()

    def _halt(self) -> None:
        self.running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        if not self.segments:
            self._empty_at = self._kernel.now
            self.on_empty()
            return
        segment = self.segments[0]
        self._started, self._taken = self._kernel.now, 0
        self._timer = self._kernel.at(self._started + segment.count * segment.period, self._finish)
        self.on_segment_start(segment)

    def _finish(self) -> None:
        segment = self.segments[0]
        self._advance(segment, segment.count)
        self.segments.popleft()
        self._timer = None
        self.on_segment()
        self._next()

    def sync(self) -> None:
        """Bring `position` to the present moment."""
        if not self.running or not self.segments:
            return
        segment = self.segments[0]
        passed = int((self._kernel.now - self._started) / segment.period + 1e-6) + 1
        self._advance(segment, min(passed, segment.count))

    def step_time(self, count: int) -> float:
        """When step event `count` (from 1) of the current segment is counted."""
        return self._started + (count - 1) * self.segments[0].period

    def _advance(self, segment: Segment, count: int) -> None:
        new = count - self._taken
        if new <= 0:
            return
        self._taken = count
        block = segment.block
        before, after = block.done, block.done + new
        block.done = after
        for axis in range(3):
            if block.steps[axis]:
                moved = block.taken(axis, after) - block.taken(axis, before)
                if moved:
                    moved *= block.signs[axis]
                    self.position[axis] += moved
                    self._on_steps(axis, moved)

    def _drop_unsent_step(self) -> None:
        segment = self.segments[0]
        if not self._taken or self._kernel.now - self.step_time(self._taken) >= segment.lag - 1e-9:
            return
        block = segment.block
        for axis in range(3):
            if block.steps[axis] and block.taken(axis, block.done) != block.taken(axis, block.done - 1):
                self._on_steps(axis, -block.signs[axis])

    # --- preparation ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Fill the segment ring."""
        if self.ended:
            return
        while len(self.segments) < SEGMENTS_AHEAD:
            if self._block is None and not self._load():
                return
            if not self._cut_segment():
                return

    def _load(self) -> bool:
        planner = self.planner
        if self.use_system_block:
            block = planner.system_block
        else:
            block = planner.blocks[0] if planner.blocks else None
        if block is None:
            return False
        self._block = block
        if self._keep_block:
            self._keep_block = False
        else:
            self._shape = StepBlock(block.steps, block.signs, block.events)
            self._steps_left = float(block.events)
            self._steps_per_mm = self._steps_left / block.mm
            self._margin_mm = _STEP_MARGIN / self._steps_per_mm
            self._time_left = 0.0
            if self.hold or self._slowing:
                self.speed = self._exit_speed
                block.entry_sqr = self._exit_speed * self._exit_speed
                self._slowing = False
            else:
                self.speed = math.sqrt(block.entry_sqr)
        self._shape_profile(block)
        self.on_block(block)
        return True

    def _shape_profile(self, block: Block) -> None:
        mm, acceleration, entry = block.mm, block.acceleration, block.entry_sqr
        per_speed = 0.5 / acceleration
        self._mm_end = 0.0
        if self.hold:
            self._ramp = Ramp.DOWN
            rest = mm - per_speed * entry
            if rest < 0:
                self._exit_speed = math.sqrt(max(0.0, entry - 2 * acceleration * mm))
            else:
                self._mm_end, self._exit_speed = rest, 0.0
            return
        self._ramp = Ramp.UP
        self._up_until = mm
        self._down_after = 0.0
        leave = 0.0 if self.use_system_block else self.planner.exit_sqr()
        self._exit_speed = math.sqrt(leave)
        nominal = block.nominal_rate(self.planner.feed_percent, self.planner.rapid_percent)
        nominal_sqr = nominal * nominal
        meeting = 0.5 * (mm + per_speed * (entry - leave))
        if entry > nominal_sqr:
            self._up_until = mm - per_speed * (entry - nominal_sqr)
            if self._up_until <= 0:
                self._ramp = Ramp.DOWN
                self._exit_speed = math.sqrt(max(0.0, entry - 2 * acceleration * mm))
                self._slowing = True
            else:
                self._down_after = per_speed * (nominal_sqr - leave)
                self._top_speed = nominal
                self._ramp = Ramp.SLOW_DOWN
        elif meeting <= 0:
            self._up_until = 0.0
            self._top_speed = self._exit_speed
        elif meeting >= mm:
            self._ramp = Ramp.DOWN
        else:
            self._down_after = per_speed * (nominal_sqr - leave)
            if self._down_after < meeting:
                self._top_speed = nominal
                if entry == nominal_sqr:
                    self._ramp = Ramp.CRUISE
                else:
                    self._up_until -= per_speed * (nominal_sqr - entry)
            else:
                self._up_until = self._down_after = meeting
                self._top_speed = math.sqrt(2 * acceleration * meeting + leave)

    def _cut_segment(self) -> bool:
        block, shape = self._block, self._shape
        if block is None or shape is None:
            return False
        mm, duration = self._travel(block)
        if self.on_speed is not None:
            self.on_speed(self.speed)
        left = self._steps_per_mm * mm
        whole_left = math.ceil(left)
        whole_before = math.ceil(self._steps_left)
        count = whole_before - whole_left
        if count <= 0 and self.hold:
            self.ended = True
            return False
        duration += self._time_left
        period = duration / (whole_before - left)
        cycles = math.ceil(_CPU_HZ * period)
        if count:
            level = sum(cycles >= bound for bound in _SMOOTHING_CYCLES)
            ticks = (min(cycles >> level, _TIMER_MAX) + 1) << level
            self.segments.append(Segment(shape, count, ticks / _CPU_HZ, ticks / _CPU_HZ / (1 << level)))
        block.mm = mm
        self._steps_left = left
        self._time_left = (whole_left - left) * period
        if mm == self._mm_end:
            if mm > 0 or self.use_system_block:
                self.ended = True
                return False
            self._block = None
            self.planner.discard()
        return True

    def _travel(self, block: Block) -> tuple[float, float]:
        """Follow the profile for one segment: remaining mm and the time taken."""
        acceleration = block.acceleration
        mm = block.mm
        enough = max(0.0, mm - self._margin_mm)
        limit, spent, slice_s = SEGMENT_S, 0.0, SEGMENT_S
        while True:
            ramp = self._ramp
            gain = acceleration * slice_s
            if ramp is Ramp.UP:
                mm -= slice_s * (self.speed + 0.5 * gain)
                if mm < self._up_until:
                    mm = self._up_until
                    slice_s = 2 * (block.mm - mm) / (self.speed + self._top_speed)
                    self._ramp = Ramp.DOWN if mm == self._down_after else Ramp.CRUISE
                    self.speed = self._top_speed
                else:
                    self.speed += gain
            elif ramp is Ramp.CRUISE:
                reached = mm - self._top_speed * slice_s
                if reached < self._down_after:
                    slice_s = (mm - self._down_after) / self._top_speed
                    mm = self._down_after
                    self._ramp = Ramp.DOWN
                else:
                    mm = reached
            elif ramp is Ramp.SLOW_DOWN:
                if self.speed - self._top_speed <= gain:
                    mm = self._up_until
                    slice_s = 2 * (block.mm - mm) / (self.speed + self._top_speed)
                    self._ramp = Ramp.CRUISE
                    self.speed = self._top_speed
                else:
                    mm -= slice_s * (self.speed - 0.5 * gain)
                    self.speed -= gain
            else:
                reached = mm - slice_s * (self.speed - 0.5 * gain) if self.speed > gain else self._mm_end
                if reached > self._mm_end:
                    mm = reached
                    self.speed -= gain
                else:
                    speeds = self.speed + self._exit_speed
                    # Held before it moved: C divides 0 by 0, and ends the motion for want of a step (st_prep_buffer).
                    slice_s = 2 * (mm - self._mm_end) / speeds if speeds else 0.0
                    mm = self._mm_end
                    self.speed = self._exit_speed
            spent += slice_s
            if spent < limit:
                slice_s = limit - spent
            elif mm > enough:
                limit += SEGMENT_S
                slice_s = limit - spent
            else:
                break
            if mm <= self._mm_end:
                break
        return mm, spent
