# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's program: start, line reader, and what interrupts do. One instance is one life of the processor."""

import math
from functools import partial

from . import commands, interpreter, interrupts, realtime, report
from .builds import Build
from .checks import GcodeState
from .eeprom import Eeprom, write_time
from .kernel import Kernel, Task
from .linereader import LineReader
from .numbers import quotient, single
from .planner import Block, Planner
from .settings import (
    ADDRESS_SETTINGS,
    ADDRESS_VERSION,
    COORDINATE_SIZE,
    LINE_SIZE,
    STARTUP_LINES,
    VERSION,
    Settings,
    coordinate_address,
    restore_defaults,
    startup_address,
    unpack_coordinates,
)
from .state import (
    CYCLE_START,
    CYCLE_STOP,
    SAFETY_DOOR,
    State,
)
from .stepper import Stepper
from .uart import Receiver, Transmitter
from .words import Refused
from .world import World

READ_FAILED, LOCKED, LINE_TOO_LONG = 7, 9, 11
PARSE_S = 0.0015
_SETTINGS_LENGTH = len(Settings().pack())
_NO_DELAY = 255


class Firmware:
    """State of the running program. Other modules of this package act on it."""

    def __init__(
        self, kernel: Kernel, rx: Receiver, tx: Transmitter, world: World, eeprom: Eeprom, build: Build
    ) -> None:
        self.kernel, self.rx, self.tx = kernel, rx, tx
        self.world, self.eeprom, self.build = world, eeprom, build
        self.settings = Settings()
        self.stepper = Stepper(kernel, self._steps_taken)
        self.planner = Planner(self.settings, self.stepper.refresh_block)
        self.stepper.planner = self.planner
        self.stepper.on_segment = kernel.wake
        self.stepper.on_segment_start = partial(interrupts.watch_segment, self)
        self.stepper.on_empty = self._steps_ended
        self.stepper.on_block = self._block_loaded
        self.state = State.IDLE
        self.gcode = GcodeState()
        self.requests = 0
        self.alarm = 0
        self.motion_override_bytes: list[int] = []
        self.accessory_bytes: list[int] = []
        self.suspend = 0
        self.aborted = False
        self.soft_limit = False
        self.spindle_stop = 0
        self.spindle_percent = 100
        self.spindle_speed = 0.0
        self.update_spindle = False
        self.wco_counter = self.override_counter = 0
        self.probe_position = [0, 0, 0]
        self.probe_succeeded = False
        self.probe_active = self.probe_away = False
        self.homing_unlocked = [True] * 3
        self.limits_watched = True
        self.limit_inputs = [False] * 3
        self.line_cost = PARSE_S
        self.line_buffer = bytearray(LINE_SIZE)
        self.door_input = False
        self._repaired = 0
        rx.realtime = partial(interrupts.realtime_byte, self)

    # --- start and main loop -------------------------------------------------------------------------------------

    def main(self) -> Task[None]:
        """From the boot loader's jump on; never ends."""
        self.rx.power_on()
        if self.eeprom.cells[ADDRESS_VERSION] != VERSION or not self._load_settings():
            # No write time here: the recorded first start shows none (trace boot_first_empty_eeprom).
            yield from self.send(report.reply(READ_FAILED))
            restore_defaults(self.eeprom, settings=True, coordinates=True, texts=True)
            self._load_settings()
            yield from self.send("".join(line + "\r\n" for line in self.settings.listing()))
        if self.settings.homing_enable:
            self.state = State.ALARM
        self.limit_inputs = self.world.limits
        self.door_input = self.door_ajar
        while True:
            yield from self._reset_all()
            yield from self.send(report.WELCOME)
            yield from self._main_loop()

    def _load_settings(self) -> bool:
        data, good = self.eeprom.read(ADDRESS_SETTINGS, _SETTINGS_LENGTH)
        if not good:
            return False
        self.settings = self.planner.settings = Settings.unpack(data)
        return True

    def reload_settings(self) -> None:
        """Take the settings from the EEPROM after they were restored."""
        self._load_settings()

    def _reset_all(self) -> Task[None]:
        self.suspend = self.requests = self.alarm = 0
        self.aborted = self.soft_limit = self.update_spindle = False
        self.spindle_stop = 0
        self.planner.feed_percent = self.planner.rapid_percent = self.spindle_percent = 100
        self.motion_override_bytes.clear()
        self.accessory_bytes.clear()
        self.wco_counter = self.override_counter = 0
        self.probe_succeeded = self.probe_active = self.probe_away = False
        self.probe_position = [0, 0, 0]
        self.tx.resume()
        self.homing_unlocked = [True] * 3
        self.rx.clear()
        self.gcode = GcodeState()
        try:
            self.gcode.coordinate_offset = self.read_coordinates(0)
        except Refused as refusal:
            yield from self.send(report.reply(refusal.code))
        self.set_spindle(0, 0.0)
        self.set_coolant(flood=False, mist=False)
        self.limits_watched = True
        self.planner.reset()
        yield from self.reset_stepper()
        self.sync_plan_position()
        self.sync_gcode_position()

    def _main_loop(self) -> Task[None]:
        if self.settings.hard_limits and any(self.limits):
            self.state = State.ALARM
            yield from self.send(report.message("Check Limits"))
        if self.state in (State.ALARM, State.SLEEP):
            yield from self.send(report.message("'$H'|'$X' to unlock"))
            self.state = State.ALARM
        else:
            self.state = State.IDLE
            if self.door_ajar:
                self.request(SAFETY_DOOR)
                yield from realtime.execute(self)
            yield from self.run_startup_lines()
        reader = LineReader(self.line_buffer)
        rx = self.rx
        while True:
            rx.pump()
            while rx.ring:
                complete = reader.take(rx.ring)
                if complete:
                    yield from realtime.execute(self)
                    if self.aborted:
                        return
                    yield from self._line(reader)
                    reader.start()
                rx.pump()
            self.auto_start()
            yield from realtime.execute(self)
            if self.aborted:
                return
            if self.pending or (rx.ring and not rx.draining):
                continue
            rx.draining = True
            yield None
            rx.pump()
            rx.draining = False

    def _line(self, reader: LineReader) -> Task[None]:
        text = reader.text
        if reader.overflow:
            code = LINE_TOO_LONG
        elif not text:
            code = 0
        else:
            yield self.kernel.now + self.line_cost
            code = yield from self.execute_line(text)
        yield from self.send(report.reply(code))

    def execute_line(self, text: str) -> Task[int]:
        """Run one cleaned line; the error number, 0 for ok."""
        if text[0] == "$":
            return (yield from self._execute(commands.execute(self, text)))
        if self.state in (State.ALARM, State.JOG):
            return LOCKED
        return (yield from self._execute(interpreter.execute(self, text)))

    def _execute(self, task: Task[int] | Task[None]) -> Task[int]:
        """The error number of `task`, 0 for ok; then the time for what had to be repaired in the EEPROM."""
        try:
            code = (yield from task) or 0
        except Refused as refusal:
            code = refusal.code
        repaired, self._repaired = self._repaired, 0
        if repaired:
            yield from write_time(self.kernel, self.rx, repaired)
        return code

    def run_startup_lines(self) -> Task[None]:
        """Execute ``$N0`` and ``$N1``, each announced as ``>line:ok``."""
        for number in range(STARTUP_LINES):
            text = yield from commands.read_text(self, startup_address(number))
            if text is None:
                yield from self.send(">:" + report.reply(READ_FAILED))
            elif text:
                code = yield from self._execute(interpreter.execute(self, text))
                yield from self.send(f">{text}:{report.reply(code)}")

    # --- small services ------------------------------------------------------------------------------------------

    def send(self, text: str) -> Task[None]:
        return self.tx.send(text)

    @property
    def pending(self) -> bool:
        """Something asks for the main program's attention."""
        return bool(self.requests or self.alarm or self.motion_override_bytes or self.accessory_bytes)

    @property
    def door_ajar(self) -> bool:
        return self.build.door_pin and (self.world.door_open or "hold" in self.world.buttons)

    @property
    def limits(self) -> list[bool]:
        """The limit inputs as the program sees them: ``$5`` turns them round (limits.c limits_get_state)."""
        invert = self.settings.invert_limits
        return [closed != invert for closed in self.world.limits]

    @property
    def motor_signs(self) -> tuple[int, ...]:
        """Which way each motor turns: ``$3`` turns it round."""
        return tuple(-1 if self.settings.direction_invert >> axis & 1 else 1 for axis in range(3))

    @property
    def probe_state(self) -> bool:
        """The probe input as the program sees it: ``$6`` and a move away from the contact turn it round.

        A report during G38.4 shows it so, too (probe.c probe_configure_invert_mask).
        """
        return self.world.probe ^ self.settings.invert_probe ^ self.probe_away

    def request(self, flag: int) -> None:
        """Set a request flag and resume the main program if it idles."""
        self.requests |= flag
        self.kernel.wake()

    def auto_start(self) -> None:
        """Start moving if blocks wait."""
        if self.planner.blocks and self.state is State.IDLE:
            self.requests |= CYCLE_START

    def wait(self) -> Task[None]:
        """Idle until something happens, unless something already did."""
        if not self.pending:
            yield None

    def machine_position(self) -> list[float]:
        scales = self.settings.steps_per_mm
        return [quotient(steps, scale) for steps, scale in zip(self.stepper.position, scales, strict=True)]

    def work_offset(self) -> list[float]:
        state = self.gcode
        offset = [single(a + b) for a, b in zip(state.coordinate_offset, state.g92, strict=True)]
        offset[2] = single(offset[2] + state.tool_length)
        return offset

    def sync_plan_position(self) -> None:
        self.stepper.sync()
        self.planner.position = list(self.stepper.position)

    def sync_gcode_position(self) -> None:
        self.stepper.sync()
        self.gcode.position = self.machine_position()

    def read_coordinates(self, index: int) -> list[float]:
        """Stored coordinate data.

        Raises:
            Refused: it cannot be read (7) and was set to zero.
        """
        data, good = self.eeprom.read(coordinate_address(index), COORDINATE_SIZE)
        if not good:
            self._repaired += self.eeprom.put_record(coordinate_address(index), bytes(COORDINATE_SIZE))
            raise Refused(READ_FAILED)
        return unpack_coordinates(data)

    def set_spindle(self, direction: int, speed: float) -> None:
        """Drive the spindle output at `speed` rpm (before override) while the machine stands."""
        self.override_counter = 0
        if direction == 2 and self.settings.laser_mode:
            # A laser of dynamic power (M4) is dark at rest.
            speed = 0.0
        self._drive_output(direction, speed)

    def stop_spindle_output(self) -> None:
        """Switch the output off; reports go on showing the old speed (spindle_control.c spindle_stop)."""
        self.world.spindle = self.world.spindle_pwm = 0

    def _block_loaded(self, block: Block) -> None:
        """The planner's block is loaded or planned anew: the output follows it (stepper.c st_prep_buffer)."""
        options = block.options
        self.update_spindle = False
        self.stepper.on_speed = None
        if options.spindle == 2 and self.settings.laser_mode:
            per_speed = options.spindle_speed / (block.programmed_rate or math.inf)
            self.stepper.on_speed = lambda speed: self._drive_output(options.spindle, per_speed * speed)
        else:
            self._drive_output(options.spindle, options.spindle_speed)

    def _drive_output(self, direction: int, speed: float) -> None:
        settings = self.settings
        if not direction:
            self.spindle_speed = 0.0
            self.stop_spindle_output()
            return
        speed = speed * self.spindle_percent / 100
        low, high = settings.rpm_min, settings.rpm_max
        if low >= high or speed >= high:
            speed, pwm = high, 255
        elif speed <= low:
            speed, pwm = (low, 1) if speed else (0.0, 0)
        else:
            pwm = math.floor((speed - low) * 254 / (high - low)) + 1
        self.spindle_speed = speed
        self.world.spindle_pwm = pwm
        self.world.spindle = direction if pwm else 0

    def set_coolant(self, *, flood: bool, mist: bool) -> None:
        self.world.flood, self.world.mist = flood, mist
        self.override_counter = 0

    # --- stepper -------------------------------------------------------------------------------------------------

    def idle_delay(self) -> float:
        """Seconds that the motors need to settle (``$1``), none while homing."""
        delay = self.settings.idle_lock_ms
        if self.state is State.HOME or (delay == _NO_DELAY and not self.alarm and self.state is not State.SLEEP):
            return 0.0
        return delay / 1000

    def motors_idle(self) -> Task[None]:
        """Stop stepping and wait for the motors to settle (``$1``)."""
        self.stepper.stop()
        yield self.kernel.now + self.idle_delay()

    def reset_stepper(self) -> Task[None]:
        yield from self.motors_idle()
        self.stepper.reset()

    def start_motion(self) -> None:
        self.stepper.prepare()
        self.stepper.start()

    def _steps_taken(self, axis: int, moved: int) -> None:
        if self.state is State.HOME and not self.homing_unlocked[axis]:
            return
        if self.settings.direction_invert >> axis & 1:
            moved = -moved
        self.world.move(axis, moved, self.settings.steps_per_mm[axis])

    def _steps_ended(self) -> None:
        self.stepper.stop()
        if self.stepper.on_speed is not None:
            self.stop_spindle_output()
        self.kernel.block_main(self.idle_delay())
        self.request(CYCLE_STOP)
