# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that are gone for 10 s and for a minute, on both stacks at once, with the settings that a lab has by default.

All outages run side by side, since most of their time is waiting. A recovery ends when the machine is seen again; it
begins when the network forwards again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge.drivers.opcua.settings import OpcUaSettings
from edge.pki import Pki
from tests.support.certificates import make
from tests.support.opcua import Lathe, lathe_process
from tests.support.opcua_node import node_lathe_process
from tests.support.opcua_trial import Settings, Trial, counted, followed
from tests.support.proxy import Proxy

log = logging.getLogger(__name__)

RECOVERY_S = 5.0
NODE_URI = "urn:infomobil:simulator:node-lathe"


async def cut(proxy: Proxy, seconds: float) -> None:
    """Reset the connections and refuse new ones for a while."""
    await proxy.refuse()
    await asyncio.sleep(seconds)
    await proxy.accept()


async def silent(proxy: Proxy, seconds: float) -> None:
    """Forward nothing for a while."""
    proxy.silence()
    await asyncio.sleep(seconds)
    proxy.talk()


OUTAGES: dict[str, Callable[[Proxy], Coroutine[Any, Any, None]]] = {
    "cut 10 s": partial(cut, seconds=10.0),
    "silent 10 s": partial(silent, seconds=10.0),
    "silent 60 s": partial(silent, seconds=60.0),
}


def by_default(endpoint: str, **changes: str) -> OpcUaSettings:
    """Return the settings of a lab that changed as little as it could."""
    return OpcUaSettings.model_validate({"driver": "opcua", "endpoint": endpoint, **changes})


@asynccontextmanager
async def two_lathes(folder: Path) -> AsyncIterator[list[tuple[Lathe, Settings, Pki | None]]]:
    """Run both stacks, the second one secured."""
    made = make(uri=NODE_URI)
    _, key = made.write(folder, "node")
    certificate = folder / "node.crt"
    certificate.write_bytes(made.pem)
    pki = Pki(folder / "pki")
    pki.trust_list.trust(made.certificate)
    secured = ("--security", "--certificate", str(certificate), "--key", str(key))
    speed = ("--speed", "50")
    async with (
        lathe_process(folder, *speed) as plain,
        node_lathe_process(folder, *speed, *secured) as signed,
    ):
        yield [(plain, partial(by_default, security="none"), None), (signed, by_default, pki)]


async def recovery(one: Trial, outage: Callable[[Proxy], Coroutine[Any, Any, None]]) -> float:
    """Let an outage pass; return how many seconds after it the machine is seen again."""
    began = asyncio.create_task(outage(one.proxy))
    await one.watch.until_unavailable()
    await began
    return await one.recovered()


@pytest.mark.timeout(180)
async def test_links_that_come_back_are_used_within_five_seconds(tmp_path: Path) -> None:
    async with two_lathes(tmp_path) as lathes, AsyncExitStack() as stack:
        trials: dict[str, Trial] = {}
        for lathe, settings, pki in lathes:
            census = await stack.enter_async_context(counted(lathe, most_sessions=len(OUTAGES)))
            for name in OUTAGES:
                one = await stack.enter_async_context(followed(lathe, census, settings, pki))
                trials[f"{type(lathe).__name__}, {name}"] = one
        first = {name: (await one.watch.until_available()).part_count for name, one in trials.items()}
        found = await asyncio.gather(
            *(recovery(one, OUTAGES[name.partition(", ")[2]]) for name, one in trials.items()),
        )
        seconds = {name: round(one, 2) for name, one in zip(trials, found, strict=True)}
        log.info("recovered after %s", seconds)
        assert max(seconds.values()) <= RECOVERY_S, seconds
        for name, one in trials.items():
            assert len(one.gaps) == 1, name
            await one.check_parts(first[name] or 0)
