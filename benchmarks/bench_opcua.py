# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the OPC UA driver: how late a change is seen, what many items cost, and how a common outage ends.

Every server runs in a process of its own, and so does the edge where a console is looked at. Where a client is
compared, this process is the client, first with the driver's own connection and then with a bare asyncua Client that
subscribes to the same nodes with the same intervals.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from websockets.asyncio.client import connect

from benchmarks.opcua_servers import URI
from benchmarks.stats import Row, percentile, row
from edge.domain.machine import Availability
from edge.drivers.opcua import subscription
from edge.drivers.opcua.connection import open_connection
from edge.drivers.opcua.driver import OpcUaDriver
from edge.drivers.opcua.models.model import Item
from edge.drivers.opcua.settings import OpcUaSettings
from edge.services.clock import SystemClock
from edge.store.pin import write_pin
from tests.hardware_sim.lab.ports import free_port
from tests.hardware_sim.lab.processes import ROOT, Process, port_answers, python

ITEMS = 1_000
HERTZ = 10.0
MACHINES = 16
PATIENCE_S = 30.0
SETTLE_S = 1.0
BARE = "a bare asyncua client"
INTERVAL = "the publishing interval"


class Server:
    """The process of `benchmarks.opcua_servers`: lines in, lines out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> list[str]:
        """Return the words of the next line."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            return (await self._process.stdout.readline()).decode().split()

    async def ask(self, command: str) -> list[int]:
        """Send a command; return the numbers of its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return [int(word) for word in await self.line() if word.isdecimal()]


@asynccontextmanager
async def server(role: str, port: int, *numbers: float) -> AsyncIterator[Server]:
    """Run a server."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.opcua_servers", role, str(port), *map(str, numbers)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        found = Server(process)
        if await found.line() != ["ready"]:
            raise OSError(f"the server {role} did not start")
        yield found
    finally:
        process.kill()
        await process.communicate()


def settings(endpoint: str, **changes: Any) -> OpcUaSettings:
    """Return the settings that a machine has by default, on a loopback without security."""
    return OpcUaSettings.model_validate({"driver": "opcua", "endpoint": endpoint, "security": "none", **changes})


# -- a change in the server until the console's WebSocket --


def edge_of(folder: Path, endpoint: str, console_port: int) -> Process:
    """Return an edge whose one machine is at `endpoint`."""
    write_pin(folder / "pin", "123456")
    config = folder / "edge.toml"
    config.write_text(
        f'[lab]\nid = "bench"\nname = "Bench"\ndata_dir = "{folder / "data"}"\n\n'
        f"[http]\nconsole_port = {console_port}\nkiosk_port = {free_port()}\n\n"
        f'[operator]\npin_file = "{folder / "pin"}"\n\n'
        '[[machine]]\nid = "lathe"\nname = "Lathe"\nkind = "lathe"\n[machine.connection]\n'
        f'driver = "opcua"\nendpoint = "{endpoint}"\nsecurity = "none"\n',
        encoding="utf-8",
    )

    async def ready() -> bool:
        return await port_answers(console_port)

    return Process("edge", python("edge", "run", "--config", config), folder / "edge.log", ready)


async def seen_at_console(url: str, seen: dict[int, int], came: asyncio.Event) -> None:
    """Note when (CLOCK_MONOTONIC, ns) each feed override first comes out of the WebSocket."""
    async with connect(url) as socket:
        async for text in socket:
            moment = time.monotonic_ns()
            message = json.loads(text)
            machines = message["snapshot"]["machines"] if message["type"] == "snapshot" else [message.get("machine")]
            for machine in machines:
                overrides = machine.get("overrides") if machine is not None else None
                if overrides is not None:
                    seen.setdefault(overrides["feed"], moment)
                    came.set()


async def latencies_ms(changes: int) -> list[float]:
    """Return how long, ms, each change took from the server's memory to the console's WebSocket."""
    port, console_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        async with server("changes", port) as lathe:
            edge = edge_of(Path(name), f"opc.tcp://127.0.0.1:{port}/lathe", console_port)
            await edge.start()
            try:
                return await _latencies(lathe, f"ws://127.0.0.1:{console_port}/api/live", changes)
            finally:
                await edge.stop()


async def _latencies(lathe: Server, url: str, changes: int) -> list[float]:
    taken: list[float] = []
    seen: dict[int, int] = {}
    came = asyncio.Event()

    async def until_seen(value: int) -> None:
        while value not in seen:
            came.clear()
            await came.wait()

    watching = asyncio.create_task(seen_at_console(url, seen, came))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await came.wait()
        since = time.monotonic_ns()
        while len(taken) < changes:
            value, moment = map(int, await lathe.line())
            if moment < since:
                continue  # from the time before the machine was there
            async with asyncio.timeout(PATIENCE_S):
                await until_seen(value)
            taken.append((seen.pop(value) - moment) / 1e6)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    return taken


# -- many items --


class Client10Hz:
    """What a client took of the counters: values that came, processor time, and how long its loop was held up."""

    def __init__(self) -> None:
        self.received = 0
        self.cpu_share = 0.0
        self.cpu_us = 0.0
        self.loss = 0.0
        self.rate = 0.0
        self.held_up_ms: list[float] = []

    async def measure(self, source: Server, seconds: float) -> None:
        """Let the counters go for a while, once everything is subscribed."""
        await self._settled(ITEMS)
        received, cpu_s, since = self.received, time.process_time(), time.monotonic()
        await source.ask("go")
        watching = asyncio.create_task(self._watch_loop())
        await asyncio.sleep(seconds)
        cpu_s, lasted_s = time.process_time() - cpu_s, time.monotonic() - since
        watching.cancel()
        (written,) = await source.ask("pause")
        await self._settled(received)
        self.rate = written / lasted_s
        self.cpu_share = cpu_s / lasted_s
        self.cpu_us = 1e6 * cpu_s / written
        self.loss = 1 - (self.received - received) / written

    async def _settled(self, least: int) -> None:
        """Wait until at least so many values came and no more do."""
        async with asyncio.timeout(PATIENCE_S):
            before = -1
            while self.received < least or self.received != before:
                before = self.received
                await asyncio.sleep(SETTLE_S)

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.002
            await asyncio.sleep(0.002)
            self.held_up_ms.append(1e3 * (loop.time() - due))


async def with_driver(endpoint: str, source: Server, seconds: float) -> Client10Hz:
    """Subscribe with the driver's connection."""
    found = Client10Hz()
    real = subscription.reading_of

    def reading_of(data: Any) -> Any:
        found.received += 1
        return real(data)

    subscription.reading_of = reading_of
    try:
        async with open_connection(settings(endpoint), None) as connection:
            namespace = connection.namespaces.index(URI)
            items = {f"c{n}": Item(f"ns={namespace};s=c{n}", counter=True) for n in range(ITEMS)}
            refused = await connection.subscribe(items, None, lambda values, events, *, gap: None)
            if refused:
                raise OSError(f"items were refused: {refused}")
            await found.measure(source, seconds)
    finally:
        subscription.reading_of = real
    return found


async def with_bare_client(endpoint: str, source: Server, seconds: float) -> Client10Hz:
    """Subscribe with asyncua's own Client and Subscription."""
    found = Client10Hz()

    class Handler:
        def datachange_notification(self, _node: Any, _value: Any, _data: Any) -> None:
            found.received += 1

    defaults = settings(endpoint)
    async with Client(endpoint) as client:
        namespace = await client.get_namespace_index(URI)
        nodes = [client.get_node(ua.NodeId(f"c{n}", namespace)) for n in range(ITEMS)]
        reports = await client.create_subscription(defaults.publishing_ms, Handler())
        await reports.subscribe_data_change(nodes, queuesize=100, sampling_interval=defaults.sampling_ms)
        await found.measure(source, seconds)
        await reports.delete()
    return found


# -- an outage of all machines at once --


async def storm(machines: int, outage_s: float) -> tuple[float, int, int]:
    """Return the seconds from the end of an outage until all are live, sessions made since, sessions at the end."""
    port = free_port()
    clock = SystemClock()
    async with server("storm", port) as source:
        endpoint = f"opc.tcp://127.0.0.1:{port}/lathe"
        drivers = [OpcUaDriver(f"m{n}", f"M{n}", "lathe", settings(endpoint), clock) for n in range(machines)]
        live = asyncio.Event()

        def note(_state: object) -> None:
            live.set()

        async def all_live() -> None:
            while any(one.state().availability is not Availability.AVAILABLE for one in drivers):
                live.clear()
                await live.wait()

        for one in drivers:
            one.subscribe(note)
        tasks = [asyncio.create_task(one.run()) for one in drivers]
        try:
            async with asyncio.timeout(PATIENCE_S):
                await all_live()
            await source.ask("silence")
            await asyncio.sleep(outage_s)
            before, _ = await source.ask("count")
            await source.ask("talk")
            since = time.monotonic()
            async with asyncio.timeout(PATIENCE_S):
                await all_live()
            seconds = time.monotonic() - since
            # The sessions that the outage left on the server run out.
            await asyncio.sleep(3.0)
            after, left = await source.ask("count")
            return seconds, after - before, left
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    logging.getLogger("edge").setLevel(logging.CRITICAL)
    interval_ms = settings("opc.tcp://127.0.0.1:4840").publishing_ms
    taken = await latencies_ms(25 if quick else 80)
    for share in (0.5, 0.99):
        name = f"OPC UA: change in the server to the console's WebSocket, p{100 * share:g}"
        yield row(name, percentile(taken, share), "ms", INTERVAL, interval_ms)

    seconds = 4.0 if quick else 8.0
    port = free_port()
    async with server("items", port, ITEMS, HERTZ) as source:
        endpoint = f"opc.tcp://127.0.0.1:{port}/items"
        ours = await with_driver(endpoint, source, seconds)
        bare = await with_bare_client(endpoint, source, seconds)
    title = f"OPC UA: {ITEMS:,} items at {HERTZ:g} Hz"
    yield row(f"{title}, processor", ours.cpu_share, "s/s", BARE, bare.cpu_share)
    yield row(f"{title}, processor per value written", ours.cpu_us, "us", BARE, bare.cpu_us)
    yield row(f"{title}, loss", 100 * ours.loss, "%", BARE, 100 * bare.loss)
    held_up = [percentile(one.held_up_ms, 0.99) for one in (ours, bare)]
    yield row(f"{title}, loop held up, p99", held_up[0], "ms", BARE, held_up[1])
    yield row(f"{title}, values written", ours.rate, "1/s", BARE, bare.rate)

    alone_s, _, _ = await storm(1, 7.0 if quick else 10.0)
    all_s, created, left = await storm(MACHINES, 7.0 if quick else 10.0)
    title = f"OPC UA: {MACHINES} machines after a common outage"
    yield row(f"{title}, until all are live", all_s, "s", "one machine alone", alone_s)
    yield row(f"{title}, sessions created", created, "", "machines", MACHINES)
    yield row(f"{title}, sessions 3 s later", left, "", "machines", MACHINES)
