# SPDX-License-Identifier: GPL-3.0-or-later
"""The lathe's program memory as a FileSystem of OPC 10000-20: FileDirectoryType and FileType.

Objects share the Method nodes of the two types, which OPC 10000-3 permits: a method knows its object by the ObjectId of
the call. A file that is open, or that the lathe runs, can be neither moved nor deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from asyncua import Node, Server, ua

from tests.hardware_sim.opcua_lathe.faults import Faults, Refusal
from tests.hardware_sim.opcua_lathe.model import Builder

ROOT = "FileSystem"
CALLER: ContextVar[object] = ContextVar("caller", default=None)
"""The session that calls a method."""

_FILE_TYPE = 11575
_DIRECTORY_TYPE = 13353
_READ, _WRITE, _ERASE, _APPEND = 1, 2, 4, 8

_FILE_METHODS = {
    "Open": 11580,
    "Close": 11583,
    "Read": 11585,
    "Write": 11588,
    "GetPosition": 11590,
    "SetPosition": 11593,
}
_FILE_PROPERTIES = ("Size", "Writable", "UserWritable", "OpenCount")
_DIRECTORY_METHODS = {"CreateDirectory": 13387, "CreateFile": 13390, "Delete": 13393, "MoveOrCopy": 13395}


@dataclass
class Disk:
    """What the lathe keeps, over restarts of its server: bytes by path, and folders."""

    files: dict[str, bytearray] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def listing(self) -> list[dict[str, object]]:
        """Return name, size and SHA-256 of every file."""
        return [
            {"name": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in sorted(self.files.items())
        ]


@dataclass
class _Handle:
    path: str
    mode: int
    session: object
    position: int = 0


class FileSystem:
    """The file system in the address space of one life of the server."""

    def __init__(self, disk: Disk, faults: Faults, is_running: Callable[[str], bool]) -> None:
        self._disk = disk
        self._faults = faults
        self._is_running = is_running
        self._handles: dict[int, _Handle] = {}
        self._newest_handle = 0
        self._server: Any = None
        self._builder: Any = None

    @property
    def open_handles(self) -> int:
        """How many handles clients hold."""
        return len(self._handles)

    async def build(self, server: Server, builder: Builder, machine: Node, *, movable: bool) -> None:
        """Add the FileSystem to the machine; without `movable` it has no MoveOrCopy."""
        self._server = server
        self._builder = builder
        self._directory_methods = {
            name: number for name, number in _DIRECTORY_METHODS.items() if movable or name != "MoveOrCopy"
        }
        for name, number in (_FILE_METHODS | self._directory_methods).items():
            work = getattr(self, f"_{name.lower()}")
            server.link_method(server.get_node(ua.NodeId(number)), self._faults.method(name, work))
        await self._add_directory(machine, "")
        for path in sorted(self._disk.folders):
            await self._add_directory(self._node(_parent(path)), path)
        for path in sorted(self._disk.files):
            await self._add_file(path)

    async def put(self, path: str, content: bytes) -> None:
        """Put a file there, as at the machine's panel; folders on the way are made."""
        folder = _parent(path)
        if folder and folder not in self._disk.folders:
            self._disk.folders.add(folder)
            await self._add_directory(self._node(_parent(folder)), folder)
        is_new = path not in self._disk.files
        self._disk.files[path] = bytearray(content)
        await (self._add_file(path) if is_new else self._refresh(path))

    async def erase(self) -> None:
        """Remove all files and folders, whoever has them open."""
        self._handles.clear()
        for path in list(self._disk.files):
            del self._disk.files[path]
            await self._remove_node(path)
        if self._disk.folders:
            await self._server.delete_nodes([self._node(path) for path in self._disk.folders])
            self._disk.folders.clear()

    def session_ended(self, session: object) -> None:
        """Close the files that a session has open."""
        self._handles = {number: one for number, one in self._handles.items() if one.session is not session}

    def _node_id(self, path: str) -> ua.NodeId:
        return ua.NodeId(f"{ROOT}/{path}" if path else ROOT, self._builder.ns.lathe)

    def _node(self, path: str) -> Node:
        node: Node = self._server.get_node(self._node_id(path))
        return node

    def _path(self, node_id: ua.NodeId) -> str:
        text = str(node_id.Identifier)
        if text == ROOT:
            return ""
        if not text.startswith(f"{ROOT}/"):
            raise Refusal("BadNodeIdInvalid")
        return text.removeprefix(f"{ROOT}/")

    async def _add_directory(self, parent: Node, path: str) -> None:
        reference = ua.ObjectIds.Organizes if path else ua.ObjectIds.HasComponent
        name = f"{ROOT}/{path}" if path else ROOT
        namespace = self._builder.ns.lathe if path else 0
        node = await self._builder.add_object(parent, name, namespace, ua.NodeId(_DIRECTORY_TYPE), reference)
        await _share_methods(node, self._directory_methods)

    async def _add_file(self, path: str) -> None:
        parent = self._node(_parent(path))
        name = f"{ROOT}/{path}"
        ns = self._builder.ns.lathe
        node = await self._builder.add_object(parent, name, ns, ua.NodeId(_FILE_TYPE), ua.ObjectIds.Organizes)
        for word, value, data_type in (
            ("Size", ua.Variant(len(self._disk.files[path]), ua.VariantType.UInt64), ua.ObjectIds.UInt64),
            ("Writable", ua.Variant(Value=True, VariantType=ua.VariantType.Boolean), ua.ObjectIds.Boolean),
            ("UserWritable", ua.Variant(Value=True, VariantType=ua.VariantType.Boolean), ua.ObjectIds.Boolean),
            ("OpenCount", ua.Variant(0, ua.VariantType.UInt16), ua.ObjectIds.UInt16),
        ):
            await self._builder.add_variable(node, f"{name}/{word}", 0, value, ua.NodeId(data_type), is_property=True)
        await _share_methods(node, _FILE_METHODS)

    async def _remove_node(self, path: str) -> None:
        # Not recursive: the Method nodes belong to the types.
        properties = [self._node(f"{path}/{word}") for word in _FILE_PROPERTIES]
        await self._server.delete_nodes([*properties, self._node(path)])

    async def _refresh(self, path: str) -> None:
        opened = sum(one.path == path for one in self._handles.values())
        for word, value in (
            ("Size", ua.Variant(len(self._disk.files[path]), ua.VariantType.UInt64)),
            ("OpenCount", ua.Variant(opened, ua.VariantType.UInt16)),
        ):
            node_id = ua.NodeId(f"{ROOT}/{path}/{word}", self._builder.ns.lathe)
            await self._server.write_attribute_value(node_id, ua.DataValue(value))

    def _child(self, parent: ua.NodeId, name: str) -> str:
        folder = self._path(parent)
        if folder and folder not in self._disk.folders:
            raise Refusal("BadNodeIdInvalid")
        if not name or "/" in name:
            raise Refusal("BadInvalidArgument")
        return f"{folder}/{name}".lstrip("/")

    def _check_free(self, path: str) -> None:
        if path in self._disk.files or path in self._disk.folders:
            raise Refusal("BadBrowseNameDuplicated")

    def _check_unlocked(self, path: str) -> None:
        if any(one.path == path for one in self._handles.values()) or self._is_running(path):
            raise Refusal("BadInvalidState")

    async def _createdirectory(self, parent: ua.NodeId, name: str) -> list[ua.Variant]:
        path = self._child(parent, name)
        self._check_free(path)
        self._disk.folders.add(path)
        await self._add_directory(self._node(_parent(path)), path)
        return [ua.Variant(self._node_id(path), ua.VariantType.NodeId)]

    async def _createfile(self, parent: ua.NodeId, name: str, opened: bool) -> list[ua.Variant]:
        path = self._child(parent, name)
        self._check_free(path)
        self._disk.files[path] = bytearray()
        await self._add_file(path)
        handle = await self._new_handle(path, _READ | _WRITE) if opened else 0
        return [
            ua.Variant(self._node_id(path), ua.VariantType.NodeId),
            ua.Variant(handle, ua.VariantType.UInt32),
        ]

    async def _delete(self, parent: ua.NodeId, target: ua.NodeId) -> list[ua.Variant]:
        path = self._path(target)
        if _parent(path) != self._path(parent) or path not in self._disk.files:
            raise Refusal("BadNotFound")
        self._check_unlocked(path)
        del self._disk.files[path]
        await self._remove_node(path)
        return []

    async def _moveorcopy(
        self, parent: ua.NodeId, target: ua.NodeId, to: ua.NodeId, copied: bool, name: str
    ) -> list[ua.Variant]:
        path = self._path(target)
        if _parent(path) != self._path(parent) or path not in self._disk.files:
            raise Refusal("BadNotFound")
        new = self._child(to, name or path.rpartition("/")[2])
        self._check_free(new)
        self._check_unlocked(path)
        self._disk.files[new] = bytearray(self._disk.files[path])
        if not copied:
            del self._disk.files[path]
            await self._remove_node(path)
        await self._add_file(new)
        return [ua.Variant(self._node_id(new), ua.VariantType.NodeId)]

    async def _new_handle(self, path: str, mode: int) -> int:
        self._newest_handle += 1
        self._handles[self._newest_handle] = _Handle(path, mode, CALLER.get())
        await self._refresh(path)
        return self._newest_handle

    def _handle(self, parent: ua.NodeId, number: int, mode: int) -> _Handle:
        handle = self._handles.get(number)
        if handle is None or handle.path != self._path(parent):
            raise Refusal("BadInvalidArgument")
        if not handle.mode & mode:
            raise Refusal("BadInvalidState")
        return handle

    async def _open(self, parent: ua.NodeId, mode: int) -> list[ua.Variant]:
        path = self._path(parent)
        if path not in self._disk.files:
            raise Refusal("BadNodeIdInvalid")
        writing = any(one.path == path and one.mode & _WRITE for one in self._handles.values())
        if writing or (mode & _WRITE and any(one.path == path for one in self._handles.values())):
            raise Refusal("BadInvalidState")
        if mode & _ERASE:
            self._disk.files[path].clear()
        handle = await self._new_handle(path, mode)
        if mode & _APPEND:
            self._handles[handle].position = len(self._disk.files[path])
        return [ua.Variant(handle, ua.VariantType.UInt32)]

    async def _close(self, parent: ua.NodeId, number: int) -> list[ua.Variant]:
        handle = self._handle(parent, number, _READ | _WRITE)
        del self._handles[number]
        await self._refresh(handle.path)
        return []

    async def _read(self, parent: ua.NodeId, number: int, length: int) -> list[ua.Variant]:
        handle = self._handle(parent, number, _READ)
        if length <= 0:
            raise Refusal("BadInvalidArgument")
        data = bytes(self._disk.files[handle.path][handle.position : handle.position + length])
        handle.position += len(data)
        if self._faults.corrupt and data:
            data = data[:-1] + bytes([data[-1] ^ 0x01])
        return [ua.Variant(data, ua.VariantType.ByteString)]

    async def _write(self, parent: ua.NodeId, number: int, data: bytes | None) -> list[ua.Variant]:
        handle = self._handle(parent, number, _WRITE)
        content = self._disk.files[handle.path]
        data = data or b""
        content[handle.position : handle.position + len(data)] = data
        handle.position += len(data)
        self._faults.written(len(data))
        return []

    async def _getposition(self, parent: ua.NodeId, number: int) -> list[ua.Variant]:
        return [ua.Variant(self._handle(parent, number, _READ | _WRITE).position, ua.VariantType.UInt64)]

    async def _setposition(self, parent: ua.NodeId, number: int, position: int) -> list[ua.Variant]:
        handle = self._handle(parent, number, _READ | _WRITE)
        handle.position = min(position, len(self._disk.files[handle.path]))
        return []


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


async def _share_methods(node: Node, methods: dict[str, int]) -> None:
    for number in methods.values():
        await node.add_reference(
            ua.NodeId(number), ua.NodeId(ua.ObjectIds.HasComponent), forward=True, bidirectional=False
        )
