# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine of the lab as a MachineToolType of OPC 40501-1 in the address space, and the values of its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from edge.opcua_server.facts import JobFacts, MachineFacts, Nameplate
from edge.opcua_server.instances import Instances
from edge.opcua_server.jobs import (
    JOB_CONTROL,
    JOB_STATES,
    JOB_TYPE,
    PLAN,
    PROGRAM_TYPE,
    job_list,
    job_values,
    settle_job_control,
)
from edge.opcua_server.nodesets import IA, JOB_CONTROL_URI, MACHINE_TOOL, MACHINERY
from edge.opcua_server.space import AttributeIds, Space
from edge.opcua_server.stack import NodeId, Server, node_id, status, ua
from edge.opcua_server.values import (
    ITEM_STATE,
    LAMPS,
    OPERATION_MODE,
    PARTS,
    PROGRAM_STATE,
    Quality,
    State,
    Value,
    silence,
    values_of,
)

MACHINES = 1001
_MACHINE_TOOL_TYPE = 13
_CHANNEL_TYPE = 16
_SPINDLE_TYPE = 22
_LIGHT_TYPE = 1006
_STATE_TYPES = {ITEM_STATE: (MACHINERY, 1002), OPERATION_MODE: (MACHINE_TOOL, 1003), PROGRAM_STATE: (MACHINE_TOOL, 15)}
_WITH_SPINDLE = ("router", "mill", "lathe")
_UINTEGER = 28
_LAST_BUILT_IN = 25

_ALWAYS = (
    "Identification/ComponentName",
    "Identification/DeviceClass",
    "Identification/SoftwareRevision",
    "MachineryBuildingBlocks",
    *(ITEM_STATE, f"{ITEM_STATE}/CurrentState/Number"),
    *(OPERATION_MODE, f"{OPERATION_MODE}/CurrentState/Number"),
    JOB_CONTROL.partition("/JobOrderControl")[0],
    "Monitoring/MachineTool/MachineryItemState",
    "Monitoring/MachineTool/MachineryOperationMode",
    "Monitoring/MachineTool/FeedOverride",
    "Monitoring/Stacklight",
    "Notification/Messages",
    "Notification/Prognoses",
    "Production/ActiveProgram/JobIdentifier",
    PLAN,
    f"{PLAN}/NodeVersion",
    f"{PROGRAM_STATE}/CurrentState/Number",
)
_QUALITY = {
    Quality.UNKNOWN: status("BadNoData"),
    Quality.TOO_LARGE: status("BadOutOfRange"),
    Quality.UNHEARD: status("BadNotConnected"),
    Quality.SILENT: status("BadNoCommunication"),
}
_GOOD = status("Good")
_ORGANIZES = node_id(ua.ObjectIds.Organizes)
_ORDERED = node_id(ua.ObjectIds.HasOrderedComponent)
_PER_CENT = ua.EUInformation(
    # UNECE Recommendation 20, common code P1 (OPC 10000-8, 5.6.4.3).
    NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact",
    UnitId=20529,
    DisplayName=ua.LocalizedText("%"),
    Description=ua.LocalizedText("percent"),
)
_RANGE = ua.Range(Low=0.0, High=200.0)


class MachineTool:
    """The nodes of one machine. `write` tells subscribers what is new and nothing else."""

    def __init__(self, server: Server, space: Space, namespaces: Mapping[str, int], own: int, plate: Nameplate) -> None:
        self.plate = plate
        self.plan_version = 0
        """How often the nodes of the production plan have changed."""
        self._namespaces = namespaces
        self._own = own
        self._space = space
        self._values = server.iserver.aspace
        self._instances = Instances(space, own)
        self._build()
        self._states = {
            path: space.states(node_id(kind, namespaces[uri])) for path, (uri, kind) in _STATE_TYPES.items()
        }
        self._job_states = space.states(node_id(1002, namespaces[JOB_CONTROL_URI]))
        self._types = {path: self._variant_type(one) for path, one in self._instances.nodes.items()}
        self._plan_states = space.states(self._type(JOB_STATES))
        self._planned: list[str] = []
        self._last: dict[str, object] = {}
        self._nameplate()

    def node(self, path: str = "") -> NodeId:
        """Return the id of a node by its path from the machine, by default the machine's own."""
        return self._instances.nodes[f"{self.plate.machine_id}/{path}" if path else self.plate.machine_id]

    async def show(self, facts: MachineFacts) -> None:
        """Give every node the value that the facts say."""
        await self._write(values_of(facts), _moment(facts.taken_ns))
        jobs = facts.queue
        key = f"{JOB_CONTROL}/JobOrderList"
        if self._last.get(key) != jobs:
            self._last[key] = jobs
            orders = job_list(jobs, self._job_states)
            await self._put(key, ua.Variant(orders, ua.VariantType.ExtensionObject, is_array=True), _GOOD, _now())
            await self._plan(jobs)

    async def _plan(self, jobs: Sequence[JobFacts]) -> None:
        """Have one node for each job of the queue in the production plan."""
        plan, waiting = self.node(PLAN), [job.job_id for job in jobs]
        for job_id in [one for one in self._planned if one not in waiting]:
            await self._instances.remove(self._path(f"{PLAN}/{job_id}"), plan)
        for number, job in enumerate(jobs):
            path = f"{PLAN}/{job.job_id}"
            if job.job_id not in self._planned:
                self._add_job(path, plan, str(job.claim))
            for below, variant in job_values(job, number, self._plan_states).items():
                await self._put(f"{path}/{below}", variant, _GOOD, _now())
        if waiting != self._planned:
            self._planned = waiting
            self.plan_version += 1
            await self._put(f"{PLAN}/NodeVersion", ua.Variant(str(self.plan_version)), _GOOD, _now())

    def _add_job(self, path: str, plan: NodeId, name: str) -> None:
        states = ["State/CurrentState/Number"]
        self._instances.add(self._path(path), plan, self._type(JOB_TYPE), self._name(name), states, reference=_ORDERED)
        programs = f"{path}/ProductionPrograms"
        self._instances.add(
            self._path(f"{programs}/Program"),
            self.node(programs),
            self._type(PROGRAM_TYPE),
            self._name("Program"),
            reference=_ORDERED,
        )

    async def fall_silent(self) -> None:
        """Take every value back: nobody knows what the machine does."""
        await self._write(silence(), _now())
        key = f"{JOB_CONTROL}/JobOrderList"
        self._last.pop(key, None)
        await self._put(key, ua.Variant(), _QUALITY[Quality.SILENT], _now())
        await self._plan(())

    async def _write(self, values: Mapping[str, Value], when: datetime) -> None:
        for path, value in values.items():
            if self._last.get(path) == value or not self._has(path):
                continue
            self._last[path] = value
            for below, variant, code in self._leaves(path, value):
                await self._put(below, variant, code, when)

    def _has(self, path: str) -> bool:
        return self._path(path) in self._instances.nodes

    def _path(self, path: str) -> str:
        return f"{self.plate.machine_id}/{path}"

    def _leaves(self, path: str, value: Value) -> Iterator[tuple[str, Any, Any]]:
        """Yield the variables below a path with what they say."""
        if path not in self._states:
            yield (path, *self._said(path, value))
            return
        current = f"{path}/CurrentState"
        if isinstance(value, State):
            state, number = self._states[path][value.name]
            yield current, ua.Variant(ua.LocalizedText(value.name)), _GOOD
            yield f"{current}/Id", ua.Variant(state, ua.VariantType.NodeId), _GOOD
            yield f"{current}/Number", ua.Variant(number, ua.VariantType.UInt32), _GOOD
        else:
            for below in (current, f"{current}/Id", f"{current}/Number"):
                yield (below, *self._said(below, value))

    def _said(self, path: str, value: Value) -> tuple[Any, Any]:
        if isinstance(value, Quality):
            return ua.Variant(), _QUALITY[value]
        return ua.Variant(value, self._types[f"{self.plate.machine_id}/{path}"]), _GOOD

    async def _put(self, path: str, variant: Any, code: Any, when: datetime) -> None:
        value = ua.DataValue(variant, code, SourceTimestamp=when, ServerTimestamp=_now())
        result = await self._values.write_attribute_value(self.node(path), AttributeIds.Value, value)
        result.check()

    def _variant_type(self, node: NodeId) -> Any:
        """Return the built-in type of a variable's values: enumerations are Int32 (OPC 10000-6, 5.2.4)."""
        data_type = self._space.attribute(node, AttributeIds.DataType)
        if data_type is None or data_type.NamespaceIndex:
            return ua.VariantType.Int32
        if data_type.Identifier == _UINTEGER:
            return ua.VariantType.UInt32
        return ua.VariantType(data_type.Identifier) if data_type.Identifier <= _LAST_BUILT_IN else None

    def _build(self) -> None:
        machine_id = self.plate.machine_id
        wanted = [*_ALWAYS, *(f"Identification/{name}" for name in self._claims())]
        if self.plate.driver == "opcua":
            wanted += ["Production/Statistics", PARTS]
        self._instances.add(
            machine_id,
            node_id(MACHINES, self._namespaces[MACHINERY]),
            self._type(_MACHINE_TOOL_TYPE),
            self._name(machine_id),
            wanted,
            reference=_ORGANIZES,
            display=self.plate.name,
        )
        monitoring = self.node("Monitoring")
        self._instances.add(
            f"{machine_id}/Monitoring/Channel",
            monitoring,
            self._type(_CHANNEL_TYPE),
            self._name("Channel"),
            ["RapidOverride"],
        )
        if self.plate.kind in _WITH_SPINDLE:
            path = f"{machine_id}/Monitoring/Spindle"
            self._instances.add(path, monitoring, self._type(_SPINDLE_TYPE), self._name("Spindle"), ["Override"])
        for lamp in LAMPS:
            self._instances.add(
                f"{machine_id}/Monitoring/Stacklight/{lamp}",
                self.node("Monitoring/Stacklight"),
                node_id(_LIGHT_TYPE, self._namespaces[IA]),
                self._name(lamp),
                ["SignalOn", "SignalColor", "SignalMode"],
                reference=_ORDERED,
            )
        for path in ("", "Notification/Messages"):
            notifies = ua.DataValue(ua.Variant(1, ua.VariantType.Byte))
            self._space.put(self.node(path), AttributeIds.EventNotifier, notifies)
        notifier = node_id(ua.ObjectIds.HasNotifier)
        self._space.refer(node_id(ua.ObjectIds.Server), notifier, self.node())
        self._space.refer(self.node(), notifier, self.node("Notification/Messages"))

    def _type(self, identifier: int) -> NodeId:
        return node_id(identifier, self._namespaces[MACHINE_TOOL])

    def _name(self, name: str) -> Any:
        return ua.QualifiedName(name, self._own)

    def _claims(self) -> dict[str, Any]:
        """Return what the nameplate tells beyond what must stand there."""
        plate = self.plate
        told = {
            "Model": ua.Variant(ua.LocalizedText(plate.model)) if plate.model else None,
            "Location": ua.Variant(plate.location) if plate.location else None,
            "YearOfConstruction": ua.Variant(plate.year_of_construction, ua.VariantType.UInt16)
            if plate.year_of_construction
            else None,
        }
        return {name: value for name, value in told.items() if value is not None}

    def _nameplate(self) -> None:
        """Set what never changes."""
        plate = self.plate
        local = f"{self._lab_uri()}:{plate.machine_id}"
        fixed: dict[str, Any] = {
            "Identification/Manufacturer": ua.Variant(ua.LocalizedText(plate.manufacturer)),
            "Identification/SerialNumber": ua.Variant(plate.serial_number),
            "Identification/ProductInstanceUri": ua.Variant(plate.product_instance_uri or local),
            "Identification/ComponentName": ua.Variant(ua.LocalizedText(plate.name)),
            "Identification/DeviceClass": ua.Variant(plate.kind),
            **{f"Identification/{name}": value for name, value in self._claims().items()},
            "Monitoring/Channel/Name": ua.Variant("Channel"),
            "Monitoring/Spindle/Name": ua.Variant("Spindle"),
            f"{PLAN}/NodeVersion": ua.Variant("0"),
            "Monitoring/Stacklight/StacklightMode": ua.Variant(0, ua.VariantType.Int32),
        }
        for number, (lamp, colour) in enumerate(zip(LAMPS, (1, 4, 2), strict=True)):
            below = f"Monitoring/Stacklight/{lamp}"
            fixed[f"{below}/NumberInList"] = ua.Variant(number, ua.VariantType.UInt32)
            fixed[f"{below}/SignalColor"] = ua.Variant(colour, ua.VariantType.Int32)
            fixed[f"{below}/SignalMode"] = ua.Variant(0, ua.VariantType.Int32)
        for path in list(self._instances.nodes):
            if path.endswith("/EURange"):
                fixed[path.partition("/")[2]] = ua.Variant(_RANGE)
            elif path.endswith("/EngineeringUnits"):
                fixed[path.partition("/")[2]] = ua.Variant(_PER_CENT)
        fixed.update(settle_job_control(status("BadNotSupported")))
        for path, value in fixed.items():
            if self._has(path):
                made = value if isinstance(value, ua.DataValue) else ua.DataValue(value, SourceTimestamp=_now())
                self._space.put(self.node(path), AttributeIds.Value, made)

    def _lab_uri(self) -> str:
        return next(uri for uri, index in self._namespaces.items() if index == self._own)


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
