# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers for the OPC UA benches, in a process of their own: `python -m benchmarks.opcua_servers ROLE PORT ...`.

changes PORT          a lathe whose feed override changes at random moments; one line `VALUE NS` each, the moment being
                      CLOCK_MONOTONIC before it was written into the address space
items PORT COUNT HZ   COUNT counters that go up HZ times a second, from `go` to `pause` on standard input; `pause`
                      prints how often counters were written since `go`
storm PORT            a lathe behind a wire that `silence` and `talk` on standard input cut and give back; `count`
                      prints how many sessions were created so far and how many there are

A line `ready` says that clients may come.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from typing import Any

from asyncua import Server, ua

from tests.hardware_sim.opcua_lathe.faults import Faults
from tests.hardware_sim.opcua_lathe.lathe import Lathe
from tests.hardware_sim.opcua_lathe.relay import Relay
from tests.hardware_sim.opcua_lathe.server import LatheServer, Machine

BETWEEN_CHANGES_S = (0.3, 0.6)  # longer than a publishing interval: of two changes in one the first is not reported
URI = "urn:infomobil:bench"


def say(*words: object) -> None:
    """Print one line now."""
    print(*words, flush=True)


async def commands() -> asyncio.StreamReader:
    """Return standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def lathe_server(port: int) -> tuple[LatheServer, Lathe, Relay]:
    """Return a lathe that stands still, behind its wire."""
    lathe = Lathe(cycling=False)
    relay = Relay("127.0.0.1", port)
    server = LatheServer(Machine(lathe, Faults(relay.cut)), "Lathe", None, "")
    await server.start("/lathe", updated=False)
    relay.server_port = server.port
    await relay.start()
    return server, lathe, relay


async def changes(port: int) -> None:
    """Change the feed override at random moments, never to the same twice within 90 changes."""
    server, lathe, _relay = await lathe_server(port)
    say("ready")
    number = 0
    while True:
        await asyncio.sleep(random.uniform(*BETWEEN_CHANGES_S))
        number += 1
        lathe.feed_override = 10.0 + number % 90
        moment = time.monotonic_ns()
        await server.write()
        say(int(lathe.feed_override), moment)


async def items(port: int, count: int, hertz: float) -> None:
    """Count up in many nodes."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/items")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    namespace = await server.register_namespace(URI)
    folder = await server.nodes.objects.add_folder(namespace, "Counters")
    nodes = [
        (await folder.add_variable(ua.NodeId(f"c{number}", namespace), f"c{number}", 0)).nodeid
        for number in range(count)
    ]
    reader = await commands()
    going = asyncio.Event()
    written = 0

    async def count_up() -> None:
        nonlocal written
        value = 0
        due = time.monotonic()
        while True:
            await going.wait()
            value += 1
            for start in range(0, count, 100):
                for node in nodes[start : start + 100]:
                    await server.write_attribute_value(node, ua.DataValue(ua.Variant(value, ua.VariantType.Int64)))
                    written += 1
                await asyncio.sleep(0)
            due = max(due + 1 / hertz, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async with server:
        say("ready")
        counting = asyncio.create_task(count_up())
        while (line := await reader.readline()) and not counting.done():
            if line == b"go\n":
                written = 0
                going.set()
            elif line == b"pause\n":
                going.clear()
                await asyncio.sleep(2 / hertz)
            say(written)
        counting.cancel()


async def storm(port: int) -> None:
    """Count the sessions that clients create."""
    server, _lathe, relay = await lathe_server(port)
    internal: Any = server._server.iserver  # noqa: SLF001
    create = internal.create_session
    created = 0

    def create_session(*arguments: Any, **named: Any) -> Any:
        nonlocal created
        # The server's own session is not a client's.
        created += bool(named.get("external"))
        return create(*arguments, **named)

    internal.create_session = create_session
    reader = await commands()
    say("ready")
    while line := await reader.readline():
        match line:
            case b"silence\n" | b"talk\n":
                relay.silence(silent=line == b"silence\n")
                say("done")
            case b"count\n":
                say(created, server.counts()["sessions"])


def main() -> None:
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    role, port, *numbers = sys.argv[1:]
    work = {
        "changes": lambda: changes(int(port)),
        "items": lambda: items(int(port), int(numbers[0]), float(numbers[1])),
        "storm": lambda: storm(int(port)),
    }[role]
    asyncio.run(work())


if __name__ == "__main__":
    main()
