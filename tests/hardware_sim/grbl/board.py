# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller board: power, reset line, boot loader, and what survives them."""

from collections.abc import Callable
from typing import Any

from . import interrupts
from .builds import Build
from .eeprom import Eeprom
from .firmware import Firmware
from .kernel import Kernel
from .uart import Interference, Receiver, Transmitter
from .world import World


class Board:
    """Joins kernel, world, EEPROM, serial port and the running firmware."""

    def __init__(self, build: Build, write: Callable[[bytes], None], *, boot_delay: float, line_cost: float) -> None:
        self.kernel = Kernel()
        self.world = World()
        self.eeprom = Eeprom()
        self.interference = Interference()
        self.rx = Receiver(self.kernel, self.interference)
        self.tx = Transmitter(self.kernel, self.interference, write)
        self.build = build
        self.boot_delay = boot_delay
        self.line_cost = line_cost
        self.firmware: Firmware | None = None
        self.restarts = 0
        self.held_in_reset = False

    def restart(self) -> None:
        """Reset pulse (DTR, power cycle): everything volatile is lost, the program starts after the boot loader."""
        self._stop()
        if self.held_in_reset:
            return
        self.restarts += 1
        self.kernel.at(self.kernel.now + self.boot_delay, self._boot)

    def hold_reset(self, *, held: bool) -> None:
        """Keep the processor in reset (`held`), or let it start."""
        if held == self.held_in_reset:
            return
        self.held_in_reset = held
        if held:
            self._stop()
        else:
            self.restart()

    def inputs_changed(self) -> None:
        """Something in the world changed from outside."""
        if self.firmware is not None:
            self.firmware.stepper.sync()
            interrupts.inputs_changed(self.firmware)

    def controls_changed(self) -> None:
        """A control button was pressed or released."""
        if self.firmware is not None:
            self.firmware.door_input = self.firmware.door_ajar
            interrupts.controls_changed(self.firmware)

    def truth(self) -> dict[str, Any]:
        """The true state, in the terms of the traces' `truth` objects."""
        firmware = self.firmware
        self.rx.pump()
        mpos = [0.0, 0.0, 0.0]
        if firmware is not None:
            firmware.stepper.sync()
            mpos = [round(value, 3) for value in firmware.machine_position()]
        world = self.world
        return {
            "mpos_steps_mm": mpos,
            "physical_mm": [round(value, 3) for value in world.physical],
            "state": firmware.state.value if firmware is not None else None,
            "moving": firmware is not None and firmware.stepper.running,
            "starved_s": round(firmware.stepper.starved_s, 6) if firmware is not None else 0.0,
            "spindle": ("off", "cw", "ccw")[world.spindle],
            "spindle_pwm": world.spindle_pwm,
            "flood": world.flood,
            "mist": world.mist,
            "limit_switches": [int(closed) for closed in world.limits],
            "probe": world.probe,
            "door_open": world.door_open,
            "planner_blocks": len(firmware.planner.blocks) if firmware is not None else 0,
            "rx_fill": len(self.rx.ring),
            "rx_overflow_bytes_lost": self.rx.overflow_lost,
            "eeprom_bytes_lost": self.rx.masked_lost,
            "max_rx_fill": self.rx.max_fill,
            "lost_steps": world.lost_steps,
            "mcu_restarts": self.restarts,
        }

    def _stop(self) -> None:
        if self.firmware is not None:
            self.firmware.stepper.stop()
            self.firmware = None
        self.rx.power_off()
        self.rx.max_fill = 0
        self.tx.reset()
        self.kernel.stop()
        self.world.outputs_off()

    def _boot(self) -> None:
        self.firmware = Firmware(self.kernel, self.rx, self.tx, self.world, self.eeprom, self.build)
        self.firmware.line_cost = self.line_cost
        self.kernel.start(self.firmware.main())
