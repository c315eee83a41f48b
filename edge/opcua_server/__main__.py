# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of the OPC UA server: `python -m edge.opcua_server`, a child of the service, which tells it what to show.

Reads JSON lines from its standard input and writes reports to its standard output (facts.py); ends when the input does,
so it never outlives the service. When the input is silent for SILENCE_S, every value of a machine turns bad.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge.domain.errors import InfoMobilError
from edge.opcua_server.facts import Plan, Report, machine_of, plan_of, to_line

if TYPE_CHECKING:
    from edge.opcua_server.server import LabServer

SILENCE_S = 3.0
OUT_OF_MEMORY = "500"
"""Where memory runs short, the kernel ends this process long before the service."""
_REPORT_S = 0.5
_LINE = 1_048_576
_FAILED = 1

log = logging.getLogger("edge.opcua_server")


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _say(report: Report) -> None:
    # The service reads what is written at once; should it hang, nothing is lost by leaving a report out.
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(sys.stdout.fileno(), to_line(report))


async def _follow(reader: asyncio.StreamReader, server: LabServer) -> None:
    """Show what is told, until the input ends."""
    silent = False
    while True:
        try:
            async with asyncio.timeout(None if silent else SILENCE_S):
                line = await reader.readline()
        except TimeoutError:
            log.warning("the service tells nothing any more: all values are bad")
            silent = True
            await server.fall_silent()
            continue
        if not line:
            return
        silent = False
        if line.strip():
            await server.show(machine_of(line))


async def _report(server: LabServer) -> None:
    """Tell how many clients there are whenever that changes."""
    told = -1
    while True:
        if server.clients != told:
            told = server.clients
            _say(Report(listening=True, clients=told))
        await asyncio.sleep(_REPORT_S)


async def _serve(plan: Plan, reader: asyncio.StreamReader) -> None:
    # Everything that is made until it listens stays: looking for garbage in it would take a third of the time.
    gc.disable()
    # Imported only now: half a second of computing, which is to be done at the low priority already.
    from edge.opcua_server.server import LabServer

    server = LabServer(plan)
    await server.start()
    gc.freeze()
    gc.enable()
    log.info("OPC UA clients are served at %s", plan.endpoint)
    reporting = asyncio.create_task(_report(server), name="reports")
    try:
        await _follow(reader, server)
    finally:
        reporting.cancel()
        await server.stop()


def _step_back(niceness: int) -> None:
    """Make way for everything else by so much."""
    os.nice(niceness)
    # A kernel with groups for sessions shares a core among the sessions first, whatever the niceness inside (sched(7)).
    # This process has a session of its own.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")


async def _run() -> int:
    reader = await _standard_input()
    line = await reader.readline()
    if not line:
        return 0
    plan = plan_of(line)
    _step_back(plan.niceness)
    try:
        await _serve(plan, reader)
    except (InfoMobilError, OSError) as error:
        _say(Report(listening=False, error=str(error)))
        return _FAILED
    return 0


def main() -> int:
    """Run until the standard input ends; return the exit status."""
    # The service may run before everything else on this computer: its clients' server does not.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OUT_OF_MEMORY, encoding="ascii")
    # A Ctrl-C at the terminal is for the service, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It logs every request that is refused, at its fullest length.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    return asyncio.run(_run())


if __name__ == "__main__":
    sys.exit(main())
