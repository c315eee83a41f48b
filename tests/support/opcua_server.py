# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own OPC UA server in its own process, fed by the test, and clients for it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

from asyncua import Client, Node, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from edge.opcua_server.child import Child
from edge.opcua_server.facts import MachineFacts, Nameplate, Plan, Report, to_line
from edge.pki import Pki
from tests.hardware_sim.lab.ports import free_port
from tests.support.certificates import Made, make
from tests.support.grbl import eventually

OWN = "urn:infomobil:test"
START_S = 60.0
TOOL = "http://opcfoundation.org/UA/MachineTool/"
ROUTER = Nameplate("router", "Router", "router", "grbl")
LATHE = Nameplate("lathe", "Lathe", "lathe", "opcua", "Maker", "T 1", "S-1", "urn:maker:t1:1", 2019, "Vilnius")
CLIENT_URI = "urn:test:umati"


def plan(folder: Path, **changes: Any) -> Plan:
    """Return a plan with two machines on a free port of loopback, for everybody to read."""
    usual: dict[str, Any] = {
        "lab_id": "test",
        "lab_name": "Test",
        "version": "0.0",
        "host": "127.0.0.1",
        "port": free_port(),
        "pki": str(folder / "opcua"),
        "anonymous": True,
        # Behind everything else, as in a van, its start takes minutes where other tests keep every core busy.
        "niceness": 0,
        "machines": (ROUTER, LATHE),
    }
    return Plan(**{**usual, **changes})


def heard(machine_id: str = "router", **changes: Any) -> MachineFacts:
    """Return the facts of a machine that stands and is heard."""
    usual: dict[str, Any] = {
        "taken_ns": time.time_ns(),
        "available": True,
        "execution": "READY",
        "mode": "AUTOMATIC",
        "feed_override": 100,
        "rapid_override": 100,
        "spindle_override": 100,
    }
    return MachineFacts(machine_id, **{**usual, **changes})


class Served:
    """A running process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.reports: list[Report] = []
        self.child: Child
        self._ended: asyncio.Task[int]
        self._beat: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self.child = await Child.start(self.plan, self.reports.append)
        self._ended = asyncio.create_task(self.child.ended())
        self._speak()
        await eventually(lambda: self.reports or self._ended.done(), "the server reports", START_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._beat.cancel()
        await self.child.stop()
        await self._ended

    def _speak(self) -> None:
        self._beat = asyncio.create_task(self._beats())

    async def _beats(self) -> None:
        while True:
            self.child.write(b"\n")
            await asyncio.sleep(0.5)

    @property
    def endpoint(self) -> str:
        return self.plan.endpoint

    @property
    def pki(self) -> Pki:
        return Pki(Path(self.plan.pki))

    def show(self, facts: MachineFacts) -> None:
        """Tell the server something."""
        self.child.write(to_line(facts))

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Tell nothing inside, and keep the pipe open."""
        self._beat.cancel()
        yield
        self._speak()

    async def exit_status(self) -> int:
        """Wait until the process has ended."""
        async with asyncio.timeout(START_S):
            return await asyncio.shield(self._ended)

    @property
    def is_running(self) -> bool:
        try:
            os.kill(self.child.pid, 0)
        except ProcessLookupError:
            return False
        return not self._ended.done()


class Umati:
    """A client that reads and subscribes below the machines."""

    def __init__(self, client: Client, own: int, tool: int) -> None:
        self.client = client
        self.own = own
        self.tool = tool
        self.changes: list[tuple[str, Any, str]] = []
        self.events: list[Any] = []

    def node(self, path: str) -> Node:
        return self.client.get_node(ua.NodeId(path, self.own))

    async def value(self, path: str) -> Any:
        return (await self.node(path).read_data_value(raise_on_bad_status=False)).Value.Value

    async def code(self, path: str) -> str:
        return str((await self.node(path).read_data_value(raise_on_bad_status=False)).StatusCode.name)

    async def until(self, path: str, wanted: object) -> None:
        """Wait until a node has a value."""
        async with asyncio.timeout(20):
            while await self.value(path) != wanted:
                await asyncio.sleep(0.02)

    async def until_code(self, path: str, wanted: str) -> None:
        """Wait until a node has a status."""
        async with asyncio.timeout(20):
            while await self.code(path) != wanted:
                await asyncio.sleep(0.02)

    async def subscribe(self, *paths: str, alarms_of: str = "") -> Any:
        """Subscribe to values, and to the alarms of a machine."""
        subscription = await self.client.create_subscription(100, self)
        if paths:
            await subscription.subscribe_data_change([self.node(path) for path in paths])
        if alarms_of:
            alert = ua.NodeId(39, self.tool)
            await subscription.subscribe_alarms_and_conditions(self.node(f"{alarms_of}/Notification/Messages"), alert)
        return subscription

    def datachange_notification(self, node: Node, value: Any, data: Any) -> None:
        self.changes.append((str(node.nodeid.Identifier), value, data.monitored_item.Value.StatusCode.name))

    def event_notification(self, event: Any) -> None:
        self.events.append(event)

    def status_change_notification(self, status: Any) -> None:
        raise AssertionError(status)


@asynccontextmanager
async def umati(endpoint: str, prepare: Callable[[Client], Any] | None = None, own: str = OWN) -> AsyncIterator[Umati]:
    """Connect a client; `prepare` sets its security."""
    client = Client(endpoint, timeout=10)
    if prepare is not None:
        await prepare(client)
    async with client:
        uris = await client.get_namespace_array()
        yield Umati(client, uris.index(own), uris.index(TOOL))


def application(**changes: Any) -> Made:
    """Return the certificate of a client application."""
    return make(**{"uri": CLIENT_URI, "name": "Umati client", **changes})


def secured(made: Made, folder: Path, policy: type[Any] = SecurityPolicyBasic256Sha256) -> Callable[[Client], Any]:
    """Return what gives a client the certificate `made`."""

    async def prepare(client: Client) -> None:
        client.application_uri = CLIENT_URI
        certificate, key = made.write(folder, f"client-{made.certificate.thumbprint[:8]}")
        await client.set_security(policy, str(certificate), str(key))

    return prepare
