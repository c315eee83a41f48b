# SPDX-License-Identifier: GPL-3.0-or-later
"""A milling machine of OPC 40502, with the numeric ids and browse names of the published node set.

Lengths are inches on X, millimetres on Y and unnamed on Z; the feed is in metres per minute.
"""

from __future__ import annotations

from asyncua import Node, Server, ua

from tests.hardware_sim.opcua_controls.space import Space

CNC_URI = "http://opcfoundation.org/UA/CNC/"
VENDOR_URI = "urn:infomobil:simulator:mill"

_DISCRETE_ALARM_TYPE = 10523
_TYPES = {
    1001: "CncComponentType",
    1002: "CncChannelType",
    1004: "CncAxisType",
    1005: "CncSpindleType",
    1007: "CncInterfaceType",
    1008: "CncAxisListType",
    1009: "CncSpindleListType",
    1010: "CncChannelListType",
}
_UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
_CHANNEL: dict[str, object] = {
    "ActStatus": 2,
    "ActProgramStatus": 0,
    "ActOperationMode": 2,
    "FeedHold": False,
    "ActProgramName": "ROOK.NC",
    "ActMainProgramName": "ROOK.NC",
    "ActProgramLine": "0",
    "ActProgramBlock": "",
}
_SPINDLE: dict[str, object] = {"ActTurnDirection": 0, "ActStatus": 0}


def _unit(code: str, name: str) -> ua.EUInformation:
    return ua.EUInformation(
        NamespaceUri=_UNECE,
        UnitId=int.from_bytes(code.encode(), "big") if code else 0,
        DisplayName=ua.LocalizedText(name),
    )


async def build(server: Server) -> Space:
    """Build a CncInterface with a channel, three axes and a spindle below Objects."""
    cnc = await server.register_namespace(CNC_URI)
    space = Space(server, await server.register_namespace(VENDOR_URI))
    base = server.get_node(ua.ObjectIds.BaseObjectType)
    for number, name in _TYPES.items():
        await base.add_object_type(ua.NodeId(number, cnc), ua.QualifiedName(name, cnc))
    alarm = server.get_node(_DISCRETE_ALARM_TYPE)
    await alarm.add_object_type(ua.NodeId(1006, cnc), ua.QualifiedName("CncAlarmType", cnc))
    space.alarm_type = ua.NodeId(1006, cnc)
    root = await space.add_object(server.nodes.objects, "CncInterface", "Cnc", ua.NodeId(1007, cnc))
    await space.allow_events(root)
    await space.add_variable(root, "VendorName", "VendorName", "InfoMobil")
    await space.add_variable(root, "CncTypeName", "CncTypeName", "Simulated 40502")
    axes = await space.add_object(root, "CncAxisList", "CncAxisList", ua.NodeId(1008, cnc))
    for name, unit in (("X", _unit("INH", "in")), ("Y", _unit("MMT", "mm")), ("Z", _unit("", ""))):
        axis = await space.add_object(axes, name, name, ua.NodeId(1004, cnc))
        for encoder in ("PosDirect", "PosIndirect"):
            position = await space.add_object(axis, encoder, f"{name}/{encoder}")
            await space.add_variable(position, "ActPos", f"{name}/{encoder}/ActPos", 0.0)
            await position.add_property(space.index, "EngineeringUnits", unit)
    await _build_channel(space, root, cnc)
    await _build_spindle(space, root, cnc)
    return space


async def _build_channel(space: Space, root: Node, cnc: int) -> None:
    channels = await space.add_object(root, "CncChannelList", "CncChannelList", ua.NodeId(1010, cnc))
    channel = await space.add_object(channels, "Channel_1", "Channel_1", ua.NodeId(1002, cnc))
    for name, value in _CHANNEL.items():
        await space.add_variable(channel, name, name, value)
    for name, unit in (("ActOverride", _unit("P1", "%")), ("ActFeedrate", _unit("2X", "m/min"))):
        node = await space.add_variable(channel, name, name, 100.0 if name == "ActOverride" else 0.0)
        await _make_analog(node)
        await node.add_property(space.index, "EngineeringUnits", unit)
    for axis in "XYZ":
        position = await space.add_object(channel, f"PosTcpWcs{axis}", f"PosTcpWcs{axis}")
        await space.add_variable(position, "ActPos", f"PosTcpWcs{axis}/ActPos", 0.0)


async def _build_spindle(space: Space, root: Node, cnc: int) -> None:
    spindles = await space.add_object(root, "CncSpindleList", "CncSpindleList", ua.NodeId(1009, cnc))
    spindle = await space.add_object(spindles, "S1", "S1", ua.NodeId(1005, cnc))
    for name, value in _SPINDLE.items():
        await space.add_variable(spindle, name, f"S1/{name}", value)
    for name, unit in (
        ("CmdSpeed", _unit("RPM", "rpm")),
        ("ActSpeed", _unit("RPM", "rpm")),
        ("ActOverride", _unit("P1", "%")),
    ):
        node = await space.add_variable(spindle, name, f"S1/{name}", 100.0 if name == "ActOverride" else 0.0)
        await _make_analog(node)
        await node.add_property(space.index, "EngineeringUnits", unit)


async def _make_analog(node: Node) -> None:
    """Let a variable be of AnalogItemType, as in the model."""
    await node.delete_reference(ua.NodeId(ua.ObjectIds.BaseDataVariableType), ua.ObjectIds.HasTypeDefinition)
    await node.add_reference(ua.NodeId(ua.ObjectIds.AnalogItemType), ua.ObjectIds.HasTypeDefinition)
