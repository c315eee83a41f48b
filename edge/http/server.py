# SPDX-License-Identifier: GPL-3.0-or-later
"""uvicorn as a guest in our own loop: no signal handlers of its own, and a socket that is bound before it starts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from edge.domain.errors import InfoMobilError


class PortTaken(InfoMobilError):
    """The address {host}:{port} cannot be used ({reason}): is another copy of the service running?"""  # noqa: D400


class GuestServer(uvicorn.Server):
    """A server that leaves signals to the root of the process.

    uvicorn run as a plain task would answer SIGTERM by itself and end the siblings before their `finally`.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named: without it each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(host=host, port=port, reason=error.strerror) from error
    listener.set_inheritable(False)
    return listener


async def serve(app: ASGIApp, listener: socket.socket, *, grace_s: float = 2.0) -> None:
    """Serve `app` until cancelled, then let open requests end, at most `grace_s` seconds."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=65_536,
        timeout_graceful_shutdown=round(grace_s),
        server_header=False,
    )
    server = GuestServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http server")
    try:
        await asyncio.shield(task)
    finally:
        server.should_exit = True
        await task
        listener.close()
