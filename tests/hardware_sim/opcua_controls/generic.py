# SPDX-License-Identifier: GPL-3.0-or-later
"""A press whose maker has never heard of a companion specification."""

from __future__ import annotations

from asyncua import Node, Server, ua

from tests.hardware_sim.opcua_controls.space import Space

URI = "urn:infomobil:simulator:press"
VALUES: dict[str, object] = {
    "State/Word": 0,
    "State/Mode": "AUTO",
    "State/CircuitClosed": True,
    "State/DoorOpen": False,
    "Axes/X": 0.0,
    "Axes/Y": 0.0,
    "Axes/Z": 0.0,
    "Axes/Feed": 0.0,
    "Axes/Override": 1.0,
    "Spindle/Speed": 0.0,
    "Program/Name": "P1",
    "Program/Line": 0,
    "Program/Parts": 7,
}


async def build(server: Server) -> Space:
    """Build the object Press below Objects."""
    space = Space(server, await server.register_namespace(URI))
    alarm = server.get_node(ua.ObjectIds.AlarmConditionType)
    space.alarm_type = ua.NodeId(3001, space.index)
    space.code_field = "Number"
    await alarm.add_object_type(space.alarm_type, ua.QualifiedName("PressAlarmType", space.index))
    root = await space.add_object(server.nodes.objects, "Press", "Press")
    await space.allow_events(root)
    folders: dict[str, Node] = {}
    for path, value in VALUES.items():
        folder, _, name = path.partition("/")
        if folder not in folders:
            folders[folder] = await space.add_object(root, folder, folder)
        await space.add_variable(folders[folder], name, path, value)
    return space
