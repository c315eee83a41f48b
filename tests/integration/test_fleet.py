# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated fleet, small: it measures something, and says so where the ledger does not hold what it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks import fleet
from benchmarks.fleet import Sizes
from benchmarks.fleet_labs import Fleet, Lab
from benchmarks.fleet_mqtt import Client, connect
from benchmarks.fleet_world import World, cpu_s
from benchmarks.stats import Row
from tests.hardware_sim.lab.ports import free_port
from tests.support.air import eventually
from tests.support.broker import Mosquitto
from tests.support.impostor import served
from tests.support.office import POSTGRES_BIN

TINY = Sizes(labs=6, shared_labs=20, connections=3, seconds=0.5, backlog=1, small=6, shared_small=2, at_once=4)


@pytest.mark.timeout(180)
async def test_a_tiny_fleet_is_counted_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    if not (POSTGRES_BIN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed")
    rows: list[Row] = []
    following = await fleet.measure(TINY, 1, rows)
    fleet.show(rows, 1.0)
    figures = {row["name"]: row["value"] for row in rows}
    assert figures["6 labs with certificates, morning: attempts a lab"] == 1
    # A first batch of each lab in the morning, and a full one of the region's lab.
    assert figures["6 labs with certificates: facts in the ledger, all of them acknowledged"] >= 6 * 4 + 500
    assert 4 <= figures["20 labs over 3 connections: facts in the ledger, all of them acknowledged"] <= 20 * 8
    assert following.row_count == 7
    said = capsys.readouterr()
    assert "the morning" in said.err
    assert len(said.out.splitlines()) == len(rows)


class Short:
    """A world whose ledger lacks a fact."""

    def count(self) -> int:
        """Return one too few, with the probe's."""
        return 10


def test_a_ledger_that_lacks_facts_fails_the_run() -> None:
    lab = Lab("van-1", acknowledged=10)
    short: World = Short()  # type: ignore[assignment]
    with pytest.raises(OSError, match="the ledger has 9 facts of 10 that were acknowledged"):
        fleet.exact(short, Fleet(short, {"van-1": lab}))


def test_processor_time_of_what_is_not_there_is_none() -> None:
    assert cpu_s(2**22 + 1) == 0
    assert cpu_s(1) > 0


@asynccontextmanager
async def connected(port: int, got: list[tuple[str, bytes]]) -> AsyncIterator[Client]:
    client = await connect(port, "x", lambda topic, payload: got.append((topic, payload)), ("will", b"gone"))
    try:
        yield client
    finally:
        client.close()
        await client.lost


async def test_the_small_client_speaks_mqtt_with_mosquitto(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        got: list[tuple[str, bytes]] = []
        async with connected(broker.port, got) as client:
            await client.subscribe("a/+")
            for size in (0, 100, 200, 20_000, 300_000):
                client.publish("a/b", bytes(size))
            await eventually(lambda: [len(payload) for _, payload in got] == [0, 100, 200, 20_000, 300_000])
            async with connected(broker.port, []):  # by the same client id: the broker ends the first
                await asyncio.wait_for(client.lost, 15)
            with pytest.raises(ConnectionError):
                client.publish("a/b", b"")
            with pytest.raises(ConnectionError):
                await client.subscribe("a/b")


async def test_the_small_client_tells_a_refusal_from_silence() -> None:
    answers = [bytes([0x20, 3, 0, 0x87, 0])]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4_096)
        writer.write(answers.pop() if answers else b"")
        await writer.drain()
        writer.close()

    async with served(serve) as port:
        for said in ("refused with 0x87", "the connection was lost"):
            with pytest.raises(ConnectionError, match=said):
                async with connected(port, []):
                    pass
    with pytest.raises(ConnectionRefusedError):
        async with connected(free_port(), []):
            pass
