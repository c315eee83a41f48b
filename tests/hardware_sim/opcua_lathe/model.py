# SPDX-License-Identifier: GPL-3.0-or-later
"""The address space of the lathe: OPC 40001-1 (Machinery 1.04) and OPC 40501-1 (MachineTool 1.02).

Only what a monitoring client browses is built, in code, with the numeric ids and browse names that the OPC Foundation
published in the NodeIds files of the two models. Instances live in the lathe's own namespace, as on a real machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from asyncua import Node, Server, ua

DI_URI = "http://opcfoundation.org/UA/DI/"
IA_URI = "http://opcfoundation.org/UA/IA/"
MACHINERY_URI = "http://opcfoundation.org/UA/Machinery/"
MACHINE_TOOL_URI = "http://opcfoundation.org/UA/MachineTool/"
LATHE_URI = "urn:infomobil:simulator:lathe"
ISA95_URI = "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/"
JOBS_URI = "http://opcfoundation.org/UA/Machinery/Jobs/"

_ENUMERATIONS = {
    (64, "ChannelState", 266): ("Active", "Interrupted", "Reset"),
    (65, "MachineOperationMode", 320): (
        "Manual",
        "Automatic",
        "Setup",
        "AutoWithManualIntervention",
        "Service",
        "Other",
    ),
    (67, "ChannelMode", 288): (
        "Automatic",
        "MdaMdi",
        "JogManual",
        "JogIncrement",
        "TeachingHandle",
        "Remote",
        "Reference",
        "Other",
    ),
}
_MACHINE_TOOL_TYPES = {
    7: "NotificationType",
    13: "MachineToolType",
    14: "MonitoringType",
    20: "ProductionStatisticsType",
    21: "ProductionType",
    23: "ElementMonitoringType",
    26: "MachineOperationMonitoringType",
    38: "MessagesType",
    59: "ProductionProgramType",
}
_SUBTYPES = {
    16: ("ChannelMonitoringType", 23),
    41: ("WorkingUnitMonitoringType", 23),
    22: ("SpindleMonitoringType", 41),
    32: ("ProductionActiveProgramType", 59),
}
_VENDOR_TYPE = 1


@dataclass(frozen=True)
class Namespaces:
    """Indices on this server: they differ from start to start."""

    di: int
    machinery: int
    tool: int
    lathe: int
    isa95: int
    jobs: int


class Builder:
    """Adds nodes and remembers the variables of the lathe by their path."""

    def __init__(self, server: Server, ns: Namespaces) -> None:
        self.ns = ns
        self.variables: dict[str, Node] = {}
        self._server = server

    async def _add(self, item: ua.AddNodesItem) -> Node:
        (result,) = await self._server.iserver.isession.add_nodes([item])
        result.StatusCode.check()
        return self._server.get_node(result.AddedNodeId)

    async def add_type(self, nodeid: ua.NodeId, name: str, parent: ua.NodeId) -> Node:
        """Add an ObjectType below `parent`."""
        item = ua.AddNodesItem()
        item.RequestedNewNodeId = nodeid
        item.BrowseName = ua.QualifiedName(name, nodeid.NamespaceIndex)
        item.NodeClass = ua.NodeClass.ObjectType
        item.ParentNodeId = parent
        item.ReferenceTypeId = ua.NodeId(ua.ObjectIds.HasSubtype)
        item.NodeAttributes = ua.ObjectTypeAttributes(DisplayName=ua.LocalizedText(name))
        return await self._add(item)

    async def add_object(
        self,
        parent: Node,
        path: str,
        namespace: int,
        of_type: ua.NodeId,
        reference: int = ua.ObjectIds.HasComponent,
        nodeid: ua.NodeId | None = None,
    ) -> Node:
        """Add an object; its browse name is the last part of `path`, which is also its NodeId's string."""
        name = path.rpartition("/")[2]
        item = ua.AddNodesItem()
        item.RequestedNewNodeId = nodeid or ua.NodeId(path, self.ns.lathe)
        item.BrowseName = ua.QualifiedName(name, namespace)
        item.NodeClass = ua.NodeClass.Object
        item.ParentNodeId = parent.nodeid
        item.ReferenceTypeId = ua.NodeId(reference)
        item.TypeDefinition = of_type
        item.NodeAttributes = ua.ObjectAttributes(DisplayName=ua.LocalizedText(name))
        return await self._add(item)

    async def add_variable(
        self,
        parent: Node,
        path: str,
        namespace: int,
        value: ua.Variant,
        data_type: ua.NodeId,
        *,
        is_property: bool = False,
        type_definition: int = ua.ObjectIds.BaseDataVariableType,
        value_rank: ua.ValueRank = ua.ValueRank.Scalar,
    ) -> Node:
        """Add a variable, or a property."""
        name = path.rpartition("/")[2]
        item = ua.AddNodesItem()
        item.RequestedNewNodeId = ua.NodeId(path, self.ns.lathe)
        item.BrowseName = ua.QualifiedName(name, namespace)
        item.NodeClass = ua.NodeClass.Variable
        item.ParentNodeId = parent.nodeid
        item.ReferenceTypeId = ua.NodeId(ua.ObjectIds.HasProperty if is_property else ua.ObjectIds.HasComponent)
        item.TypeDefinition = ua.NodeId(ua.ObjectIds.PropertyType if is_property else type_definition)
        item.NodeAttributes = ua.VariableAttributes(
            DisplayName=ua.LocalizedText(name),
            Value=value,
            DataType=data_type,
            AccessLevel=1,
            UserAccessLevel=1,
            ValueRank=value_rank,
        )
        node = await self._add(item)
        self.variables[path] = node
        return node


def _string(text: str) -> ua.Variant:
    return ua.Variant(text, ua.VariantType.String)


async def register_namespaces(server: Server, *, extra: bool) -> Namespaces:
    """Register the models' URIs; `extra` shifts the indices, as an update of a control does."""
    if extra:
        await server.register_namespace("urn:infomobil:simulator:firmware-update")
    di = await server.register_namespace(DI_URI)
    await server.register_namespace(IA_URI)
    machinery = await server.register_namespace(MACHINERY_URI)
    tool = await server.register_namespace(MACHINE_TOOL_URI)
    lathe = await server.register_namespace(LATHE_URI)
    isa95 = await server.register_namespace(ISA95_URI)
    jobs = await server.register_namespace(JOBS_URI)
    return Namespaces(di, machinery, tool, lathe, isa95, jobs)


async def build(server: Server, ns: Namespaces, name: str, *, vendor_type: bool) -> Builder:
    """Build types and the lathe called `name`; return the builder with its variables.

    With `vendor_type` the lathe is of a vendor's own subtype of MachineToolType, as machine builders make them:
    clients have to look at supertypes.
    """
    builder = Builder(server, ns)
    await _build_types(server, builder)
    machines = await builder.add_object(
        server.nodes.objects,
        "Machines",
        ns.machinery,
        ua.NodeId(ua.ObjectIds.FolderType),
        ua.ObjectIds.Organizes,
        ua.NodeId(1001, ns.machinery),
    )
    of_type = ua.NodeId(_VENDOR_TYPE, ns.lathe) if vendor_type else ua.NodeId(13, ns.tool)
    machine = await builder.add_object(machines, name, ns.lathe, of_type, nodeid=ua.NodeId("Lathe", ns.lathe))
    await _build_identification(builder, machine)
    await _build_monitoring(builder, machine)
    await _build_production(builder, machine)
    notification = await builder.add_object(machine, "Notification", ns.tool, ua.NodeId(7, ns.tool))
    await builder.add_object(notification, "Notification/Messages", ns.tool, ua.NodeId(38, ns.tool))
    interlock = await builder.add_object(machine, "Interlock", ns.lathe, ua.NodeId(ua.ObjectIds.FolderType))
    for input_name in ("DoorClosed", "StopCircuitClosed"):
        await builder.add_variable(
            interlock,
            f"Interlock/{input_name}",
            ns.lathe,
            ua.Variant(Value=True, VariantType=ua.VariantType.Boolean),
            ua.NodeId(ua.ObjectIds.Boolean),
        )
    return builder


async def _build_types(server: Server, builder: Builder) -> None:
    ns = builder.ns
    base = ua.NodeId(ua.ObjectIds.BaseObjectType)
    state_machine = ua.NodeId(ua.ObjectIds.FiniteStateMachineType)
    await builder.add_type(ua.NodeId(1012, ns.machinery), "MachineIdentificationType", base)
    await builder.add_type(ua.NodeId(1002, ns.machinery), "MachineryItemState_StateMachineType", state_machine)
    await builder.add_type(ua.NodeId(1008, ns.machinery), "MachineryOperationModeStateMachineType", state_machine)
    for number, name in _MACHINE_TOOL_TYPES.items():
        await builder.add_type(ua.NodeId(number, ns.tool), name, base)
    for number, (name, parent) in _SUBTYPES.items():
        await builder.add_type(ua.NodeId(number, ns.tool), name, ua.NodeId(parent, ns.tool))
    for number, name, supertype in (
        (11, "MachineToolIdentificationType", ua.NodeId(1012, ns.machinery)),
        (1003, "MachineOperationModeStateMachineType", ua.NodeId(1008, ns.machinery)),
        (24, "ProductionStateMachineType", state_machine),
        (15, "ProductionProgramStateMachineType", ua.NodeId(24, ns.tool)),
        (39, "AlertType", ua.NodeId(ua.ObjectIds.AlarmConditionType)),
    ):
        await builder.add_type(ua.NodeId(number, ns.tool), name, supertype)
    await builder.add_type(ua.NodeId(_VENDOR_TYPE, ns.lathe), "TrainingLatheType", ua.NodeId(13, ns.tool))
    enumeration = server.get_node(ua.NodeId(ua.ObjectIds.Enumeration))
    for (number, name, values_id), names in _ENUMERATIONS.items():
        data_type = await enumeration.add_data_type(ua.NodeId(number, ns.tool), ua.QualifiedName(name, ns.tool))
        values = [ua.EnumValueType(Value=value, DisplayName=ua.LocalizedText(text)) for value, text in enumerate(names)]
        await data_type.add_property(ua.NodeId(values_id, ns.tool), ua.QualifiedName("EnumValues", 0), values)


async def _build_identification(builder: Builder, machine: Node) -> None:
    ns = builder.ns
    identification = await builder.add_object(
        machine, "Identification", ns.di, ua.NodeId(11, ns.tool), ua.ObjectIds.HasAddIn
    )
    for field, text in (
        ("Manufacturer", "InfoMobil"),
        ("Model", "Training lathe"),
        ("SerialNumber", "SIM-0001"),
        ("ProductInstanceUri", "urn:infomobil:simulator:lathe:SIM-0001"),
    ):
        value = ua.Variant(ua.LocalizedText(text)) if field in ("Manufacturer", "Model") else _string(text)
        data_type = ua.ObjectIds.LocalizedText if field in ("Manufacturer", "Model") else ua.ObjectIds.String
        path = f"Identification/{field}"
        await builder.add_variable(identification, path, ns.di, value, ua.NodeId(data_type), is_property=True)


async def _build_monitoring(builder: Builder, machine: Node) -> None:
    ns = builder.ns
    monitoring = await builder.add_object(machine, "Monitoring", ns.tool, ua.NodeId(14, ns.tool))
    tool = await builder.add_object(monitoring, "Monitoring/MachineTool", ns.tool, ua.NodeId(26, ns.tool))
    channel = await builder.add_object(monitoring, "Monitoring/Channel1", ns.lathe, ua.NodeId(16, ns.tool))
    spindle = await builder.add_object(monitoring, "Monitoring/MainSpindle", ns.lathe, ua.NodeId(22, ns.tool))
    for parent, path in (
        (tool, "Monitoring/MachineTool/FeedOverride"),
        (channel, "Monitoring/Channel1/FeedOverride"),
        (channel, "Monitoring/Channel1/RapidOverride"),
        (spindle, "Monitoring/MainSpindle/Override"),
    ):
        await builder.add_variable(
            parent,
            path,
            ns.tool,
            ua.Variant(100.0, ua.VariantType.Double),
            ua.NodeId(ua.ObjectIds.Double),
            type_definition=ua.ObjectIds.AnalogUnitRangeType,
        )
    for parent, path, enumeration in (
        (tool, "Monitoring/MachineTool/OperationMode", 65),
        (channel, "Monitoring/Channel1/ChannelState", 64),
        (channel, "Monitoring/Channel1/ChannelMode", 67),
    ):
        value = ua.Variant(0, ua.VariantType.Int32)
        await builder.add_variable(parent, path, ns.tool, value, ua.NodeId(enumeration, ns.tool))
    await builder.add_variable(
        spindle,
        "Monitoring/MainSpindle/IsRotating",
        ns.tool,
        ua.Variant(Value=False, VariantType=ua.VariantType.Boolean),
        ua.NodeId(ua.ObjectIds.Boolean),
    )
    for name, type_id in (
        ("MachineryItemState", ua.NodeId(1002, ns.machinery)),
        ("MachineryOperationMode", ua.NodeId(1003, ns.tool)),
    ):
        path = f"Monitoring/MachineTool/{name}"
        add_in = await builder.add_object(tool, path, ns.machinery, type_id, ua.ObjectIds.HasAddIn)
        await _build_current_state(builder, add_in, path)


async def _build_current_state(builder: Builder, machine: Node, path: str) -> None:
    current = await builder.add_variable(
        machine,
        f"{path}/CurrentState",
        0,
        ua.Variant(ua.LocalizedText("")),
        ua.NodeId(ua.ObjectIds.LocalizedText),
        type_definition=ua.ObjectIds.FiniteStateVariableType,
    )
    value = ua.Variant(ua.NodeId(), ua.VariantType.NodeId)
    path = f"{path}/CurrentState/Id"
    await builder.add_variable(current, path, 0, value, ua.NodeId(ua.ObjectIds.NodeId), is_property=True)


async def _build_production(builder: Builder, machine: Node) -> None:
    ns = builder.ns
    production = await builder.add_object(machine, "Production", ns.tool, ua.NodeId(21, ns.tool))
    program = await builder.add_object(production, "Production/ActiveProgram", ns.tool, ua.NodeId(32, ns.tool))
    await builder.add_variable(
        program,
        "Production/ActiveProgram/Name",
        ns.tool,
        _string(""),
        ua.NodeId(ua.ObjectIds.String),
        is_property=True,
    )
    await builder.add_variable(
        program,
        "Production/ActiveProgram/NumberInList",
        0,
        ua.Variant(0, ua.VariantType.UInt16),
        ua.NodeId(ua.ObjectIds.UInt16),
        is_property=True,
    )
    state = await builder.add_object(program, "Production/ActiveProgram/State", ns.tool, ua.NodeId(15, ns.tool))
    await _build_current_state(builder, state, "Production/ActiveProgram/State")
    statistics = await builder.add_object(production, "Production/Statistics", ns.tool, ua.NodeId(20, ns.tool))
    await builder.add_variable(
        statistics,
        "Production/Statistics/PartsProducedInLifetime",
        ns.tool,
        ua.Variant(0, ua.VariantType.UInt32),
        ua.NodeId(ua.ObjectIds.UInt32),
    )
