# SPDX-License-Identifier: GPL-3.0-or-later
"""Control lines: what a hand, a switch or a broken cable does to the machine.

One command a line::

    door open|closed          limit x|y|z on|off        probe on|off
    reset                     estop on|off              powercycle
    button reset|hold|start press|release
    unplug                    plug [LINK]
    noise P                   drop P                    stall MS
    state [FILE]              physical X Y Z
    damage version|settings|g54..g59|g28|g30|n0|n1|build
    tool LENGTH [DIAMETER]    plate Z|off
    box X0 Y0 X1 Y1 Z|off     bore X Y R ZTOP|off
    advance T BYTES           (with --lockstep) see Runner.advance

``reset`` is a pulse on the processor's reset line and restarts it as ``powercycle`` does; ``button reset press`` is
the control input of the firmware, a soft reset. ``estop on`` keeps the processor in reset, its outputs are off.
``tool`` replaces the tool: LENGTH is how much longer than the first one it is (mm, may be negative). ``plate``,
``box`` and ``bore`` put a conductive part there, as the options ``--probe-plate``, ``--probe-box``, ``--probe-bore``.
``damage`` makes the check byte of an EEPROM record wrong: the program notices when it reads it next.
``limit`` and ``probe`` force an input on; ``off`` lets the machine's position decide again. ``noise`` and ``drop`` are
probabilities for each byte, both ways. ``stall`` leaves the host's bytes unread. ``state`` writes the true state.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .settings import check_address
from .world import World, parse_bore, parse_box

if TYPE_CHECKING:
    from .runner import Runner


class ControlError(Exception):
    """A control line that means nothing."""

    def __init__(self, line: str) -> None:
        super().__init__(f"the control line {line!r} is not understood")
        self.line = line


class ControlPipe:
    """The FIFO from which control lines are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            os.mkfifo(path)
        # Opened for both directions, so that a writer that leaves is not an end of file.
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = ""
        self._answers = -1

    def answer(self, text: str) -> None:
        """Write a line into ``<FIFO>.clock``."""
        if self._answers < 0:
            path = clock_path(self.path)
            if not path.exists():
                os.mkfifo(path)
            self._answers = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(self._answers, text.encode() + b"\n")

    def lines(self) -> list[str]:
        """Complete lines that have arrived."""
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self.fd, 65536).decode()
        *complete, self._rest = self._rest.split("\n")
        return [line.strip() for line in complete if line.strip()]

    def close(self) -> None:
        os.close(self.fd)
        if self._answers >= 0:
            os.close(self._answers)


def clock_path(control: Path) -> Path:
    """Where a simulator in lockstep answers."""
    return control.with_name(control.name + ".clock")


def _switch(word: str, on: str, off: str) -> bool:
    if word not in (on, off):
        raise ValueError(word)
    return word == on


def obey(runner: "Runner", line: str) -> None:
    """Carry out one control line.

    Raises:
        ControlError: unknown command or argument.
    """
    try:
        _obey(runner, line.split())
    except (ValueError, IndexError) as error:
        raise ControlError(line) from error


def _obey(runner: "Runner", words: list[str]) -> None:
    board = runner.board
    world = board.world
    match words:
        case ["door", position]:
            world.door_open = _switch(position, "open", "closed")
            board.inputs_changed()
        case ["limit", axis, position]:
            world.forced_limits["xyz".index(axis)] = _switch(position, "on", "off")
            board.inputs_changed()
        case ["probe", position]:
            world.forced_probe = _switch(position, "on", "off")
            board.inputs_changed()
        case ["physical", x, y, z]:
            world.physical = [float(x), float(y), float(z)]
            board.inputs_changed()
        case ["tool", length]:
            world.tool_length = float(length)
            board.inputs_changed()
        case ["tool", length, diameter]:
            world.tool_length, world.tool_diameter = float(length), float(diameter)
            board.inputs_changed()
        case ["plate" | "box" | "bore" as part, *numbers]:
            _place(world, part, numbers)
            board.inputs_changed()
        case ["reset"] | ["powercycle"]:
            board.restart()
        case ["estop", position]:
            board.hold_reset(held=_switch(position, "on", "off"))
        case ["button", ("reset" | "hold" | "start") as name, position]:
            pressed = _switch(position, "press", "release")
            (world.buttons.add if pressed else world.buttons.discard)(name)
            board.controls_changed()
        case ["damage", record]:
            board.eeprom.damage(check_address(record))
        case ["unplug"]:
            runner.unplug()
        case ["plug"]:
            runner.plug(None)
        case ["plug", link]:
            runner.plug(Path(link))
        case ["noise", probability]:
            board.interference.noise = float(probability)
        case ["drop", probability]:
            board.interference.drop = float(probability)
        case ["stall", milliseconds]:
            runner.stall(float(milliseconds) / 1000)
        case ["advance", when, received]:
            runner.advance(float(when), int(received))
        case ["state"]:
            write_state(runner, runner.default_state_file())
        case ["state", file]:
            write_state(runner, Path(file))
        case _:
            raise ValueError(words)


def _place(world: World, part: str, numbers: list[str]) -> None:
    values = [] if numbers == ["off"] else [float(number) for number in numbers]
    if part == "plate":
        if len(values) > 1:
            raise ValueError(numbers)
        world.probe_plate_z = values[0] if values else None
    elif part == "box":
        world.probe_box = parse_box(values) if values else None
    else:
        world.probe_bore = parse_bore(values) if values else None


def write_state(runner: "Runner", file: Path) -> None:
    """Write the true state as one line of JSON; a reader sees the old line or the new one."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
    temporary.write_text(json.dumps(runner.truth()) + "\n", encoding="utf-8")
    temporary.replace(file)
