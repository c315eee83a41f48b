# SPDX-License-Identifier: GPL-3.0-or-later
"""A program memory without a wire: the file system of OPC 10000-20 and a Sinumerik's methods, as a client sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from edge.drivers.opcua.connection import Reference
from edge.drivers.opcua.errors import CallRefused
from edge.drivers.opcua.models.model import Directory, Methods

DIRECTORY = Directory("ns=1;s=root", {name: f"ns=1;s=root.{name}" for name in ("CreateFile", "Delete", "MoveOrCopy")})
FILES = Methods("ns=1;s=m", {name: f"ns=1;s=m.{name}" for name in ("CopyFileToServer", "CopyFileFromServer")})
SELECT = Methods("ns=1;s=m", {"Select": "ns=1;s=m.Select"})
FILE_METHODS = ("Open", "Close", "Read", "Write")


class Memory:
    """Files by name, and every call as its method's name and arguments; implements Link.

    refuse holds, by method, what is asked with the arguments before each call, and returns a status to refuse it with.
    limit is the server's MaxByteStringLength. kept lets a file become something else than was written. selected is what
    Select answers, nothing where it is an ellipsis; read_as is what CopyFileFromServer answers instead of a file.
    """

    def __init__(self) -> None:
        self.namespaces: tuple[str, ...] = ("http://opcfoundation.org/UA/", "urn:memory")
        self.files: dict[str, bytes] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.refuse: dict[str, Callable[..., str | None]] = {}
        self.limit: int | None = None
        self.file_methods: Sequence[str] = FILE_METHODS
        self.selected: Any = 0
        self.read_as: Any = ...
        self.kept: Callable[[bytes], bytes] = lambda content: content
        self._handles: dict[int, list[Any]] = {}

    @property
    def open_handles(self) -> int:
        """How many files are open."""
        return len(self._handles)

    def called(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every call of a method."""
        return [arguments for method, arguments in self.calls if method == name]

    async def browse(self, node_id: str) -> list[Reference]:
        if node_id == DIRECTORY.node_id:
            methods = [Reference(name, one, "i=0") for name, one in DIRECTORY.methods.items()]
            return methods + [Reference(name, _file(name), "i=11575") for name in self.files]
        return [Reference(name, f"{node_id}.{name}", "i=0") for name in self.file_methods]

    async def read(self, node_ids: Sequence[str]) -> list[object]:
        return [self.limit for _ in node_ids]

    async def prepare_call(self, method_id: str) -> None:
        raise NotImplementedError

    def begin_call(self, object_id: str, method_id: str, *arguments: object) -> Any:
        raise NotImplementedError

    async def finish_call(self, method_id: str, begun: Any, seconds: float | None = None) -> list[object]:
        raise NotImplementedError

    async def call(
        self, object_id: str, method_id: str, *arguments: object, seconds: float | None = None
    ) -> list[object]:
        await asyncio.sleep(0)
        name = method_id.rpartition(".")[2]
        plain = tuple(getattr(one, "Value", one) for one in arguments)
        self.calls.append((name, plain))
        if (status := self.refuse.get(name, lambda *_: None)(*plain)) is not None:
            raise CallRefused(status=status, what=method_id)
        return list(getattr(self, f"_call_{name.lower()}")(object_id.removeprefix("ns=1;s=f."), *plain))

    def _call_createfile(self, _root: str, name: str, _opened: bool) -> list[object]:
        self._free(name)
        self.files[name] = b""
        return [_file(name), 0]

    def _call_delete(self, _root: str, target: Any) -> list[object]:
        del self.files[_name(target)]
        return []

    def _call_moveorcopy(self, _root: str, target: Any, _to: Any, _copied: bool, name: str) -> list[object]:
        self._free(name)
        self.files[name] = self.files.pop(_name(target))
        return [_file(name)]

    def _free(self, name: str) -> None:
        if name in self.files:
            raise CallRefused(status="BadBrowseNameDuplicated", what=name)

    def _call_open(self, name: str, _mode: int) -> list[object]:
        self._handles[len(self.calls)] = [name, 0]
        return [len(self.calls)]

    def _call_close(self, _name: str, handle: int) -> list[object]:
        del self._handles[handle]
        return []

    def _call_write(self, name: str, _handle: int, data: bytes) -> list[object]:
        self.files[name] = self.kept(self.files[name] + data)
        return []

    def _call_read(self, name: str, handle: int, length: int) -> list[object]:
        opened = self._handles[handle]
        data = self.files[name][opened[1] : opened[1] + length]
        opened[1] += len(data)
        return [data]

    def _call_copyfiletoserver(self, _object: str, name: str, data: bytes, overwrite: bool) -> list[object]:
        if not overwrite:
            self._free(name)
        self.files[name] = self.kept(data)
        return []

    def _call_copyfilefromserver(self, _object: str, name: str) -> list[object]:
        if name not in self.files:
            raise CallRefused(status="BadNotFound", what=name)
        return [self.files[name] if self.read_as is ... else self.read_as]

    def _call_select(self, _object: str, _name: str, _channel: int) -> list[object]:
        return [] if self.selected is ... else [self.selected]


def _file(name: str) -> str:
    return f"ns=1;s=f.{name}"


def _name(target: Any) -> str:
    return str(target.Identifier).removeprefix("f.")
