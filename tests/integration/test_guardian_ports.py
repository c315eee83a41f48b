# SPDX-License-Identifier: GPL-3.0-or-later
"""The guardian writes to the port that it was given and to nothing else, and no port holds it up."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.domain.errors import DriverUnavailable, MotionRefused
from edge.domain.hand import Displacement
from edge.domain.inputs import InputRule, InputSample
from edge.domain.ports import ProgramText
from edge.guardian.client import GuardianClient
from edge.services.bus import EventBus
from edge.services.hand import MachineHand
from edge.services.hand_settings import HandSettings
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from tests.support.fakes import FakeClock, MemoryStore
from tests.support.grbl import eventually
from tests.support.guardian import Port, about, guarding
from tests.support.hand import FakeHandDriver

HANG_S = 0.4
RULE = InputRule("door", "Door", "controller", 60_000_000_000, "Close the door.")


def hang() -> None:
    """Give no sign of life for longer than the guardian's patience."""
    time.sleep(HANG_S)


class Connection:
    """A TCP connection of which the test is the controller."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.host = socket.create_connection(server.getsockname())
            self.controller, _ = server.accept()
        self.host.setblocking(False)
        self.controller.setblocking(False)

    def heard(self) -> bytes:
        """Return what has arrived since the last call."""
        data = b""
        with suppress(BlockingIOError, ConnectionResetError):
            while chunk := self.controller.recv(65536):
                data += chunk
        return data

    async def hears(self, last: bytes) -> bytes:
        """Return what arrives up to a chunk that ends with `last`."""
        data = b""

        def arrived() -> bool:
            nonlocal data
            data += self.heard()
            return data.endswith(last)

        await eventually(arrived, f"the connection hears {last!r}")
        return data

    def close(self) -> None:
        self.host.close()
        self.controller.close()


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.close()


@pytest.fixture
def connection() -> Iterator[Connection]:
    connection = Connection()
    yield connection
    connection.close()


def cpu_ticks(client: GuardianClient) -> int:
    """Return the processor time that the guardian has used, in hundredths of a second."""
    fields = about(client, "stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_a_number_that_was_given_out_again_is_not_handed_to_a_new_guardian(port: Port, tmp_path: Path) -> None:
    async with guarding([]) as client:
        client.watch("a", port.host)
        await eventually(lambda: client.alive)
        bait = os.open(tmp_path / "bait", os.O_RDWR | os.O_CREAT)
        os.dup2(bait, port.host)
        assert client.pid is not None
        os.kill(client.pid, signal.SIGKILL)
        await eventually(lambda: not client.alive)
        await eventually(lambda: client.alive)
        with pytest.raises(DriverUnavailable, match="port is not open"):
            await client.arm("a")
        os.close(bait)
    assert (tmp_path / "bait").read_bytes() == b""


async def test_a_closed_number_is_not_handed_to_a_new_guardian(port: Port) -> None:
    async with guarding([]) as client:
        client.watch("a", port.host)
        await eventually(lambda: client.alive)
        os.close(port.host)
        assert client.pid is not None
        os.kill(client.pid, signal.SIGKILL)
        await eventually(lambda: not client.alive)
        await eventually(lambda: client.alive)
        with pytest.raises(DriverUnavailable, match="port is not open"):
            await client.arm("a")


async def test_another_port_with_the_same_number_gets_nothing(port: Port) -> None:
    """The number now means a second machine's port: only the first machine, which was armed, is stopped."""
    other = Port()
    trips: list[str] = []
    async with guarding(trips) as client:
        client.watch("a", port.host)
        await client.arm("a")
        os.dup2(other.host, port.host)
        hang()
        await eventually(lambda: trips == ["a"])
        heard = await port.hears(b"\x18")
        assert heard[:1] == b"!"
        assert other.heard() == b""
    other.close()


@pytest.mark.parametrize("what", ["file", "pipe", "null"])
async def test_what_is_no_port_is_not_held(what: str) -> None:
    read, write = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    with tempfile.TemporaryFile() as file:
        descriptor = {"file": file.fileno(), "pipe": write, "null": null}[what]
        async with guarding([]) as client:
            client.watch("a", descriptor)
            with pytest.raises(DriverUnavailable, match="port is not open"):
                await client.arm("a")
        assert file.read() == b""
        os.set_blocking(read, False)
        with pytest.raises(BlockingIOError):
            os.read(read, 1)
    for descriptor in (null, read, write):
        os.close(descriptor)


async def test_a_port_that_is_not_what_was_meant_is_not_held(port: Port) -> None:
    """As where the number was given out again between the look at it and its way to the guardian."""
    other = Port()
    about_other = os.fstat(other.host)
    async with guarding([]) as client:
        answer = client._send("watch", f"a {about_other.st_dev}:{about_other.st_ino}:{about_other.st_rdev}", port.host)
        assert answer is not None
        assert "not its port" in await answer
        with pytest.raises(DriverUnavailable, match="port is not open"):
            await client.arm("a")
    other.close()


async def test_a_device_that_came_in_the_place_of_a_lost_one_gets_nothing(port: Port) -> None:
    trips: list[str] = []
    async with guarding(trips) as client:
        client.watch("a", port.host)
        await client.arm("a")
        os.close(port.controller)
        port.controller = -1
        newcomers = [Port() for _ in range(3)]
        hang()
        await eventually(lambda: trips == ["a"])
        await client.disarm("a")
        assert [newcomer.heard() for newcomer in newcomers] == [b"", b"", b""]
        for newcomer in newcomers:
            newcomer.close()


async def test_a_port_that_hung_up_costs_no_time(connection: Connection, port: Port) -> None:
    """It reads as ended, again and again: no reason to look at it for half a second."""
    trips: list[str] = []
    async with guarding(trips) as client:
        client.watch("gone", connection.host.fileno())
        client.watch("here", port.host)
        await client.arm("gone")
        await client.arm("here")
        connection.controller.close()
        before = cpu_ticks(client)
        hang()
        assert (await port.hears(b"\x18"))[:1] == b"!"
        await eventually(lambda: set(trips) == {"gone", "here"})
        assert cpu_ticks(client) - before <= 10


async def test_a_connection_is_held_and_reset(connection: Connection) -> None:
    trips: list[str] = []
    async with guarding(trips) as client:
        client.watch("a", connection.host.fileno())
        await client.arm("a")
        connection.controller.send(b"<Run|MPos:0,0,0>\r\nok\r\n")
        hang()
        connection.controller.send(b"<Hold:0|MPos:0,0,0>\r\n")
        heard = await connection.hears(b"\x18")
        assert heard[:1] == b"!"
        assert set(heard[:-1]) <= set(b"!?")
        await eventually(lambda: trips == ["a"])


async def test_a_connection_that_takes_nothing_holds_nobody_up(connection: Connection, port: Port) -> None:
    with suppress(BlockingIOError):
        while True:
            connection.host.send(b"G1X1\n" * 10_000)
    trips: list[str] = []
    async with guarding(trips) as client:
        client.watch("full", connection.host.fileno())
        client.watch("here", port.host)
        await client.arm("full")
        await client.arm("here")
        before = cpu_ticks(client)
        hang()
        assert (await port.hears(b"\x18"))[:1] == b"!"
        await eventually(lambda: set(trips) == {"full", "here"})
        assert cpu_ticks(client) - before <= 10


async def test_nothing_is_sent_in_the_name_of_a_machine_that_may_have_been_stopped(port: Port) -> None:
    trips: list[str] = []
    async with guarding(trips) as client:
        client.watch("a", port.host)
        assert client.in_time("a")
        hang()
        assert client.in_time("a")
        await client.arm("a")
        await asyncio.sleep(0.1)
        assert client.in_time("a")
        hang()
        # Before anything else gets a turn.
        assert not client.in_time("a")
        await eventually(lambda: trips)
        await port.hears(b"\x18")
        assert not client.in_time("a")
        await client.disarm("a")
        assert client.in_time("a")
        assert trips == ["a"]


async def test_a_disk_that_takes_no_note_does_not_end_the_guard(port: Port, tmp_path: Path) -> None:
    trips: list[str] = []
    client = GuardianClient(trips.append, lambda _: None, tmp_path / "notes")
    await client.start()
    (tmp_path / "notes").rmdir()
    client.watch("a", port.host)
    await client.arm("a")
    hang()
    await eventually(lambda: trips == ["a"])
    await eventually(lambda: client.alive)
    await client.stop()


async def test_a_guardian_that_cannot_be_started_again_is_tried_again(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarding([]) as client:
        client.watch("a", port.host)
        await eventually(lambda: client.alive)
        attempts: list[int] = []

        def refuse(*_: object, **__: object) -> None:
            attempts.append(1)
            raise OSError(12, "Cannot allocate memory")

        with monkeypatch.context() as patch:
            patch.setattr("edge.guardian.client.subprocess.Popen", refuse)
            assert client.pid is not None
            os.kill(client.pid, signal.SIGKILL)
            await eventually(lambda: attempts)
            assert not client.alive
        await eventually(lambda: client.alive)


async def test_nothing_is_started_while_the_guardian_is_dead(port: Port) -> None:
    clock = FakeClock()
    driver = FakeHandDriver(clock)
    recorder = Recorder(MemoryStore(), clock, lambda: None)
    async with guarding([]) as client:
        supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=EventBus(), recorder=recorder, guardian=client)
        hand = MachineHand(supervisor, HandSettings())
        client.watch("router", port.host)
        await eventually(lambda: client.alive)
        driver.ready()
        supervisor.on_input(InputSample("door", True, clock.boot_ns(), "controller"))
        await supervisor.reset()
        assert client.pid is not None
        os.kill(client.pid, signal.SIGSTOP)
        await eventually(lambda: not client.alive)
        before = list(driver.wire)
        for command in (
            supervisor.home(),
            supervisor.run_program(ProgramText("p", ("G0X1",), (1,))),
            hand.jog(Displacement(z=1.0), 100),
        ):
            with pytest.raises(MotionRefused, match="guardian process does not answer"):
                await command
        assert driver.wire == before
        os.kill(client.pid, signal.SIGCONT)
        await eventually(lambda: client.alive)
        await supervisor.home()
        assert "home" in driver.wire
