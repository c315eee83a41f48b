# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names looked up in threads of their own.

A lookup cannot be ended and takes as long as its resolver likes, a minute where the network is half there: in the
loop's few threads the lookups of some machines would stand in the way of everything else that needs one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from concurrent.futures import Future


class Names:
    """The lookups of one machine's host: one at a time, also where nobody waits for it any more."""

    def __init__(self) -> None:
        self._under_way: Future[None] | None = None

    async def look_up(self, host: str, port: int) -> None:
        """Return once the host is known; an address needs no looking up. Raises OSError, ValueError."""
        if _is_address(host):
            return
        if self._under_way is None or self._under_way.done():
            self._under_way = _begin(host, port)
        await asyncio.wrap_future(self._under_way)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _begin(host: str, port: int) -> Future[None]:
    found: Future[None] = Future()
    # Whoever stops waiting cancels nothing.
    found.set_running_or_notify_cancel()

    def run() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError) as error:
            found.set_exception(error)
        else:
            found.set_result(None)

    # A daemon: a service that ends waits for no resolver.
    threading.Thread(target=run, name=f"look up {host}", daemon=True).start()
    return found
