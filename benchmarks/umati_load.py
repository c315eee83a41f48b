# SPDX-License-Identifier: GPL-3.0-or-later
"""Umati clients in a process of their own: each subscribes, signed and encrypted, to every variable of every machine.

`python -m benchmarks.umati_load ENDPOINT PKI COUNT` makes one client certificate, trusts it in the lab's folder PKI,
and says `ready` when all clients are subscribed. When its input ends it prints one JSON line of what they were told.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from asyncua import Client, Node, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from edge.pki import Pki
from tests.support.certificates import make

URI = "urn:bench:umati"
PERIOD_MS = 100.0


class Counter:
    """Counts what one client is told."""

    def __init__(self) -> None:
        self.count = 0

    def datachange_notification(self, node: Node, value: object, data: object) -> None:
        """Take a change."""
        self.count += 1


async def variables(node: Node) -> AsyncIterator[Node]:
    """Yield every variable below a node."""
    for child in await node.get_children(nodeclassmask=ua.NodeClass.Object | ua.NodeClass.Variable):
        if await child.read_node_class() == ua.NodeClass.Variable:
            yield child
        async for below in variables(child):
            yield below


async def run(endpoint: str, pki: Path, count: int) -> dict[str, Any]:
    """Keep the clients subscribed until the input ends."""
    made = make("umati load", uri=URI)
    Pki(pki).trust_list.trust(made.certificate)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        certificate, key = made.write(Path(stack.enter_context(tempfile.TemporaryDirectory())), "client")
        counters, wanted = [], set[ua.NodeId]()
        for _ in range(count):
            client = Client(endpoint, timeout=20)
            client.application_uri = URI
            await client.set_security(SecurityPolicyBasic256Sha256, str(certificate), str(key))
            await stack.enter_async_context(client)
            if not wanted:
                uris = await client.get_namespace_array()
                machines = client.get_node(ua.NodeId(1001, uris.index("http://opcfoundation.org/UA/Machinery/")))
                wanted = {one.nodeid async for one in variables(machines)}
            counters.append(Counter())
            subscription = await client.create_subscription(PERIOD_MS, counters[-1])
            await subscription.subscribe_data_change([client.get_node(one) for one in wanted])
        before, began = sum(one.count for one in counters), time.monotonic()
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        told = sum(one.count for one in counters) - before
        return {"notifications": told, "seconds": time.monotonic() - began, "items": count * len(wanted)}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print(json.dumps(asyncio.run(run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))), flush=True)
