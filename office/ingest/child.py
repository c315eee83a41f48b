# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker process of the office: takes in batches of the shared subscription, with a ledger connection of its own.

Its first line of standard input holds the settings, which may be secret and so stand in no command line. From then on
that input only has to stay open: with whoever started it the worker ends too. Standard output tells the figures.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from contextlib import suppress
from dataclasses import asdict

from office.config import OfficeSettings
from office.ingest.worker import Ingest
from office.ledger import Ledger

TELL_S = 1.0
FINISH_S = 5.0


async def work(settings: OfficeSettings) -> None:
    """Take in batches until standard input ends or SIGTERM comes; the group under way is acknowledged first."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    # Ctrl-C reaches the whole group of processes; whoever started us tells us when it is our turn.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    ledger = Ledger(settings.database)
    ingest = Ingest(settings.broker, ledger, ("up",))
    tasks = [asyncio.create_task(ingest.run()), asyncio.create_task(_tell(ingest))]
    watch = asyncio.create_task(_until_closed(ended))
    try:
        stop = asyncio.create_task(ended.wait())
        await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(ingest.finish(), FINISH_S)
    finally:
        for task in (*tasks, watch):
            task.cancel()
        results = await asyncio.gather(*tasks, watch, return_exceptions=True)
        await ledger.close()
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, OSError):
            raise result


async def _tell(ingest: Ingest) -> None:
    """Write the figures, also where they are as before: silence means that we hang."""
    while True:
        # One short line into a pipe that is read: this does not stand in the loop's way.
        sys.stdout.write(json.dumps(asdict(ingest.figures)) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(TELL_S)


async def _until_closed(ended: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    ended.set()


def main() -> None:
    """Run a worker."""
    settings = OfficeSettings.model_validate_json(sys.stdin.buffer.readline())
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(work(settings))


if __name__ == "__main__":
    main()
