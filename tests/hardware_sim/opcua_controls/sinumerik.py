# SPDX-License-Identifier: GPL-3.0-or-later
"""A Sinumerik's own address space, as far as a client needs it, with its file methods and Select.

Names, indexes and the answers of Select are those of the "Access MyMachine / OPC UA" configuration manual: 1 no such
channel, 2 no such program, 3 the channel is not in reset, 4 rejected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncua import Node, Server, ua

from tests.hardware_sim.opcua_controls.space import Space
from tests.hardware_sim.opcua_lathe.faults import Faults
from tests.hardware_sim.opcua_lathe.files import Disk, FileSystem
from tests.hardware_sim.opcua_lathe.model import Builder, Namespaces

URI = "SinumerikVarProvider"
CNC_URI = "http://opcfoundation.org/UA/CNC/"
LIMIT_BYTES = 16_000_000

_ROOT = "Sinumerik/FileSystem/"
_FOLDERS = ("Part Program", "Sub Program", "Work Pieces")

_DISCRETE_ALARM_TYPE = 10523
_STATUS = "/Channel/State/chanStatus[u1,1]"
_SELECTED = "/Channel/ProgramInfo/selectedWorkPProg[u1,1]"
_VALUES: dict[str, Any] = {
    "/Nck/Configuration/nckVersion": 48.05,
    "/Nck/Configuration/nckType": 14000,
    "/Nck/Configuration/numChannels": 1,
    _STATUS: 0,
    "/Channel/State/progStatus[u1,1]": 5,
    "/Bag/State/opMode[u1,1]": 2,
    "/Channel/State/feedRateIpoOvr[u1,1]": 100.0,
    "/Channel/State/rapFeedRateOvr[u1,1]": 100.0,
    "/Channel/State/actFeedRateIpo[u1,1]": 0.0,
    "/Channel/State/feedRateIpoUnit[u1,1]": 0,
    "/Channel/State/totalParts[u1,1]": 1200.0,
    "/Channel/ProgramInfo/progName[u1,1]": "/_N_MPF_DIR/_N_ROOK_MPF",
    _SELECTED: "/_N_MPF_DIR/_N_ROOK_MPF",
    "/Channel/ProgramInfo/actLineNumber[u1,1]": 0,
    "/Channel/Spindle/cmdSpeed[u1,1]": 0.0,
    "/Channel/Spindle/actSpeed[u1,1]": 0.0,
    "/Channel/Spindle/speedOvr[u1,1]": 100.0,
    "/Channel/Spindle/turnState[u1,1]": 2,
    **{f"/Channel/MachineAxis/name[u1,{index}]": f"M{axis}1" for index, axis in enumerate("XYZ", 1)},
    **{f"/Channel/MachineAxis/actToolBasePos[u1,{index}]": 0.0 for index in (1, 2, 3)},
    **{f"/Channel/MachineAxis/extUnit[u1,{index}]": 0 for index in (1, 2, 3)},
    **{f"/Channel/GeometricAxis/name[u1,{index}]": axis for index, axis in enumerate("XYZ", 1)},
    **{f"/Channel/GeometricAxis/actProgPos[u1,{index}]": 0.0 for index in (1, 2, 3)},
    **{f"/Channel/GeometricAxis/extUnit[u1,{index}]": 0 for index in (1, 2, 3)},
}


class Memory:
    """The program memory: the same files by the control's own methods and as an OPC UA file system.

    Garbled, it keeps something else than was sent.
    """

    def __init__(self, space: Space, cut_wire: Callable[[], None]) -> None:
        self.rejects = False
        self._space = space
        self._faults = Faults(cut_wire)
        self._disk = Disk(folders=set(_FOLDERS))
        self._files = FileSystem(self._disk, self._faults, lambda _: False)

    @property
    def files(self) -> dict[str, int]:
        """Return the size of every file by the path that the control knows."""
        return {f"{_ROOT}{path}": len(content) for path, content in self._disk.files.items()}

    def garble(self, *, on: bool) -> None:
        """Keep something else than is sent, or what is sent."""
        self._faults.corrupt = on

    async def build(self, root: Node) -> None:
        """Add the file system to the control."""
        index = self._space.index
        builder = Builder(self._space.server, Namespaces(0, 0, 0, index, 0, 0))
        await self._files.build(self._space.server, builder, root, movable=True)

    async def to_server(self, _parent: ua.NodeId, name: ua.Variant, data: ua.Variant, overwrite: ua.Variant) -> Any:
        """CopyFileToServer(TargetFilename, Data, Overwrite)."""
        content = data.Value or b""
        path = name.Value.removeprefix(_ROOT)
        if len(content) >= LIMIT_BYTES:
            return ua.StatusCode(ua.StatusCodes.BadOutOfMemory)
        if path in self._disk.files and not overwrite.Value:
            return ua.StatusCode(ua.StatusCodes.BadInvalidArgument)
        if path == name.Value or path.rpartition("/")[0] not in self._disk.folders:
            return ua.StatusCode(ua.StatusCodes.BadNotFound)
        await self._files.put(path, content[:-1] + b"?" if self._faults.corrupt else content)
        return []

    async def from_server(self, _parent: ua.NodeId, name: ua.Variant) -> Any:
        """CopyFileFromServer(SourceFile) -> Data."""
        if name.Value not in self.files:
            return ua.StatusCode(ua.StatusCodes.BadNotFound)
        content = bytes(self._disk.files[name.Value.removeprefix(_ROOT)])
        return [ua.Variant(content, ua.VariantType.ByteString)]

    async def select(self, _parent: ua.NodeId, name: ua.Variant, channel: ua.Variant) -> Any:
        """Select(SourceFileNodeId, ChannelNumber) -> StatusCode; as strict of types as OPC UA is."""
        if (name.VariantType, channel.VariantType) != (ua.VariantType.String, ua.VariantType.Int32):
            return ua.StatusCode(ua.StatusCodes.BadInvalidArgument)
        return [ua.Variant(await self._select(name.Value, channel.Value), ua.VariantType.Int32)]

    async def _select(self, name: str, channel: int) -> int:
        if channel != 1:
            return 1
        if name not in self.files:
            return 2
        if self._space.value(_STATUS) != 0:
            return 3
        if self.rejects:
            return 4
        await self._space.set(_SELECTED, f"/_N_MPF_DIR/_N_{name.rpartition('/')[2].replace('.', '_').upper()}")
        return 0


async def build(server: Server, cut_wire: Callable[[], None]) -> tuple[Space, Memory]:
    """Build the object Sinumerik with its variables and methods."""
    space = Space(server, await server.register_namespace(URI))
    cnc = await server.register_namespace(CNC_URI)
    alarm = server.get_node(_DISCRETE_ALARM_TYPE)
    await alarm.add_object_type(ua.NodeId(1006, cnc), ua.QualifiedName("CNCAlarmType", cnc))
    space.alarm_type = ua.NodeId(1006, cnc)
    root = await space.add_object(server.nodes.objects, "Sinumerik", "Sinumerik")
    await space.allow_events(root)
    memory = Memory(space, cut_wire)
    await memory.build(root)
    await _build_methods(space, root, memory)
    await _build_variables(space, root)
    return space, memory


async def _build_variables(space: Space, root: Node) -> None:
    folders: dict[str, Node] = {}
    for path, value in _VALUES.items():
        *parents, last = path.removeprefix("/").split("/")
        parent = root
        for depth, name in enumerate(parents, 1):
            key = "/".join(parents[:depth])
            if key not in folders:
                folders[key] = await space.add_object(parent, name, f"/{key}")
            parent = folders[key]
        await space.add_variable(parent, last, path, value)


async def _build_methods(space: Space, root: Node, memory: Memory) -> None:
    methods = await space.add_object(root, "Methods", "/Methods")
    handling = await space.add_object(methods, "Filehandling", "/Methods/Filehandling")
    text, data, flag, number = (
        ua.NodeId(one)
        for one in (ua.ObjectIds.String, ua.ObjectIds.ByteString, ua.ObjectIds.Boolean, ua.ObjectIds.Int32)
    )
    for name, work, inputs, outputs in (
        (
            "CopyFileToServer",
            memory.to_server,
            [("TargetFilename", text), ("Data", data), ("Overwrite", flag)],
            [],
        ),
        ("CopyFileFromServer", memory.from_server, [("SourceFile", text)], [("Data", data)]),
        ("Select", memory.select, [("SourceFileNodeId", text), ("ChannelNumber", number)], [("StatusCode", number)]),
    ):
        await handling.add_method(
            ua.NodeId(f"/Methods/Filehandling/{name}", space.index),
            ua.QualifiedName(name, space.index),
            work,
            [_argument(*one) for one in inputs],
            [_argument(*one) for one in outputs],
        )


def _argument(name: str, data_type: ua.NodeId) -> ua.Argument:
    return ua.Argument(Name=name, DataType=data_type, ValueRank=-1)
