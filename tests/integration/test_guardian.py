# SPDX-License-Identifier: GPL-3.0-or-later
"""The guardian: stops a cutting machine when the process that holds it is killed or stuck, and else does nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge.domain.errors import DriverUnavailable
from edge.guardian.client import GuardianClient
from tests.hardware_sim.lab.ports import free_port
from tests.support.grbl import ROOT, Simulator, eventually, simulator
from tests.support.guardian import Port, about, gone, guarding
from tests.support.laser import engraver

STATUS = "?"


@pytest.fixture
def port() -> Port:
    return Port()


class Holder:
    """The process that cuts."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.guardian = 0

    async def hears(self, word: str) -> str:
        """Return the rest of the next line that begins with `word`."""
        assert self.process.stdout is not None
        while line := (await asyncio.wait_for(self.process.stdout.readline(), 20)).decode():
            if line.startswith(word):
                return line.removeprefix(word).strip()
        raise AssertionError(f"the holder never said {word}")


@asynccontextmanager
async def holding(sim: Simulator, how: str = "", until: str = "cutting", port: str = "") -> AsyncIterator[Holder]:
    notes = sim.port.parent / "notes"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.grbl_holder", port or str(sim.port), str(notes), how),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    holder = Holder(process)
    try:
        holder.guardian = int(await holder.hears("guardian"))
        await holder.hears(until)
        yield holder
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
        await eventually(lambda: gone(holder.guardian), "the guardian ended with its holder")


def after_hold(sim: Simulator, begin: int = 0) -> list[tuple[str, str]]:
    """Return direction and bytes from the first hold on, without status requests."""
    wire = [(entry["dir"], entry["data"].replace(STATUS, "")) for entry in sim.wire()[begin:]]
    first = next(number for number, (direction, data) in enumerate(wire) if direction == "rx" and "!" in data)
    return [entry for entry in wire[first:] if entry[1]]


async def check_stopped_in_order(sim: Simulator, begin: int = 0) -> None:
    """Check hold, stand, reset, in this order, on the wire; spindle off, position kept."""
    await eventually(lambda: "Grbl" in str(after_hold(sim, begin)), "the controller restarted")
    wire = after_hold(sim, begin)
    standing = next(n for n, (direction, data) in enumerate(wire) if direction == "tx" and "<Hold:0" in data)
    reset = next(n for n, (direction, data) in enumerate(wire) if direction == "rx" and "\x18" in data)
    assert wire[0][0] == "rx"
    assert set(wire[0][1]) == {"!"}
    assert 0 < standing < reset
    assert not any("ALARM" in data for _, data in wire)
    truth = await sim.truth()
    assert truth["spindle"] == "off"
    assert truth["lost_steps"] == 0
    assert truth["mcu_restarts"] == (0 if begin else 1)


def lines_after_reset(sim: Simulator, begin: int = 0) -> str:
    """Return what the controller received after the first reset, without real-time bytes."""
    received = sim.received()[begin:]
    return received[received.index("\x18") :].translate(str.maketrans("", "", "\x18!?"))


def moves(lines: str) -> list[str]:
    """Return the lines that could move an axis or start anything."""
    return [line for line in lines.split("\n") if line and line not in ("$I", "$$", "$#", "$G")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_death_in_mid_cut(tmp_path: Path, number: signal.Signals) -> None:
    async with simulator(tmp_path, speed=5) as sim:
        async with holding(sim) as holder:
            holder.process.send_signal(number)
            await eventually(lambda: "\x18" in sim.received())
            await check_stopped_in_order(sim)
            await eventually(lambda: gone(holder.guardian))
        # Who comes later finds the machine in fault, and moves nothing.
        async with holding(sim, until="fault") as later:
            assert await later.process.wait() == 0
        assert moves(lines_after_reset(sim)) == []
        assert list((tmp_path / "notes").iterdir()) == []


async def test_death_in_mid_cut_over_a_network(tmp_path: Path) -> None:
    """The duplicate of a connection outlives its process, and the hold goes out over it."""
    number = free_port()
    async with engraver(tmp_path, number, speed=5) as sim:
        url = f"socket://127.0.0.1:{number}"
        async with holding(sim, port=url) as holder:
            # Opening a connection resets nothing: a hold and a reset have been there before.
            begin, before = len(sim.wire()), len(sim.received())
            holder.process.kill()
            await eventually(lambda: "\x18" in sim.received()[before:])
            await check_stopped_in_order(sim, begin)
            await eventually(lambda: gone(holder.guardian))
        async with holding(sim, until="fault", port=url) as later:
            assert await later.process.wait() == 0
        assert moves(lines_after_reset(sim, before)) == []


async def test_a_stopped_process_in_mid_cut(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=5) as sim, holding(sim) as holder:
        holder.process.send_signal(signal.SIGSTOP)
        await eventually(lambda: "\x18" in sim.received())
        holder.process.send_signal(signal.SIGCONT)
        assert "guardian" in await holder.hears("failed")
        assert "fallen silent" in await holder.hears("fault")
        assert await holder.process.wait() == 0
        await check_stopped_in_order(sim)
        assert moves(lines_after_reset(sim)) == []
        assert list((tmp_path / "notes").iterdir()) == []


@pytest.mark.parametrize("how", ["block-python", "block-c"])
async def test_a_loop_that_hangs_for_a_second_in_mid_cut(tmp_path: Path, how: str) -> None:
    async with simulator(tmp_path, speed=5) as sim, holding(sim, how) as holder:
        assert "guardian" in await holder.hears("failed")
        assert "fallen silent" in await holder.hears("fault")
        assert await holder.process.wait() == 0
        await check_stopped_in_order(sim)
        assert moves(lines_after_reset(sim)) == []


async def test_the_guardian_is_killed_in_mid_cut(tmp_path: Path) -> None:
    """No unguarded motion: the edge itself holds, keeps the position and waits for a person."""
    async with simulator(tmp_path, speed=5) as sim, holding(sim) as holder:
        os.kill(holder.guardian, signal.SIGKILL)
        assert "guardian" in await holder.hears("failed")
        assert "guardian process ended" in await holder.hears("fault")
        assert await holder.process.wait() == 0
        await check_stopped_in_order(sim)
        assert moves(lines_after_reset(sim)) == []


async def test_the_guardian_is_stuck_in_mid_cut(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=2) as sim, holding(sim) as holder:
        os.kill(holder.guardian, signal.SIGSTOP)
        try:
            assert "guardian" in await holder.hears("failed")
        finally:
            os.kill(holder.guardian, signal.SIGCONT)
        assert "got stuck" in await holder.hears("fault")
        assert await holder.process.wait() == 0
        await check_stopped_in_order(sim)


async def test_a_second_edge_neither_steals_nor_disturbs(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=40) as sim, holding(sim) as first:
        before = len(sim.received())
        async with holding(sim, until="away") as second:
            await first.hears("finished")
            assert await first.process.wait() == 0
            assert not set(sim.received()[before:]) & {"!", "\x18", "$"}
            # The port is free now, and the second gets it.
            await second.hears("cutting")


async def test_a_second_edge_waits_for_the_guardian_of_the_first(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=5) as sim, holding(sim) as first:
        os.kill(first.guardian, signal.SIGSTOP)
        try:
            first.process.kill()
            await eventually(lambda: gone(first.process.pid))
            async with holding(sim, until="away") as second:
                assert "\x18" not in sim.received()
                os.kill(first.guardian, signal.SIGCONT)
                assert "fallen silent" in await second.hears("fault")
                assert await second.process.wait() == 0
        finally:
            with suppress(ProcessLookupError):
                os.kill(first.guardian, signal.SIGCONT)
        await check_stopped_in_order(sim)
        assert moves(lines_after_reset(sim)) == []


async def test_an_orderly_end_writes_nothing(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=40) as sim, holding(sim) as holder:
        await holder.hears("finished")
        assert await holder.process.wait() == 0
        await eventually(lambda: gone(holder.guardian))
        assert "!" not in sim.received()
        assert "\x18" not in sim.received()


async def test_ctrl_c_is_not_for_the_guardian(tmp_path: Path) -> None:
    trips: list[str] = []
    async with guarding(trips) as client:
        pid = client.pid
        assert pid is not None
        assert os.getpgid(pid) != os.getpgid(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        heard = asyncio.get_running_loop().time()
        await eventually(lambda: asyncio.get_running_loop().time() > heard + 0.5)
        assert client.alive
        assert client.pid == pid


async def test_silence_stops_only_what_is_armed() -> None:
    armed, other = Port(), Port()
    trips: list[str] = []
    async with guarding(trips) as client:
        client.watch("a", armed.host)
        client.watch("b", other.host)
        assert not client.alive
        await eventually(lambda: client.alive)
        await client.arm("a")
        await client.arm("b")
        await client.disarm("b")
        time.sleep(0.4)  # noqa: ASYNC251 - the loop hangs, which is the point
        await eventually(lambda: trips)
        assert trips == ["a"]
        # No answer came, so the reset follows after the longest wait.
        heard = await armed.hears(b"\x18")
        assert heard[:1] == b"!"
        assert set(heard[1:-1]) == set(b"!?")
        assert other.heard() == b""
        # It has acted once; only a person's new start arms it again.
        time.sleep(0.4)  # noqa: ASYNC251
        await eventually(lambda: client.alive)
        assert armed.heard() == b""
    armed.close()
    other.close()


async def test_a_short_hang_is_forgiven(port: Port) -> None:
    trips: list[str] = []
    longest = 0.0
    async with guarding(trips) as client:
        client.watch("a", port.host)
        await client.arm("a")
        for _ in range(3):
            begin = time.monotonic()
            time.sleep(0.1)  # noqa: ASYNC251
            await asyncio.sleep(0.06)
            longest = max(longest, time.monotonic() - begin)
        await client.disarm("a")
        if longest > 0.2:
            pytest.skip("this computer is too busy for a short hang")
        assert port.heard() == b""
    port.close()


async def test_the_end_of_the_client_while_armed_stops_the_machine(port: Port) -> None:
    async with guarding([]) as client:
        client.watch("a", port.host)
        await client.arm("a")
        os.write(port.controller, b"<Idle|MPos:0,0,0>\r\n")
        os.write(port.controller, b"<Run|MPos:0,0,0>\r\n")
    heard = await port.hears(b"\x18")
    assert heard[:1] == b"!"
    port.close()


async def test_the_guardian_keeps_its_own_descriptor(port: Port) -> None:
    """A number that now means another file is not written to."""
    bait_read, bait_write = os.pipe()
    async with guarding([]) as client:
        client.watch("a", port.host)
        await client.arm("a")
        os.dup2(bait_write, port.host)
    os.set_blocking(bait_read, False)
    with pytest.raises(BlockingIOError):
        os.read(bait_read, 10)
    for descriptor in (bait_read, bait_write):
        os.close(descriptor)
    port.close()


async def test_a_port_that_is_gone_holds_nobody_up(port: Port) -> None:
    trips: list[str] = []
    other = Port()
    async with guarding(trips) as client:
        client.watch("gone", port.host)
        client.watch("here", other.host)
        await client.arm("gone")
        await client.arm("here")
        os.close(port.controller)
        time.sleep(0.4)  # noqa: ASYNC251
        await eventually(lambda: len(trips) == 2)
        assert (await other.hears(b"\x18"))[:1] == b"!"
    port.close()
    other.close()


async def test_arming_what_is_not_watched_is_refused(port: Port) -> None:
    async with guarding([]) as client:
        with pytest.raises(DriverUnavailable, match="port is not open"):
            await client.arm("a")
        client.watch("a", port.host)
        await client.arm("a")
        client.unwatch("a")
        with pytest.raises(DriverUnavailable, match="port is not open"):
            await client.arm("a")
        await client.disarm("a")
        client.unwatch("a")
    assert port.heard() == b""
    port.close()


async def test_without_a_process_nothing_is_armed(port: Port) -> None:
    client = GuardianClient(lambda _: None, lambda _: None)
    assert not client.alive
    assert client.pid is None
    client.watch("a", port.host)
    with pytest.raises(DriverUnavailable, match="does not run"):
        await client.arm("a")
    with pytest.raises(DriverUnavailable):
        await client.disarm("a")
    await client.stop()
    port.close()


async def test_a_dead_guardian_is_seen_and_replaced(port: Port) -> None:
    trips: list[str] = []
    unminded: list[str] = []
    async with guarding(trips, unminded) as client:
        client.watch("a", port.host)
        await client.arm("a")
        first = client.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: not client.alive)
        with pytest.raises(DriverUnavailable):
            await client.arm("a")
        await eventually(lambda: client.alive)
        assert unminded == ["a"]
        assert client.pid != first
        assert gone(first)
        # The new one knows the port, and minds nothing that it was not told to.
        time.sleep(0.4)  # noqa: ASYNC251
        await asyncio.sleep(0.1)
        assert port.heard() == b""
        await client.arm("a")
        time.sleep(0.4)  # noqa: ASYNC251
        await eventually(lambda: trips == ["a"])
        assert (await port.hears(b"\x18"))[:1] == b"!"
    port.close()


async def test_a_stuck_guardian_is_not_alive(port: Port) -> None:
    async with guarding([]) as client:
        assert client.pid is not None
        os.kill(client.pid, signal.SIGSTOP)
        await eventually(lambda: not client.alive)
        client.watch("a", port.host)
        with pytest.raises(DriverUnavailable, match="does not answer"):
            await client.arm("a")
        os.kill(client.pid, signal.SIGCONT)
        await eventually(lambda: client.alive)
        await client.disarm("a")
    port.close()


async def test_the_process_is_small_and_imports_nothing_of_ours() -> None:
    async with guarding([]) as client:
        status = about(client, "status")
        resident_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
        assert resident_kb < 20_000
        assert "site-packages" not in about(client, "maps")
