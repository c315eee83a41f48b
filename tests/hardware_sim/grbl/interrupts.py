# SPDX-License-Identifier: GPL-3.0-or-later
"""What interrupts the main program: real-time bytes, control buttons, limit switches, probe and door."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .state import (
    ALARM_ABORT,
    ALARM_HARD_LIMIT,
    ALARM_HOMING_RESET,
    CYCLE_START,
    FEED_BYTES,
    FEED_HOLD,
    FLOOD_TOGGLE,
    MIST_TOGGLE,
    MOTION_CANCEL,
    RAPID_BYTES,
    REPORT,
    RESET,
    SAFETY_DOOR,
    SPINDLE_BYTES,
    SPINDLE_STOP,
    State,
)
from .stepper import Segment
from .world import World

if TYPE_CHECKING:
    from .firmware import Firmware

# The main program looks at overrides this late, so a burst of equal bytes counts once (overrides_feed_rapid), and
# while it is suspended ``~?`` are seen in one look (hold_in_idle, door_run_resume).
OVERRIDE_NOTICE_S = 0.0005
SUSPENDED_NOTICE_S = 0.0002


def watch_segment(firmware: "Firmware", segment: Segment) -> None:
    """Be there at the first step of the segment at which a switch or, in a probing move, the contact changes."""
    world, block = firmware.world, segment.block
    here, scales, signs = list(world.physical), firmware.settings.steps_per_mm, firmware.motor_signs
    before = [block.taken(axis, block.done) for axis in range(3)]

    def where(axis: int, count: int) -> float:
        steps = block.taken(axis, block.done + count) - before[axis]
        return here[axis] + steps * block.signs[axis] * signs[axis] / (scales[axis] or math.inf)

    for axis in range(3):
        if block.steps[axis]:
            _watch(firmware, segment, partial(_limit, world, axis, partial(where, axis)))
    if firmware.probe_active:
        _watch(firmware, segment, lambda count: world.probe_at([where(axis, count) for axis in range(3)]))


def _limit(world: World, axis: int, where: Callable[[int], float], count: int) -> bool:
    return world.limit_at(axis, where(count))


def _watch(firmware: "Firmware", segment: Segment, closed: Callable[[int], bool]) -> None:
    """Look at the inputs when the step event comes that changes `closed(number of step events)`."""
    now = closed(0)
    if closed(segment.count) == now:
        return
    low, high = 0, segment.count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if closed(middle) == now else (low, middle)
    reached = firmware.stepper.step_time(high) + segment.lag
    firmware.kernel.at(reached, lambda: _switch_reached(firmware, segment))


def _switch_reached(firmware: "Firmware", segment: Segment) -> None:
    if firmware.stepper.running and firmware.stepper.segments and firmware.stepper.segments[0] is segment:
        firmware.stepper.sync()
        inputs_changed(firmware)


def reset(firmware: "Firmware", *, masked: bool = True) -> None:
    """Soft reset: outputs off now, motion off now, the rest in the main program."""
    if firmware.requests & RESET:
        return
    firmware.request(RESET)
    firmware.tx.abandon()
    firmware.stop_spindle_output()
    firmware.world.flood = firmware.world.mist = False
    stepper = firmware.stepper
    if firmware.state in (State.RUN, State.HOME, State.JOG) or stepper.hold or stepper.use_system_block:
        if firmware.state is not State.HOME:
            firmware.alarm = ALARM_ABORT
        elif not firmware.alarm:
            firmware.alarm = ALARM_HOMING_RESET
        stepper.stop()
        delay = firmware.idle_delay()
        firmware.kernel.block_main(delay)
        if masked and delay:
            firmware.rx.interrupts_off(firmware.kernel.now + delay)


def realtime_byte(firmware: "Firmware", byte: int) -> None:
    if firmware.suspend and not firmware.pending:
        firmware.kernel.delay_main(SUSPENDED_NOTICE_S)
    if byte == 0x18:
        reset(firmware)
    elif byte == 0x3F:
        firmware.request(REPORT)
    elif byte == 0x7E:
        firmware.request(CYCLE_START)
    elif byte == 0x21:
        firmware.request(FEED_HOLD)
    elif byte == 0x84:
        firmware.request(SAFETY_DOOR)
    elif byte == 0x85:
        if firmware.state is State.JOG:
            firmware.request(MOTION_CANCEL)
    elif byte in FEED_BYTES or byte in RAPID_BYTES:
        _flag(firmware, firmware.motion_override_bytes, byte)
    elif byte in SPINDLE_BYTES or byte in (SPINDLE_STOP, FLOOD_TOGGLE):
        _flag(firmware, firmware.accessory_bytes, byte)
    elif byte == MIST_TOGGLE and firmware.build.mist:
        _flag(firmware, firmware.accessory_bytes, byte)


def _flag(firmware: "Firmware", flags: list[int], byte: int) -> None:
    if not flags:
        firmware.kernel.delay_main(OVERRIDE_NOTICE_S)
    if byte not in flags:
        flags.append(byte)
    firmware.kernel.wake()


def controls_changed(firmware: "Firmware") -> None:
    """A control input closed or opened: every one that is closed now acts, also one that was closed before.

    With a door pin the hold button is on that pin (system.c pin change interrupt, cpu_map.h).
    """
    buttons = firmware.world.buttons
    if "reset" in buttons:
        reset(firmware)
    if "start" in buttons:
        firmware.request(CYCLE_START)
    if firmware.door_ajar:
        firmware.request(SAFETY_DOOR)
    elif "hold" in buttons:
        firmware.request(FEED_HOLD)


def inputs_changed(firmware: "Firmware") -> None:
    """Limit, probe or door inputs may have changed.

    Any change of a limit pin is a hard limit, also one that opens (limits.c, pin change interrupt).
    """
    limits = firmware.world.limits
    changed = limits != firmware.limit_inputs
    firmware.limit_inputs = limits
    if changed and firmware.settings.hard_limits and firmware.limits_watched and firmware.state is not State.ALARM:
        if not firmware.alarm:
            reset(firmware)
            firmware.alarm = ALARM_HARD_LIMIT
    if firmware.probe_active and firmware.probe_state:
        firmware.probe_active = False
        firmware.stepper.sync()
        firmware.probe_position = list(firmware.stepper.position)
        firmware.request(MOTION_CANCEL)
    ajar = firmware.door_ajar
    if ajar != firmware.door_input:
        firmware.door_input = ajar
        controls_changed(firmware)
    firmware.kernel.wake()
