# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that cuts under the guardian's eyes, to be killed or stopped: `python -m tests.support.grbl_holder PORT`.

Says `guardian PID` and `cutting` on its standard output, `tripped MACHINE` when the guardian tells it so, and how its
program ended. Ends by itself after that, with the guardian disarmed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

from edge.domain.errors import ProgramFailed, ProgramInterrupted
from edge.domain.machine import Execution
from edge.drivers.grbl import GrblDriver, GrblSettings
from edge.guardian.client import GuardianClient
from edge.services.clock import SystemClock
from tests.support.grbl import LONG


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(port: str) -> None:
    with suppress(PermissionError):
        # On a crowded computer 250 ms without a turn would be a hang, and the guardian would be right.
        os.nice(-10)
    guardian = GuardianClient(lambda machine_id: say(f"tripped {machine_id}"))
    await guardian.start()
    say(f"guardian {guardian.pid}")
    driver = GrblDriver("router", "Router", "router", GrblSettings(port=port), SystemClock(), guardian)
    running = asyncio.create_task(driver.run())
    try:
        while driver.state().execution is not Execution.STOPPED:
            await asyncio.sleep(0.02)
        await driver.home()
        await guardian.arm("router")
        job = asyncio.create_task(driver.run_program(LONG))
        while not (driver.state().execution is Execution.ACTIVE and (driver.state().line or 0) > 13):
            await asyncio.sleep(0.02)
        say("cutting")
        try:
            await job
            say("finished")
        except (ProgramFailed, ProgramInterrupted) as error:
            say(f"failed {error.reason}")
        await guardian.disarm("router")
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await guardian.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
