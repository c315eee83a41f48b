# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of the loopback interface for servers that are told where to listen."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

LOWEST = 20_000
HIGHEST = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) - 1
"""The ports above are those of outgoing connections: one would be taken by a client before its server has started."""
TRIES = 1_000


def _in_turn() -> Iterator[int]:
    """Yield ports from a random one on, so that a process gives none out twice before it has given all."""
    count = HIGHEST - LOWEST + 1
    first = random.SystemRandom().randrange(count)
    while True:
        yield LOWEST + first
        first = (first + 1) % count


_next = _in_turn()


def free_port(wanted: int = 0) -> int:
    """Return `wanted` where it is free on loopback, else a free port."""
    for port in chain([wanted] if wanted else [], islice(_next, TRIES)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")
