# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of the loopback interface for servers that are told where to listen."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 20_000
TRIES = 100
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(wanted: int = 0) -> int:
    """Return `wanted` where it is free on loopback, else a free port.

    It lies below the ports that the system gives to outgoing connections: one of those would be taken by some client
    between this look and the server's start.
    """
    highest = int(_OUTGOING.read_text().split()[0]) - 1
    chance = random.SystemRandom()
    for port in (wanted, *(chance.randint(LOWEST, highest) for _ in range(TRIES))):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port:
                return port
    raise OSError("no free port")
