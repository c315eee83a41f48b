# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own OPC UA server: its process, what clients see, and that they can change nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua

from edge.opcua_server.child import Child
from edge.opcua_server.facts import AlarmFacts, JobFacts
from edge.opcua_server.settings import OpcUaServerSettings
from tests.hardware_sim.lab.ports import free_port
from tests.support.grbl import eventually
from tests.support.opcua_node import FOLDER, node
from tests.support.opcua_server import OWN, Served, Umati, heard, plan, umati

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

VALIDATE = FOLDER.parent / "umati_client" / "validate.mjs"
CHANNEL = "router/Monitoring/Channel/ChannelState"
PLAN = "router/Production/ProductionPlan"
JOBS = "router/MachineryBuildingBlocks/JobManagement/JobOrderControl/JobOrderList"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with Served(plan(tmp_path_factory.mktemp("served"))) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def client(served: Served) -> AsyncIterator[Umati]:
    served.show(heard())
    async with umati(served.endpoint) as client:
        await client.until(CHANNEL, 2)
        yield client


async def test_a_second_stack_finds_it_as_published(served: Served) -> None:
    queue = (JobFacts("a", 7, "gear", "RUNNING"), JobFacts("b", 8, "bolt", "REQUESTED"))
    served.show(heard(execution="ACTIVE", job=queue[0], queue=queue))
    async with umati(served.endpoint) as client:
        await client.until(f"{PLAN}/b/Identifier", "8")
    validator = await asyncio.create_subprocess_exec(
        node(), str(VALIDATE), served.endpoint, OWN, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await validator.communicate()
    found = json.loads(output)
    assert found["problems"] == []
    assert found["machines"] == 2
    assert found["nodes"] > 1_500
    assert found["instances"] > 200


async def test_machines_stand_in_the_folder_of_machines(client: Umati) -> None:
    uris = await client.client.get_namespace_array()
    machinery = uris.index("http://opcfoundation.org/UA/Machinery/")
    machines = await client.client.get_node(ua.NodeId(1001, machinery)).get_children()
    assert [str(one.nodeid.Identifier) for one in machines] == ["router", "lathe"]
    kinds = [(await one.read_type_definition()) for one in machines]
    assert kinds == [ua.NodeId(13, client.tool)] * 2


async def test_the_lab_describes_its_namespace(client: Umati) -> None:
    about = client.client.get_node(ua.NodeId("Namespace", client.own))
    uri = await about.get_child(ua.QualifiedName("NamespaceUri", 0))
    assert await uri.read_value() == OWN


async def test_the_nameplate_says_what_was_told_and_nothing_else(client: Umati) -> None:
    name = "Identification"
    assert (await client.value(f"lathe/{name}/Manufacturer")).Text == "Maker"
    assert (await client.value(f"lathe/{name}/Model")).Text == "T 1"
    assert await client.value(f"lathe/{name}/YearOfConstruction") == 2019
    assert await client.value(f"lathe/{name}/ProductInstanceUri") == "urn:maker:t1:1"
    assert await client.value(f"router/{name}/SerialNumber") == ""
    assert await client.value(f"router/{name}/ProductInstanceUri") == f"{OWN}:router"
    assert await client.code(f"router/{name}/Model") == "BadNodeIdUnknown"


async def test_a_subscriber_hears_of_changes_with_the_time_of_the_reading(served: Served, client: Umati) -> None:
    await client.subscribe(CHANNEL, "router/Production/ActiveProgram/Name")
    await eventually(lambda: len(client.changes) >= 2, "the first values")
    read_at = datetime.now(UTC) - timedelta(seconds=3)
    job = JobFacts("a", 7, "gear", "RUNNING")
    served.show(heard(execution="ACTIVE", job=job, taken_ns=int(read_at.timestamp() * 1e9)))
    await eventually(lambda: (CHANNEL, 0, "Good") in client.changes, "the channel is active")
    await eventually(lambda: ("router/Production/ActiveProgram/Name", "gear", "Good") in client.changes, "its program")
    value = await client.node(CHANNEL).read_data_value()
    assert abs(value.SourceTimestamp - read_at) < timedelta(milliseconds=1)
    state = "router/Production/ActiveProgram/State/CurrentState"
    assert (await client.value(state)).Text == "Running"
    assert await client.value(f"{state}/Id") == ua.NodeId(5041, client.tool)


async def test_a_state_machine_hangs_at_both_its_places(client: Umati) -> None:
    uris = await client.client.get_namespace_array()
    machinery = uris.index("http://opcfoundation.org/UA/Machinery/")
    path = [ua.QualifiedName("MachineryItemState", machinery)]
    there = await client.node("router/Monitoring/MachineTool").get_child(path)
    assert there.nodeid.Identifier == "router/MachineryBuildingBlocks/MachineryItemState"


async def test_the_queue_is_a_list_of_job_orders(served: Served, client: Umati) -> None:
    await client.client.load_data_type_definitions()
    queue = (JobFacts("a", 7, "gear", "HELD"), JobFacts("b", 8, "bolt", "APPROVED"))
    served.show(heard(queue=queue))
    async with asyncio.timeout(20):
        while not (orders := await client.value(JOBS)):
            await asyncio.sleep(0.02)
    assert [one.JobOrder.JobOrderID for one in orders] == ["7", "8"]
    assert [one.State[0].StateText.Text for one in orders] == ["Interrupted", "AllowedToStart"]


async def test_the_production_plan_has_a_node_for_each_job(served: Served, client: Umati) -> None:
    changes = Umati(client.client, client.own, client.tool)
    subscription = await client.client.create_subscription(100, changes)
    await subscription.subscribe_events(client.client.nodes.server, ua.ObjectIds.GeneralModelChangeEventType)
    served.show(heard(queue=(JobFacts("a", 7, "gear", "RUNNING"), JobFacts("b", 8, "bolt", "APPROVED"))))
    await client.until(f"{PLAN}/b/NumberInList", 1)
    assert await client.value(f"{PLAN}/a/ProductionPrograms/Program/Name") == "gear"
    assert (await client.value(f"{PLAN}/a/State/CurrentState")).Text == "Running"
    await eventually(lambda: changes.events, "the change is announced")
    assert changes.events[0].Changes[0].Affected == client.node(PLAN).nodeid
    version = await client.value(f"{PLAN}/NodeVersion")
    await client.subscribe(f"{PLAN}/a/State/CurrentState/Number")
    await eventually(lambda: client.changes, "its first value")
    served.show(heard(queue=(JobFacts("b", 8, "bolt", "RUNNING"),)))
    await client.until(f"{PLAN}/b/NumberInList", 0)
    await eventually(lambda: client.changes[-1][2] == "BadNodeIdUnknown", "the subscriber of a job that is gone")
    names = [(await one.read_browse_name()).Name for one in await client.node(PLAN).get_children()]
    assert sorted(names) == ["8", "NodeVersion"]
    assert await client.code(f"{PLAN}/a/Identifier") == "BadNodeIdUnknown"
    assert await client.value(f"{PLAN}/NodeVersion") != version
    served.show(heard())
    await client.until_code(f"{PLAN}/b/Identifier", "BadNodeIdUnknown")


async def test_unknown_values_are_bad_and_never_old(served: Served, client: Umati) -> None:
    assert await client.code("router/Monitoring/Spindle/IsRotating") == "BadNoData"
    assert await client.code("lathe/Monitoring/Channel/ChannelState") == "BadNotConnected"
    served.show(heard(available=False))
    await client.until_code(CHANNEL, "BadNotConnected")
    assert await client.value(CHANNEL) is None
    assert await client.code("router/MachineryBuildingBlocks/MachineryItemState/CurrentState/Id") == "BadNotConnected"


async def test_a_counter_that_is_too_large_is_bad_and_nothing_else_is(served: Served, client: Umati) -> None:
    parts = "lathe/Production/Statistics/PartsProducedInLifetime"
    await client.subscribe(parts)
    for count in (2**32 - 1, 2**32, 12):
        served.show(heard("lathe", part_count=count))
        code = "Good" if count < 2**32 else "BadOutOfRange"
        wanted = (parts, count if code == "Good" else None, code)
        await eventually(lambda wanted=wanted: wanted in client.changes, f"a count of {count} parts")
    assert await client.value("lathe/Monitoring/Channel/ChannelState") == 2
    served.show(heard("lathe", available=False))
    await client.until_code(parts, "BadNotConnected")


async def test_alarms_arrive_are_refreshed_and_go(served: Served, client: Umati) -> None:
    alarm = AlarmFacts("9", "Užrakinta")
    subscription = await client.subscribe(alarms_of="router")
    served.show(heard(blocked=True, alarms=(alarm,)))
    await eventually(lambda: client.events, "the alarm arrives")
    event = client.events[0]
    assert (event.Message.Text, event.ErrorCode, event.SourceName, event.Retain) == ("Užrakinta", "9", "Router", True)
    assert getattr(event, "ActiveState/Id") is True
    late = await client.subscribe(alarms_of="router")
    await client.client.get_node(ua.NodeId(2782)).call_method(
        ua.NodeId(3875), ua.Variant(late.subscription_id, ua.VariantType.UInt32)
    )
    await eventually(lambda: len(client.events) == 2, "the standing alarm is told once more")
    served.show(heard(available=False))
    await client.until_code(CHANNEL, "BadNotConnected")
    assert len(client.events) == 2, "nobody knows that the alarm of an unheard machine has gone"
    served.show(heard())
    await eventually(lambda: len(client.events) == 4, "the alarm goes")
    assert client.events[-1].Retain is False
    await subscription.delete()


async def test_alarms_reach_who_listens_at_the_server(served: Served, client: Umati) -> None:
    subscription = await client.client.create_subscription(100, client)
    alert = ua.NodeId(39, client.tool)
    await subscription.subscribe_alarms_and_conditions(client.client.nodes.server, alert)
    served.show(heard(blocked=True, alarms=(AlarmFacts("2", "Limit"),)))
    await eventually(lambda: client.events, "the alarm arrives")
    served.show(heard())
    await eventually(lambda: len(client.events) == 2, "the alarm goes")


async def test_nothing_can_be_written(client: Umati) -> None:
    with pytest.raises(ua.UaStatusCodeError) as refused:
        await client.node(CHANNEL).write_value(1, ua.VariantType.Int32)
    assert refused.value.code == ua.StatusCodes.BadNotWritable
    with pytest.raises(ua.UaStatusCodeError):
        await client.client.nodes.server.write_attribute(
            ua.AttributeIds.DisplayName, ua.DataValue(ua.LocalizedText("mine"))
        )
    assert await client.value(CHANNEL) == 2


async def test_no_node_can_be_added_or_taken_away(client: Umati) -> None:
    for attempt in (
        client.node("router").add_object(client.own, "mine"),
        client.client.delete_nodes([client.node("router")]),
        client.node("router").add_reference(client.node("lathe"), ua.ObjectIds.Organizes),
    ):
        with pytest.raises(ua.UaStatusCodeError):
            await attempt
    assert (await client.node("router").read_browse_name()).Name == "router"


async def test_no_method_can_be_called(client: Umati) -> None:
    results = "router/MachineryBuildingBlocks/JobManagement/JobOrderResults"
    method = ua.NodeId(f"{results}/RequestJobResponseByJobOrderID", client.own)
    with pytest.raises(ua.UaStatusCodeError) as refused:
        await client.node(results).call_method(method, "1")
    assert refused.value.code == ua.StatusCodes.BadUserAccessDenied


async def test_no_other_server_can_register(client: Umati) -> None:
    with pytest.raises(ua.UaStatusCodeError):
        await client.client.uaclient.register_server(ua.RegisteredServer())


async def test_history_is_not_kept(client: Umati) -> None:
    with pytest.raises(ua.UaStatusCodeError):
        await client.node(CHANNEL).read_raw_history(datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC))


async def test_no_subscription_is_faster_than_permitted(client: Umati) -> None:
    parameters = ua.CreateSubscriptionParameters()
    parameters.RequestedPublishingInterval = 1
    made = await client.client.uaclient.create_subscription(parameters, lambda _: None)
    assert made.RevisedPublishingInterval == 100


async def test_twenty_clients_see_one_change(served: Served, client: Umati) -> None:
    async def watch(ready: asyncio.Barrier) -> float:
        async with umati(served.endpoint) as one:
            await one.subscribe(CHANNEL)
            await eventually(lambda: one.changes, "the first value")
            await ready.wait()
            await eventually(lambda: (CHANNEL, 0, "Good") in one.changes, "the change")
            return time.monotonic()

    ready = asyncio.Barrier(21)
    watching = [asyncio.create_task(watch(ready)) for _ in range(20)]
    await ready.wait()
    await eventually(lambda: served.reports[-1].clients == 21, "all are counted")
    served.show(heard(execution="ACTIVE"))
    await asyncio.gather(*watching)
    await eventually(lambda: served.reports[-1].clients == 1, "the others are gone")


async def test_silence_of_the_service_takes_every_value_back(served: Served, client: Umati) -> None:
    served.show(heard(execution="ACTIVE", queue=(JobFacts("a", 7, "gear", "RUNNING"),)))
    await client.until(CHANNEL, 0)
    with served.silence():
        await client.until_code(CHANNEL, "BadNoCommunication")
        await client.until_code(JOBS, "BadNoCommunication")
        await client.until_code(f"{PLAN}/a/Identifier", "BadNodeIdUnknown")
        assert await client.value("lathe/Identification/YearOfConstruction") == 2019
        served.show(heard(execution="ACTIVE"))
        await client.until(CHANNEL, 0)
        await client.until_code(JOBS, "Good")


async def test_an_interrupt_at_the_terminal_is_not_for_it(served: Served) -> None:
    served.child._process.send_signal(signal.SIGINT)
    async with umati(served.endpoint) as client:
        assert await client.client.get_namespace_array()


def memory_score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def session_niceness(pid: int) -> int | None:
    """Return the niceness of a process's session, None where the kernel has none."""
    group = Path(f"/proc/{pid}/autogroup")
    told = group.read_text() if group.exists() else ""
    return int(told.rpartition("nice")[2]) if told else None


async def test_it_runs_behind_everything_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Looked at while it starts, which it need not finish."""
    settings = OpcUaServerSettings(port=free_port())
    folder = tmp_path_factory.mktemp("behind")
    child = await Child.start(settings.plan("test", "Test", "0.0", folder, ()), lambda _: None)
    pid = child.pid
    try:
        await eventually(lambda: os.getpriority(os.PRIO_PROCESS, pid) >= 10, "it steps back")
        await eventually(lambda: session_niceness(pid) in (10, None), "and its session does")
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
        assert memory_score(pid) == 500
    finally:
        os.kill(pid, signal.SIGKILL)
        await child.stop()


async def test_a_port_that_is_taken_is_told(served: Served, tmp_path_factory: pytest.TempPathFactory) -> None:
    taken = plan(tmp_path_factory.mktemp("taken"), port=served.plan.port, machines=())
    async with Served(taken) as server:
        assert await server.exit_status() == 1
        assert not server.reports[-1].listening
        assert str(served.plan.port) in server.reports[-1].error


async def test_a_missing_password_file_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    missing = plan(tmp_path_factory.mktemp("missing"), users=(("ann", "/nowhere/ann"),))
    async with Served(missing) as server:
        assert await server.exit_status() == 1
        assert "ann" in server.reports[-1].error


async def test_the_process_ends_with_its_input(served: Served) -> None:
    """The last one of this file: it takes the server away."""
    assert served.reports[0].listening
    await served.child.stop()
    assert await served.exit_status() == 0
