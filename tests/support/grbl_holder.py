# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that cuts under the guardian's eyes, to be killed or stopped, or to hang by itself.

Usage: `python -m tests.support.grbl_holder PORT [NOTES] [block-python|block-c]`. Says `guardian PID` and `cutting` on
its standard output, `away REASON` while the port does not open, `fault MACHINE` when its supervisor marks one, and how
its program ended. Ends by itself after that, with the guardian disarmed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from edge.domain.errors import MotionRefused, ProgramAborted, ProgramFailed
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Availability, Execution
from edge.drivers.grbl import GrblDriver, GrblSettings
from edge.guardian.client import GuardianClient
from edge.services.bus import EventBus
from edge.services.clock import SystemClock
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from tests.support.fakes import MemoryStore
from tests.support.grbl import LONG

RULE = InputRule("door", "Door", "test", 60_000_000_000, "Close the door.")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def hang(how: str) -> None:
    """Keep the loop's thread for a second; in C with the interpreter's lock held, so that no thread gets a turn."""
    if how == "block-python":
        time.sleep(1)
    elif how == "block-c":
        # PyDLL, unlike CDLL, keeps the interpreter lock over the call.
        ctypes.PyDLL(None).usleep(1_000_000)


async def say_why_it_is_away(driver: GrblDriver) -> None:
    """Tell each new reason for which there is no connection."""
    last = ""
    while driver.state().availability is not Availability.AVAILABLE:
        reason = driver.state().fault_reason
        if reason not in ("", last):
            last = reason
            say(f"away {reason}")
        await asyncio.sleep(0.02)


async def cut(supervisor: MachineSupervisor, driver: GrblDriver, how: str) -> None:
    """Home, cut, hang if told so, and say how it ended."""
    await supervisor.home()
    job = asyncio.create_task(supervisor.run_program(LONG))
    while not (driver.state().execution is Execution.ACTIVE and (driver.state().line or 0) > 13):
        await asyncio.sleep(0.02)
    say("cutting")
    hang(how)
    try:
        await job
        say("finished")
    except (ProgramFailed, ProgramAborted) as error:
        say(f"failed {error.reason}")


async def main(port: str, notes: str = "", how: str = "") -> None:
    with suppress(PermissionError):
        # On a crowded computer 250 ms without a turn would be a hang, and the guardian would be right.
        os.nice(-10)
    supervisors: list[MachineSupervisor] = []
    folder = Path(notes) if notes else None
    guardian = GuardianClient(
        lambda _: supervisors[0].guardian_acted(), lambda _: supervisors[0].guardian_gone(), folder
    )
    await guardian.start()
    say(f"guardian {guardian.pid}")
    clock = SystemClock()
    recordings = None if "://" in port else Path(port).parent / "recordings"
    driver = GrblDriver("router", "Router", "router", GrblSettings(port=port, retry_s=0.3), clock, guardian, recordings)
    recorder = Recorder(MemoryStore(), clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=EventBus(), recorder=recorder, guardian=guardian)
    supervisors.append(supervisor)
    tasks = [asyncio.create_task(supervisor.run()), asyncio.create_task(recorder.run())]
    try:
        await say_why_it_is_away(driver)
        supervisor.on_input(InputSample("door", True, clock.boot_ns(), "test"))
        await asyncio.sleep(0.1)
        if not supervisor.view().fault:
            await supervisor.reset()
            await cut(supervisor, driver, how)
        if supervisor.view().fault:
            say(f"fault {supervisor.view().fault}")
            with suppress(MotionRefused):
                await supervisor.home()
                say("moved in fault")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await guardian.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
