# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is plugged into whom, and how the office lives and ends: one root task group, our own signal handlers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Coroutine, Iterator

import uvicorn

from office.api import create_app
from office.api.pages import find_pages
from office.config import OfficeSettings
from office.errors import TaskEnded
from office.ingest import Crew, Ingest
from office.ledger import Ledger
from office.nightly import Nightly

HTTP_GRACE_S = 3

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """A signal asked the service to end."""


class Server(uvicorn.Server):
    """uvicorn inside our task group: with its own signal handling, SIGTERM would end it before its siblings."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the root."""
        yield


async def run(settings: OfficeSettings) -> None:
    """Run the office until SIGINT or SIGTERM. Raises OSError where the port is taken, ValueError for a bad file."""
    ledger = Ledger(settings.database)
    try:
        several = settings.ingest.workers > 1
        ingest = Crew(settings, ledger) if several else Ingest(settings.broker, ledger)
        app = create_app(settings, ledger, lambda: ingest.connected, find_pages(), lambda: ingest.figures)
        listener = _listen(settings)
        # timeout_graceful_shutdown: a page that keeps its connection open must not keep the service alive.
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=HTTP_GRACE_S,
        )
        server = Server(config)
        _log.info("the office's dashboard is at http://%s:%d/", settings.http.host, settings.http.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_signals(server), name="signals")
                group.create_task(_forever("ingest", ingest.run()), name="ingest")
                if settings.checks.recount_at != "never":
                    nightly = Nightly(ledger, settings.checks.recount_at)
                    group.create_task(_forever("nightly", nightly.run()), name="nightly")
                group.create_task(_http(server, listener), name="http")
        except* _Stopped:
            _log.info("the office has ended")
        finally:
            listener.close()
    finally:
        await ledger.close()


def _listen(settings: OfficeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET
    return socket.create_server((settings.http.host, settings.http.port), family=family, backlog=256)


async def _signals(server: Server) -> None:
    """Let a signal end HTTP in good order; that ends the rest."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, asked.set)
    try:
        await asked.wait()
        server.should_exit = True
        await asyncio.Event().wait()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _http(server: Server, listener: socket.socket) -> None:
    """Serve until a signal, and then end the group."""
    await server.serve(sockets=[listener])
    if not server.should_exit:
        raise TaskEnded(task="http")
    raise _Stopped


async def _forever(name: str, work: Coroutine[object, object, None]) -> None:
    """Run an eternal task: one that returns is a fault, and the service ends with it rather than go on half."""
    await work
    raise TaskEnded(task=name)
