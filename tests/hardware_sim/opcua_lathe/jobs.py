# SPDX-License-Identifier: GPL-3.0-or-later
"""The lathe's job control: JobManagement of OPC 40001-3 with an ISA-95 job order receiver (OPC 10031-4, version 2).

A job order names the program as its work master. The lathe begins an order that is allowed to start by itself, as soon
as it stands in automatic mode with everything closed: one order is one part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from asyncua import Node, Server, ua

from tests.hardware_sim.opcua_lathe import isa95
from tests.hardware_sim.opcua_lathe.faults import NO_ERROR, Faults
from tests.hardware_sim.opcua_lathe.files import Disk
from tests.hardware_sim.opcua_lathe.lathe import ChannelState, Lathe, ProgramState
from tests.hardware_sim.opcua_lathe.model import Builder

CONTROL = "MachineryBuildingBlocks/JobManagement/JobOrderControl"
MOST_ORDERS = 20

# ReturnStatus, bits of OPC 10031-4, Annex B.2.
_UNKNOWN_ORDER = 1 << 1
_INVALID_COMMAND = 1 << 2
_NOT_ACCEPTED = 1 << 4

_METHODS = {
    "Store": 7001,
    "StoreAndStart": 7004,
    "Start": 7005,
    "Stop": 7006,
    "Pause": 7007,
    "Resume": 7008,
    "Abort": 7010,
    "Cancel": 7011,
    "Clear": 7012,
    "RevokeStart": 7013,
}


class JobState(IntEnum):
    """The top states of ISA95JobOrderReceiverObjectType; the values are their state numbers."""

    NOT_ALLOWED_TO_START = 1
    ALLOWED_TO_START = 2
    RUNNING = 3
    INTERRUPTED = 4
    ENDED = 5
    ABORTED = 6


_STATE_NAMES = {
    JobState.NOT_ALLOWED_TO_START: "NotAllowedToStart",
    JobState.ALLOWED_TO_START: "AllowedToStart",
    JobState.RUNNING: "Running",
    JobState.INTERRUPTED: "Interrupted",
    JobState.ENDED: "Ended",
    JobState.ABORTED: "Aborted",
}
_OVER = (JobState.ENDED, JobState.ABORTED)
_WAITING = (JobState.NOT_ALLOWED_TO_START, JobState.ALLOWED_TO_START)
_BEGUN = (JobState.RUNNING, JobState.INTERRUPTED)


@dataclass
class Order:
    """A job order that the lathe knows."""

    order: isa95.JobOrder
    state: JobState

    @property
    def program(self) -> str:
        """The path of the program below the file system: the work master's LocalPath, or its id."""
        masters = self.order.WorkMasterID or []
        for one in masters[0].Parameters or [] if masters else []:
            if one.ID == "LocalPath":
                return str(one.Value.Value).lstrip("/")
        return str(masters[0].ID) if masters else ""

    def facts(self) -> dict[str, str]:
        """Return what tests look at."""
        masters = self.order.WorkMasterID or []
        return {
            "id": str(self.order.JobOrderID),
            "state": _STATE_NAMES[self.state],
            "work_master": str(masters[0].ID) if masters else "",
            "program": self.program,
        }


class JobReceiver:
    """The job order receiver in the address space of one life of the server; `orders` outlives it."""

    def __init__(self, orders: dict[str, Order], disk: Disk, faults: Faults, lathe: Lathe) -> None:
        self._orders = orders
        self._disk = disk
        self._faults = faults
        self._lathe = lathe
        self._server: Any = None
        self._builder: Any = None
        self._written: list[tuple[str, JobState]] | None = None

    async def build(self, server: Server, builder: Builder, machine: Node) -> None:
        """Add types, data types and the receiver."""
        self._server = server
        self._builder = builder
        ns = builder.ns
        base = ua.NodeId(ua.ObjectIds.BaseObjectType)
        receiver_type = ua.NodeId(1002, ns.isa95)
        await builder.add_type(ua.NodeId(1003, ns.jobs), "JobManagementType", base)
        await builder.add_type(
            receiver_type, "ISA95JobOrderReceiverObjectType", ua.NodeId(ua.ObjectIds.FiniteStateMachineType)
        )
        structure = server.get_node(ua.NodeId(ua.ObjectIds.Structure))
        for number, name in (
            (isa95.JOB_ORDER, "ISA95JobOrderDataType"),
            (isa95.ORDER_AND_STATE, "ISA95JobOrderAndStateDataType"),
        ):
            await structure.add_data_type(ua.NodeId(number, ns.isa95), ua.QualifiedName(name, ns.isa95))
        blocks = await builder.add_object(
            machine, "MachineryBuildingBlocks", ns.machinery, ua.NodeId(ua.ObjectIds.FolderType)
        )
        management = await builder.add_object(
            blocks,
            "MachineryBuildingBlocks/JobManagement",
            ns.jobs,
            ua.NodeId(1003, ns.jobs),
            ua.ObjectIds.HasAddIn,
        )
        control = await builder.add_object(management, CONTROL, ns.jobs, receiver_type)
        await builder.add_variable(
            control,
            f"{CONTROL}/JobOrderList",
            ns.isa95,
            ua.Variant([], ua.VariantType.ExtensionObject, is_array=True),
            ua.NodeId(isa95.ORDER_AND_STATE, ns.isa95),
            value_rank=ua.ValueRank.OneDimension,
        )
        await builder.add_variable(
            control,
            f"{CONTROL}/MaxDownloadableJobOrders",
            ns.isa95,
            ua.Variant(MOST_ORDERS, ua.VariantType.UInt16),
            ua.NodeId(ua.ObjectIds.UInt16),
            is_property=True,
        )
        # The library numbers the arguments upwards from the newest number: the highest published one comes first.
        for name, number in sorted(_METHODS.items(), key=lambda one: -one[1]):
            work = self._store if name in ("Store", "StoreAndStart") else self._command
            first = ua.NodeId(isa95.JOB_ORDER, ns.isa95) if work == self._store else ua.NodeId(ua.ObjectIds.String)
            method = await server.get_node(receiver_type).add_method(
                ua.NodeId(number, ns.isa95),
                ua.QualifiedName(name, ns.isa95),
                self._faults.method(name, self._named(name, work)),
                [_argument("JobOrder" if work == self._store else "JobOrderID", first), _COMMENT],
                [_argument("ReturnStatus", ua.NodeId(ua.ObjectIds.UInt64))],
            )
            await control.add_reference(
                method.nodeid, ua.NodeId(ua.ObjectIds.HasComponent), forward=True, bidirectional=False
            )
        await self.advance()

    async def advance(self) -> None:
        """Follow the lathe, begin what may begin, and publish the job order list."""
        lathe = self._lathe
        for one in self._orders.values():
            if one.state in _BEGUN:
                if lathe.job_id != one.order.JobOrderID:
                    one.state = JobState.ABORTED
                elif lathe.channel is ChannelState.RESET:
                    one.state = JobState.ENDED if lathe.program_state is ProgramState.ENDED else JobState.ABORTED
                else:
                    active = lathe.channel is ChannelState.ACTIVE
                    one.state = JobState.RUNNING if active else JobState.INTERRUPTED
        for one in self._orders.values():
            if one.state is JobState.ALLOWED_TO_START and lathe.begin_job(str(one.order.JobOrderID), one.program):
                one.state = JobState.RUNNING
        states = [(key, one.state) for key, one in self._orders.items()]
        if states != self._written:
            self._written = states
            ns = self._builder.ns.isa95
            entries = [
                isa95.order_and_state(one.order, one.state, _STATE_NAMES[one.state], ns)
                for one in self._orders.values()
            ]
            value = ua.Variant(entries, ua.VariantType.ExtensionObject, is_array=True)
            node_id = self._builder.variables[f"{CONTROL}/JobOrderList"].nodeid
            await self._server.write_attribute_value(node_id, ua.DataValue(value))

    def _named(self, name: str, work: Any) -> Any:
        async def method(_parent: ua.NodeId, what: Any, _comment: Any = None) -> list[ua.Variant]:
            status = work(name, what)
            await self.advance()
            return [ua.Variant(status, ua.VariantType.UInt64)]

        return method

    def _store(self, name: str, what: Any) -> int:
        order = isa95.read_order(what, self._builder.ns.isa95)
        key = str(order.JobOrderID)
        entry = Order(order, JobState.ALLOWED_TO_START if name == "StoreAndStart" else JobState.NOT_ALLOWED_TO_START)
        if not key or key in self._orders or len(self._orders) >= MOST_ORDERS or entry.program not in self._disk.files:
            return _NOT_ACCEPTED
        self._orders[key] = entry
        return NO_ERROR

    def _command(self, name: str, key: str) -> int:
        entry = self._orders.get(key)
        if entry is None:
            return _UNKNOWN_ORDER
        match name:
            case "Start" if entry.state in _WAITING:
                entry.state = JobState.ALLOWED_TO_START
            case "RevokeStart" if entry.state in _WAITING:
                entry.state = JobState.NOT_ALLOWED_TO_START
            case "Cancel" if entry.state in _WAITING:
                del self._orders[key]
            case "Clear" if entry.state in _OVER:
                del self._orders[key]
            case "Pause" if entry.state is JobState.RUNNING:
                self._lathe.pause()
            case "Resume" if entry.state is JobState.INTERRUPTED and self._lathe.may_run:
                self._lathe.resume()
            case "Stop" if entry.state in _BEGUN:
                self._lathe.stop()
                entry.state = JobState.ENDED
            case "Abort" if entry.state not in _OVER:
                if entry.state in _BEGUN:
                    self._lathe.stop()
                entry.state = JobState.ABORTED
            case _:
                return _INVALID_COMMAND
        return NO_ERROR


def _argument(name: str, data_type: ua.NodeId, value_rank: int = -1) -> ua.Argument:
    argument = ua.Argument()
    argument.Name = name
    argument.DataType = data_type
    argument.ValueRank = value_rank
    argument.ArrayDimensions = [] if value_rank == -1 else [0]
    return argument


_COMMENT = _argument("Comment", ua.NodeId(ua.ObjectIds.LocalizedText), 1)
