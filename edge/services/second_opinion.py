# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine's own controller says of a program: it reads every line in its check mode, and does none of them.

Only a program that our own check takes is shown to it: the rest would not be run anyway, and a move beyond the soft
limits locks a controller in check mode as it does in motion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from edge.domain.errors import DriverRefused, NotFound, ProgramRejected, Refused
from edge.domain.machine import Capability
from edge.domain.ports import CheckModeDriver, RefusedLine
from edge.safety.permissives import Command
from edge.services.preparing import Wish
from edge.services.programs import ProgramCatalog
from edge.services.progress import Tell
from edge.services.supervisor import MachineSupervisor

STAGE = "controller"
TOLD = 200
"""How often progress is told at most, over the whole program."""

MOST_LINES = 100_000
"""Lines that a controller is shown: it answers one in 3 to 5 ms, and nothing else can be done with it meanwhile."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a controller refused of a program of `lines` lines; agrees tells whether it judged as our check does."""

    lines: int
    refused: tuple[RefusedLine, ...]
    agrees: bool


class SecondOpinion:
    """Asks controllers what they say of programs."""

    def __init__(self, machines: Mapping[str, MachineSupervisor], catalog: ProgramCatalog) -> None:
        self._machines = machines
        self._catalog = catalog

    async def ask(self, machine_id: str, program_id: str, tell: Tell, wish: Wish | None = None) -> Opinion:
        """Let a machine's controller read a program of the list; `tell` is called as it goes on. Nothing moves.

        With a visitor's `wish` it reads what would be cut for that.

        What moves by itself is excluded as before a motion, and a hold ends the check as a stop does; so does a caller
        that is cancelled. Raises NotFound, MotionRefused, ProgramRejected, Refused (it is too long), ProgramAborted (it
        was stopped meanwhile), DriverRefused, DriverUnavailable, StoreUnavailable.
        """
        machine = self._machines.get(machine_id)
        if machine is None:
            raise NotFound(what="machine", key=machine_id)
        if Capability.CHECK_MODE not in machine.info.capabilities:
            reason = "its controller has no check mode that can be asked for from here"
            raise DriverRefused(machine_id=machine_id, command=Command.SECOND_OPINION.value, reason=reason)
        machine.require(Command.SECOND_OPINION)
        stops, offset = machine.stops, machine.state.work_offset
        if offset is None:
            raise ProgramRejected(program_id=program_id, reason="the machine has not reported its work offset yet")
        prepared = await self._catalog.prepare(program_id, machine.info, offset, wish)
        prepared.require_clean(program_id)
        if prepared.total_lines > MOST_LINES:
            raise Refused(
                code="too-long",
                what=f"{machine.info.name} is not shown this program.",
                why=f"It has {prepared.total_lines} lines, and a controller would read over {MOST_LINES} for too long.",
                remedy="The check here has read every line of it.",
            )
        text = await self._catalog.whole_text(program_id, machine.info, wish)
        machine.require_no_stop_since(stops, program_id)
        machine.require(Command.SECOND_OPINION)
        total, step = len(text.lines), max(1, len(text.lines) // TOLD)

        def read(lines: int) -> None:
            if lines % step == 0 or lines == total:
                tell(STAGE, lines / total)

        # What has the capability implements the protocol: tests/contract/driver_suite.py.
        driver = cast(CheckModeDriver, machine.driver)
        what = driver.check_program(text, read)
        refused = await machine.guarded(program_id, what, by_hand=True)
        return Opinion(prepared.total_lines, refused, agrees=not refused)
