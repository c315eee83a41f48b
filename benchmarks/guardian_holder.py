# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that arms a guard over a serial port and waits to be killed or stopped: for bench_guardian.

Usage: python benchmarks/guardian_holder.py ours|bare PORT. Says `armed` when it may be killed.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys

from edge.guardian.client import GuardianClient

PULSE_S = 0.05
SILENCE_S = 0.25


def armed() -> None:
    """Say so."""
    sys.stdout.write("armed\n")
    sys.stdout.flush()


async def ours(port: str) -> None:
    """Arm the guardian."""
    guardian = GuardianClient(lambda _: None, lambda _: None)
    await guardian.start()
    guardian.watch("bench", os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    await guardian.arm("bench")
    armed()
    await asyncio.Event().wait()


def bare(port: str) -> None:
    """Fork the least that can do it: wait for the end of a pipe, or for silence in it, and write one byte."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(write)
        while select.select([read], [], [], SILENCE_S)[0] and os.read(read, 100):
            pass
        os.write(descriptor, b"!")
        os._exit(0)
    os.close(read)
    armed()
    while True:
        os.write(write, b".")
        select.select([], [], [], PULSE_S)


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        asyncio.run(ours(sys.argv[2]))
    else:
        bare(sys.argv[2])
