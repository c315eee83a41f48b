# SPDX-License-Identifier: GPL-3.0-or-later
"""The OPC UA driver against a lathe in its own process: what is seen, what is lost, what comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua.client.ua_client import UaClient
from asyncua.ua.uaerrors import BadServiceUnsupported

from edge.domain.inputs import InputSample
from edge.domain.machine import (
    Availability,
    ControllerMode,
    DoorState,
    EmergencyStop,
    Execution,
    Fault,
    MachineState,
    Overrides,
)
from edge.drivers.opcua.inputs import OpcUaInputs
from tests.hardware_sim.lab.ports import free_port
from tests.support.impostor import served
from tests.support.opcua import PATIENCE_S, Lathe, lathe_process, watched

DOOR = {"name": "door", "node": "Interlock/DoorClosed", "shows": "door"}
CIRCUIT = {
    "name": "circuit",
    "node": "nsu=urn:infomobil:simulator:lathe;s=Interlock/StopCircuitClosed",
    "shows": "emergency_stop",
}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lathe_of_all(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lathe]:
    async with lathe_process(tmp_path_factory.mktemp("lathe"), "--idle", "--speed", "100") as lathe:
        yield lathe


@pytest_asyncio.fixture(loop_scope="module")
async def lathe(lathe_of_all: Lathe) -> Lathe:
    await lathe_of_all.ctl("reset")
    return lathe_of_all


def nothing_is_known(state: MachineState) -> bool:
    """Whether a state carries no word about the machine; the reason and the last time may stay."""
    return state == MachineState(fault_reason=state.fault_reason, taken_ns=state.taken_ns)


async def test_states_come_through(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        state = await watch.until_available()
        assert state.execution is Execution.READY
        assert state.mode is ControllerMode.AUTOMATIC
        assert state.overrides == Overrides(100, 100, 100)
        assert state.program == "O2101_SHAFT"
        assert state.part_count == 1200
        assert watch.driver.info().controller == "InfoMobil Training lathe"
        assert watch.driver.info().part_counter == "Production/Statistics/PartsProducedInLifetime"

        await lathe.ctl("start")
        await watch.until(lambda state: state.execution is Execution.ACTIVE, "active")
        await watch.until(lambda state: (state.part_count or 0) > 1200, "a part is made")
        await lathe.ctl("stop")
        await watch.until(lambda state: state.execution in (Execution.STOPPED, Execution.PROGRAM_COMPLETED), "stopped")
        await lathe.ctl("override 60")
        await watch.until(lambda state: state.overrides == Overrides(60, 60, 100), "override 60")
        await lathe.ctl("mode manual")
        await watch.until(lambda state: state.mode is ControllerMode.MANUAL, "manual")


async def test_an_open_door_interrupts_and_closing_it_restarts_nothing(tmp_path: Path) -> None:
    async with (
        lathe_process(tmp_path, "--speed", "20") as lathe,
        watched(lathe.endpoint, inputs=(DOOR, CIRCUIT)) as watch,
    ):
        await watch.until(lambda state: state.execution is Execution.ACTIVE, "active")
        assert watch.driver.state().emergency_stop is EmergencyStop.ARMED
        await lathe.ctl("door open")
        await watch.until(
            lambda state: state.door is DoorState.OPEN and state.execution is Execution.INTERRUPTED, "interrupted"
        )
        await lathe.ctl("door closed")
        state = await watch.until(lambda state: state.door is DoorState.CLOSED, "closed")
        assert state.execution is Execution.INTERRUPTED
        await lathe.ctl("start")
        await watch.until(lambda state: state.execution is not Execution.INTERRUPTED, "goes on")
        await lathe.ctl("circuit open")
        await watch.until(lambda state: state.emergency_stop is EmergencyStop.TRIGGERED, "triggered")


async def test_alarms_come_go_and_are_known_after_a_reconnection(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await lathe.ctl("alarm Chip conveyor jammed")
        state = await watch.until(lambda state: bool(state.alarms), "alarm")
        assert [(alarm.code, alarm.text) for alarm in state.alarms] == [("700000", "Chip conveyor jammed")]
        assert state.fault is Fault.FAULT
        assert state.fault_reason == "Chip conveyor jammed"
        await lathe.ctl("cut")
        await watch.until_unavailable()
        assert not watch.driver.state().alarms
        await watch.until(lambda state: bool(state.alarms), "alarm again")
        await lathe.ctl("alarm")
        state = await watch.until(lambda state: not state.alarms, "cleared")
        assert state.fault is Fault.NONE


async def test_a_server_that_has_no_methods_is_watched_all_the_same(
    lathe: Lathe, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call(_client: UaClient, _methods: object) -> None:
        raise BadServiceUnsupported

    monkeypatch.setattr(UaClient, "call", call)
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await lathe.ctl("alarm Door contact worn")
        await watch.until(lambda state: bool(state.alarms), "an alarm raised after we came")


async def test_a_silent_machine_is_unknown_and_recovers(lathe: Lathe, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="edge.drivers.opcua")
    async with watched(lathe.endpoint, inputs=(DOOR,)) as watch:
        await watch.until(lambda state: state.door is DoorState.CLOSED, "closed")
        await lathe.ctl("silence")
        state = await watch.until_unavailable()
        assert nothing_is_known(state)
        # On a busy computer a reading that was on its way may run out first.
        assert "said nothing for 1.5 s" in state.fault_reason or "no answer in time" in state.fault_reason
        await lathe.ctl("talk")
        await watch.until_available()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"lathe-1: no link: {state.fault_reason}", "lathe-1: link is back"]


async def test_quiet_is_not_silence(lathe: Lathe) -> None:
    """A lathe at which nothing happens stays known for longer than the watchdog waits, by keep-alives alone."""
    async with watched(lathe.endpoint) as watch:
        first = await watch.until_available()
        await watch.until(lambda state: state.taken_ns > first.taken_ns + 2_000_000_000, "2 s later")
        assert all(state.availability is Availability.AVAILABLE for state in watch.states)


async def test_a_dropped_session_is_replaced(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await lathe.ctl("drop-session")
        await watch.until_unavailable()
        await watch.until_available()
        # A session that another test left on a silent wire lives until its time-out.
        async with asyncio.timeout(PATIENCE_S):
            while (facts := await lathe.ctl("state"))["sessions"] != 1:
                await asyncio.sleep(0.05)
        assert (facts["subscriptions"], facts["orphaned_subscriptions"]) == (1, 0)


async def test_a_cut_connection_is_replaced(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await lathe.ctl("cut")
        assert nothing_is_known(await watch.until_unavailable())
        await watch.until_available()


async def test_a_restart_with_other_namespace_indices_and_a_vendors_type(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, inputs=(CIRCUIT,)) as watch:
        await watch.until_available()
        await lathe.ctl("restart")
        await watch.until_unavailable()
        state = await watch.until_available()
        assert state.execution is Execution.READY
        assert state.emergency_stop is EmergencyStop.ARMED


async def test_a_killed_server_comes_back(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        await lathe.kill()
        await watch.until_unavailable()
        await watch.until(lambda state: "nothing listens" in state.fault_reason, "the reason")
        await lathe.start()
        await watch.until_available()


async def test_values_of_bad_quality_are_unknown(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, inputs=(DOOR,)) as watch:
        await watch.until(lambda state: state.door is DoorState.CLOSED, "closed")
        await lathe.ctl("badquality on")
        state = await watch.until_unavailable()
        assert nothing_is_known(state)
        await lathe.ctl("badquality off")
        await watch.until(lambda state: state.door is DoorState.CLOSED, "closed again")


async def test_slow_answers_are_waited_for(lathe: Lathe) -> None:
    await lathe.ctl("slow 60")
    async with watched(lathe.endpoint) as watch:
        first = await watch.until_available()
        await watch.until(lambda state: state.taken_ns > first.taken_ns + 1_000_000_000, "1 s later")
        assert watch.driver.state().availability is Availability.AVAILABLE


@pytest.mark.parametrize("when", ["connected", "silent", "connecting"])
async def test_a_cancelled_driver_leaves_no_session(lathe: Lathe, when: str) -> None:
    before = asyncio.all_tasks()
    if when == "connecting":
        await lathe.ctl("silence")
    async with watched(lathe.endpoint) as watch:
        if when == "connecting":
            await asyncio.sleep(0.1)
        else:
            await watch.until_available()
        if when == "silent":
            await lathe.ctl("silence")
    assert nothing_is_known(watch.driver.state())
    assert asyncio.all_tasks() == before
    await lathe.ctl("talk")
    async with asyncio.timeout(PATIENCE_S):
        while (facts := await lathe.ctl("state"))["sessions"] or facts["subscriptions"] or facts["connections"]:
            await asyncio.sleep(0.05)


async def test_many_losses_leave_one_session(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        for _ in range(5):
            await watch.until_available()
            await lathe.ctl("cut")
            await watch.until_unavailable()
        await watch.until_available()
        async with asyncio.timeout(PATIENCE_S):
            while (await lathe.ctl("state"))["sessions"] != 1:
                await asyncio.sleep(0.05)


async def test_inputs_are_reported_on_change_and_in_time(lathe: Lathe) -> None:
    samples: asyncio.Queue[InputSample] = asyncio.Queue()

    async def next_sample(name: str, *, healthy: bool | None) -> InputSample:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                sample = await samples.get()
                if sample.name == name and sample.healthy is healthy:
                    return sample

    inverted = {"name": "open", "node": "Interlock/DoorClosed", "healthy_when": False}
    missing = {"name": "missing", "node": "Interlock/NoSuchNode"}
    number = {"name": "number", "node": "Production/Statistics/PartsProducedInLifetime"}
    async with watched(lathe.endpoint, inputs=(DOOR, inverted, missing, number)) as watch:
        await watch.until_available()
        task = asyncio.create_task(OpcUaInputs(watch.driver).run(samples.put_nowait))
        first = await next_sample("door", healthy=True)
        assert first.source == "Lathe, OPC UA Interlock/DoorClosed"
        assert (await next_sample("door", healthy=True)).taken_ns >= first.taken_ns
        await next_sample("open", healthy=False)
        await next_sample("number", healthy=None)
        await lathe.ctl("door open")
        opened = await next_sample("door", healthy=False)
        assert opened.taken_ns > first.taken_ns
        await next_sample("open", healthy=True)
        await lathe.ctl("cut")
        await next_sample("door", healthy=None)
        await next_sample("door", healthy=False)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        while not samples.empty():
            assert samples.get_nowait().name != "missing"
        await lathe.ctl("door closed")
        await watch.until(lambda state: state.door is DoorState.CLOSED, "closed")
        assert samples.empty()


async def test_the_right_user_gets_in_and_the_wrong_one_does_not(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("turning-for-all\n", encoding="utf-8")
    wrong = tmp_path / "wrong"
    wrong.write_text("guess", encoding="utf-8")
    for secret in (password, wrong):
        secret.chmod(0o600)
    async with lathe_process(tmp_path, "--idle", "--user", "watcher", "--password-file", str(password)) as lathe:
        async with watched(lathe.endpoint, user="watcher", password_file=password) as watch:
            await watch.until_available()
        async with watched(lathe.endpoint, user="watcher", password_file=wrong) as watch:
            state = await watch.until(lambda state: bool(state.fault_reason), "the reason")
            assert state.fault_reason == "the server refuses this user and password"
        async with watched(lathe.endpoint) as watch:
            state = await watch.until(lambda state: bool(state.fault_reason), "the reason")
            assert "lets nobody in without a user" in state.fault_reason
        async with watched(lathe.endpoint, user="watcher", password_file=tmp_path / "none") as watch:
            state = await watch.until(lambda state: bool(state.fault_reason), "the reason")
            assert "cannot be read" in state.fault_reason


async def test_a_machine_that_is_not_there_is_named(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, machine="Mill") as watch:
        state = await watch.until(lambda state: bool(state.fault_reason), "the reason")
        assert state.fault_reason == "the server has no machine tool 'Mill', it has: Lathe"
    async with watched(lathe.endpoint, machine="Lathe") as watch:
        await watch.until_available()


async def test_nothing_listens() -> None:
    port = free_port()
    async with watched(f"opc.tcp://127.0.0.1:{port}/lathe") as watch:
        state = await watch.until(lambda state: bool(state.fault_reason), "the reason")
        assert nothing_is_known(state)
        assert state.fault_reason == f"nothing listens at 127.0.0.1:{port}"


async def test_a_host_name_that_is_not_known() -> None:
    async with watched("opc.tcp://lathe.invalid:4840/", timeout_s=5.0) as watch:
        state = await watch.until(lambda state: bool(state.fault_reason), "the reason")
        assert state.fault_reason == "the host name in lathe.invalid:4840 is not known"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "no answer in time (connecting)"),
        (b"", "closed the connection: is it an OPC UA server?"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "closed the connection: is it an OPC UA server?"),
        (b"ACKF\x1c\x00\x00\x00", "no answer in time (connecting)"),
        # An OPC UA server that refuses the URL: BadTcpEndpointUrlInvalid, 0x80830000.
        (b"ERRF\x10\x00\x00\x00\x00\x00\x83\x80\x00\x00\x00\x00", "the server does not know this endpoint"),
        (b"MSGF\xff\xff\xff\xff", "closed the connection: is it an OPC UA server?"),
    ],
)
async def test_a_port_that_speaks_something_else(answer: bytes | None, words: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        if answer is not None:
            writer.write(answer)
            if not answer.startswith(b"ACK"):
                writer.close()
        await reader.read()

    async with served(serve) as port, watched(f"opc.tcp://127.0.0.1:{port}/", timeout_s=0.3) as watch:
        state = await watch.until(lambda state: bool(state.fault_reason), "the reason")
        assert nothing_is_known(state)
        assert words in state.fault_reason
