# SPDX-License-Identifier: GPL-3.0-or-later
"""What the main program does between lines: alarms, reports, holds, door, overrides, and the suspended state."""

import math
from typing import TYPE_CHECKING

from . import report
from .kernel import Task
from .numbers import single
from .state import (
    ALARM_HARD_LIMIT,
    ALARM_SOFT_LIMIT,
    CANCEL_JOG,
    CANCEL_MOTION,
    CYCLE_START,
    CYCLE_STOP,
    DOOR_AJAR,
    FEED_BYTES,
    FEED_HOLD,
    FLOOD_TOGGLE,
    HOLD_COMPLETE,
    INITIATE_RESTORE,
    MIST_TOGGLE,
    MOTION_CANCEL,
    RAPID_BYTES,
    REPORT,
    RESET,
    RESTART_RETRACT,
    RESTORE_COMPLETE,
    RETRACT_COMPLETE,
    SAFETY_DOOR,
    SLEEP,
    SPINDLE_BYTES,
    SPINDLE_STOP,
    STOP_ENABLED,
    STOP_INITIATE,
    STOP_RESTORE,
    STOP_RESTORE_CYCLE,
    STOPPERS,
    State,
    step_override,
)

if TYPE_CHECKING:
    from .firmware import Firmware

_ALARM_PAUSE_S = 0.5
_DELAY_STEP_S = 0.05
_DOOR_SPINDLE_S = 4.0
_DOOR_COOLANT_S = 1.0
_MOVING = (State.RUN, State.HOLD, State.DOOR, State.HOME, State.SLEEP, State.JOG)


def execute(firmware: "Firmware") -> Task[None]:
    """Answer all requests; if they suspend the program, stay until it may go on."""
    yield from system(firmware)
    if firmware.suspend:
        yield from _suspended(firmware)


def system(firmware: "Firmware") -> Task[None]:
    """Answer all requests that are set now."""
    if firmware.alarm:
        yield from _alarm(firmware)
    if firmware.requests:
        if firmware.requests & RESET:
            firmware.aborted = True
            return
        if firmware.requests & REPORT:
            firmware.requests &= ~REPORT
            yield from firmware.send(report.status_report(firmware))
        flags = firmware.requests
        if flags & STOPPERS:
            yield from _stoppers(firmware, flags)
        if flags & CYCLE_START:
            _cycle_start(firmware, flags)
        if flags & CYCLE_STOP:
            yield from _cycle_stop(firmware)
    if firmware.motion_override_bytes:
        _motion_overrides(firmware)
    if firmware.accessory_bytes:
        _accessory_overrides(firmware)
    if firmware.state in _MOVING:
        firmware.stepper.prepare()


def delay(firmware: "Firmware", seconds: float, *, suspended: bool) -> Task[None]:
    """Wait in steps of 50 ms; requests are answered between the steps only."""
    # The steps are counted in 16 bits: a dwell of an hour is shorter than one of 50 minutes (nuts_bolts.c delay_sec).
    # The product is of single precision too: 0.1 s are two steps, although the nearest such number is over 0.1.
    steps = math.ceil(single(seconds / _DELAY_STEP_S)) & 0xFFFF
    for _ in range(steps):
        if firmware.aborted:
            return
        if suspended:
            yield from system(firmware)
            if firmware.suspend & RESTART_RETRACT:
                return
        else:
            yield from execute(firmware)
        yield firmware.kernel.now + _DELAY_STEP_S


def _alarm(firmware: "Firmware") -> Task[None]:
    number = firmware.alarm
    firmware.state = State.ALARM
    yield from firmware.send(f"ALARM:{number}\r\n")
    yield firmware.kernel.now + _ALARM_PAUSE_S
    if number in (ALARM_HARD_LIMIT, ALARM_SOFT_LIMIT):
        yield from firmware.send(report.message("Reset to continue"))
        firmware.requests &= ~RESET
        while not firmware.requests & RESET:
            yield None
    firmware.alarm = 0


def _stoppers(firmware: "Firmware", flags: int) -> Task[None]:
    if firmware.state not in (State.ALARM, State.CHECK):
        if firmware.state in (State.RUN, State.JOG) and not firmware.suspend & (CANCEL_MOTION | CANCEL_JOG):
            firmware.stepper.refresh_block()
            firmware.stepper.normal()
            firmware.stepper.hold = True
            if firmware.state is State.JOG and not flags & SLEEP:
                firmware.suspend |= CANCEL_JOG
        if firmware.state is State.IDLE:
            firmware.suspend = HOLD_COMPLETE
        if flags & MOTION_CANCEL and firmware.state is not State.JOG:
            firmware.suspend |= CANCEL_MOTION
        if flags & FEED_HOLD and firmware.state not in (State.DOOR, State.JOG, State.SLEEP):
            firmware.state = State.HOLD
        if flags & SAFETY_DOOR:
            yield from firmware.send(report.message("Check Door"))
            if not firmware.suspend & CANCEL_JOG:
                if firmware.state is State.DOOR and firmware.suspend & INITIATE_RESTORE:
                    firmware.suspend &= ~(RETRACT_COMPLETE | INITIATE_RESTORE | RESTORE_COMPLETE)
                    firmware.suspend |= RESTART_RETRACT
                if firmware.state is not State.SLEEP:
                    firmware.state = State.DOOR
            firmware.suspend |= DOOR_AJAR
    if flags & SLEEP:
        if firmware.state is State.ALARM:
            firmware.suspend |= RETRACT_COMPLETE | HOLD_COMPLETE
        firmware.state = State.SLEEP
    firmware.requests &= ~(flags & STOPPERS)


def _cycle_start(firmware: "Firmware", flags: int) -> None:
    firmware.requests &= ~CYCLE_START
    if flags & (FEED_HOLD | MOTION_CANCEL | SAFETY_DOOR):
        return
    if firmware.state is State.DOOR and not firmware.suspend & DOOR_AJAR:
        if firmware.suspend & RESTORE_COMPLETE:
            firmware.state = State.IDLE
        elif firmware.suspend & RETRACT_COMPLETE:
            firmware.suspend |= INITIATE_RESTORE
    held = firmware.state is State.HOLD and firmware.suspend & HOLD_COMPLETE
    if firmware.state is not State.IDLE and not held:
        return
    if held and firmware.spindle_stop:
        firmware.spindle_stop |= STOP_RESTORE_CYCLE
        return
    firmware.stepper.normal()
    moves = bool(firmware.planner.blocks) and not firmware.suspend & CANCEL_MOTION
    firmware.suspend = 0
    if moves:
        firmware.state = State.RUN
        firmware.start_motion()
    else:
        firmware.state = State.IDLE


def _cycle_stop(firmware: "Firmware") -> Task[None]:
    firmware.requests &= ~CYCLE_STOP
    stepper = firmware.stepper
    halted = firmware.state in (State.HOLD, State.DOOR, State.SLEEP)
    if halted and not firmware.soft_limit and not firmware.suspend & CANCEL_JOG:
        firmware.planner.replan()
        if stepper.hold:
            firmware.suspend |= HOLD_COMPLETE
        stepper.hold = stepper.use_system_block = False
        return
    if firmware.suspend & CANCEL_JOG:
        stepper.normal()
        firmware.planner.reset()
        yield from firmware.reset_stepper()
        firmware.sync_gcode_position()
        firmware.sync_plan_position()
    if firmware.suspend & DOOR_AJAR:
        firmware.suspend &= ~CANCEL_JOG
        firmware.suspend |= HOLD_COMPLETE
        firmware.state = State.DOOR
    else:
        firmware.suspend = 0
        firmware.state = State.IDLE


def _motion_overrides(firmware: "Firmware") -> None:
    planner = firmware.planner
    feed, rapid = planner.feed_percent, planner.rapid_percent
    flags, firmware.motion_override_bytes = sorted(firmware.motion_override_bytes), []
    for byte in flags:
        if byte in RAPID_BYTES:
            rapid = RAPID_BYTES[byte]
    feed = step_override(feed, [FEED_BYTES[byte] for byte in flags if byte in FEED_BYTES])
    if (feed, rapid) != (planner.feed_percent, planner.rapid_percent):
        planner.feed_percent, planner.rapid_percent = feed, rapid
        firmware.override_counter = 0
        planner.overrides_changed()


def _accessory_overrides(firmware: "Firmware") -> None:
    flags, firmware.accessory_bytes = sorted(firmware.accessory_bytes), []
    percent = step_override(firmware.spindle_percent, [SPINDLE_BYTES[byte] for byte in flags if byte in SPINDLE_BYTES])
    if percent != firmware.spindle_percent:
        firmware.spindle_percent = percent
        firmware.override_counter = 0
        if firmware.state is State.IDLE:
            firmware.set_spindle(firmware.gcode.modal.spindle, firmware.gcode.spindle_speed)
        else:
            firmware.update_spindle = True
            if firmware.stepper.running:
                firmware.stepper.reload_spindle()
    if SPINDLE_STOP in flags and firmware.state is State.HOLD:
        if not firmware.spindle_stop:
            firmware.spindle_stop = STOP_INITIATE
        elif firmware.spindle_stop & STOP_ENABLED:
            firmware.spindle_stop |= STOP_RESTORE
    modal = firmware.gcode.modal
    toggled = FLOOD_TOGGLE in flags or MIST_TOGGLE in flags
    if toggled and firmware.state in (State.IDLE, State.RUN, State.HOLD, State.JOG):
        modal.flood ^= FLOOD_TOGGLE in flags
        modal.mist ^= MIST_TOGGLE in flags
        firmware.set_coolant(flood=modal.flood, mist=modal.mist)


def _condition(firmware: "Firmware") -> tuple[int, float, bool, bool]:
    """Spindle of the interrupted block and the coolant that runs, or the modal ones."""
    if firmware.planner.blocks:
        options = firmware.planner.blocks[0].options
        return options.spindle, options.spindle_speed, firmware.world.flood, firmware.world.mist
    state = firmware.gcode
    return state.modal.spindle, state.spindle_speed, state.modal.flood, state.modal.mist


def _suspended(firmware: "Firmware") -> Task[None]:
    spindle, speed, flood, mist = _condition(firmware)
    if firmware.settings.laser_mode and SPINDLE_STOP not in firmware.accessory_bytes:
        # A laser does not burn on in a hold.
        firmware.accessory_bytes.append(SPINDLE_STOP)
    while firmware.suspend:
        if firmware.aborted:
            return
        if firmware.suspend & HOLD_COMPLETE:
            if firmware.state in (State.DOOR, State.SLEEP):
                if not firmware.suspend & RETRACT_COMPLETE:
                    firmware.spindle_stop = 0
                    firmware.set_spindle(0, 0.0)
                    firmware.set_coolant(flood=False, mist=False)
                    firmware.suspend &= ~RESTART_RETRACT
                    firmware.suspend |= RETRACT_COMPLETE
                elif firmware.state is State.SLEEP:
                    yield from _sleep(firmware)
                    return
                else:
                    if not firmware.door_ajar:
                        firmware.suspend &= ~DOOR_AJAR
                    if firmware.suspend & INITIATE_RESTORE:
                        yield from _restore(firmware, spindle, speed, flood=flood, mist=mist)
            elif firmware.spindle_stop:
                yield from _spindle_stop(firmware, spindle, speed)
            elif firmware.update_spindle:
                firmware.set_spindle(spindle, speed)
                firmware.update_spindle = False
        before = (firmware.suspend, firmware.state, firmware.spindle_stop)
        yield from system(firmware)
        after = (firmware.suspend, firmware.state, firmware.spindle_stop)
        if firmware.suspend and not firmware.aborted and before == after and _settled(firmware):
            yield from firmware.wait()


def _settled(firmware: "Firmware") -> bool:
    """Nothing of the suspended state is left to do now."""
    suspend = firmware.suspend
    if not suspend & HOLD_COMPLETE:
        return True
    if firmware.state in (State.DOOR, State.SLEEP):
        if not suspend & RETRACT_COMPLETE or firmware.state is State.SLEEP:
            return False
        return not suspend & INITIATE_RESTORE and bool(suspend & DOOR_AJAR) == firmware.door_ajar
    return firmware.spindle_stop == STOP_ENABLED or not (firmware.spindle_stop or firmware.update_spindle)


def _sleep(firmware: "Firmware") -> Task[None]:
    yield from firmware.send(report.message("Sleeping"))
    firmware.set_spindle(0, 0.0)
    firmware.set_coolant(flood=False, mist=False)
    yield from firmware.motors_idle()
    while not firmware.aborted:
        yield from system(firmware)
        if not firmware.aborted:
            yield from firmware.wait()


def _restore(firmware: "Firmware", spindle: int, speed: float, *, flood: bool, mist: bool) -> Task[None]:
    modal = firmware.gcode.modal
    if modal.spindle and firmware.settings.laser_mode:
        firmware.update_spindle = True
    elif modal.spindle and not firmware.suspend & RESTART_RETRACT:
        firmware.set_spindle(spindle, speed)
        yield from delay(firmware, _DOOR_SPINDLE_S, suspended=True)
    if (modal.flood or modal.mist) and not firmware.suspend & RESTART_RETRACT:
        firmware.set_coolant(flood=flood, mist=mist)
        yield from delay(firmware, _DOOR_COOLANT_S, suspended=True)
    if not firmware.suspend & RESTART_RETRACT:
        firmware.suspend |= RESTORE_COMPLETE
        firmware.request(CYCLE_START)


def _spindle_stop(firmware: "Firmware", spindle: int, speed: float) -> Task[None]:
    if firmware.spindle_stop & STOP_INITIATE:
        if firmware.gcode.modal.spindle:
            firmware.set_spindle(0, 0.0)
            firmware.spindle_stop = STOP_ENABLED
        else:
            firmware.spindle_stop = 0
    elif firmware.spindle_stop & (STOP_RESTORE | STOP_RESTORE_CYCLE):
        if firmware.gcode.modal.spindle:
            yield from firmware.send(report.message("Restoring spindle"))
            if firmware.settings.laser_mode:
                firmware.update_spindle = True
            else:
                firmware.set_spindle(spindle, speed)
        if firmware.spindle_stop & STOP_RESTORE_CYCLE:
            firmware.request(CYCLE_START)
        firmware.spindle_stop = 0
