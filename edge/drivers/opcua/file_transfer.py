# SPDX-License-Identifier: GPL-3.0-or-later
"""Program files through the file system of OPC 10000-20 (FileDirectoryType, FileType).

A program that the machine has is never written over. The new one grows beside it under a name of its own, is read back,
and only then takes the place: the old one is renamed away, the new one renamed to its name, the old one deleted. What
an end in between leaves behind is told by its name and put right on the next connection: not always at once, because
a server holds a file open until it has given up the session that was lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Container, Sequence
from typing import Any, Protocol

from edge.domain.errors import InfoMobilError
from edge.domain.transfer import ProgramFile, TransferStep
from edge.drivers.opcua.errors import CallRefused, LinkError
from edge.drivers.opcua.models.model import Directory, Reference
from edge.drivers.opcua.translate import ua

OLD = "IMOLD_"
"""How the name of a file that is being replaced begins."""

OURS = re.compile(r"IM(NEW\d|OLD)_")
"""How the names begin that files have while one is brought over."""

_NEW = re.compile(r"IMNEW\d_")
_NEW_AT_ONCE = 10

_CHUNK = 60_000
_SMALLEST_CHUNK = 1_000
_LONG_ANSWER_S = 0.5
_SERVER_BYTE_STRING_LIMIT = "i=12911"
_DIRECTORY_TYPE = "i=13353"
_READ, _WRITE = 1, 2
_READ_AND_WRITE = _READ | _WRITE

_TOO_LARGE = frozenset(
    ("BadRequestTooLarge", "BadResponseTooLarge", "BadTcpMessageTooLarge", "BadEncodingLimitsExceeded")
)
_WORDS = {
    "BadUserAccessDenied": "the machine does not permit it to this user",
    "BadNotWritable": "the machine does not permit writing there",
    "BadNotReadable": "the machine does not permit reading there",
    "BadInvalidState": "the file is in use on the machine",
    "BadBrowseNameDuplicated": "the machine has a file of that name",
    "BadNotFound": "the machine no longer has it",
    "BadNodeIdInvalid": "the machine no longer has it",
    "BadNodeIdUnknown": "the machine no longer has it",
    "BadResourceUnavailable": "the machine has no room for it",
    "BadOutOfMemory": "the machine has no room for it",
    "BadDeviceFailure": "the machine's memory failed",
    "BadNotSupported": "the machine does not offer that",
    "BadNotImplemented": "the machine does not offer that",
    "BadMethodInvalid": "the machine does not offer that",
    "BadNothingToDo": "the machine does not offer that",
}

_log = logging.getLogger(__name__)


class NotDone(InfoMobilError):
    """The machine did not do it: {reason}."""


class Differs(NotDone):
    """The machine did not do it: {reason}."""


class Link(Protocol):
    """What is asked of a connection; every call may raise LinkError."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the server's namespace URIs by index."""
        ...

    async def browse(self, node_id: str) -> Sequence[Reference]:
        """Return the children of a node."""
        ...

    async def read(self, node_ids: Sequence[str]) -> list[object]:
        """Return the values of nodes, None where unknown."""
        ...

    async def call(
        self, object_id: str, method_id: str, *arguments: object, seconds: float | None = None
    ) -> list[object]:
        """Call a method and return its output arguments. Raises CallRefused."""
        ...

    async def prepare_call(self, method_id: str) -> None:
        """Learn which arguments a method takes, for `begin_call`."""
        ...

    def begin_call(self, object_id: str, method_id: str, *arguments: object) -> Any:
        """Write a call to the wire before returning; `finish_call` takes what is returned."""
        ...

    async def finish_call(self, method_id: str, begun: Any, seconds: float | None = None) -> list[object]:
        """Return the output arguments of a call that was begun. Raises CallRefused."""
        ...


Tell = Callable[[TransferStep, int], None]
Check = Callable[[], None]


def refused(what: str, error: CallRefused) -> NotDone:
    """Say in a person's words that the machine refused a step."""
    status = str(error.status)
    return NotDone(reason=f"{what}: {_WORDS.get(status, f'the machine answered {status}')}")


class FileStore:
    """The folder of a machine's file system into which programs go.

    `check` of `store` is asked between any two steps and raises where the work is to be given up; `ready` right before
    the file takes its place, and raises NotDone where the machine must not get it now.
    """

    def __init__(self, link: Link, root: Directory, folder: str) -> None:
        self._link = link
        self._folder = [part for part in folder.split("/") if part]
        self._node_id = root.node_id
        self._methods = dict(root.methods)
        self._opened = not self._folder

    async def sweep(self) -> list[str]:
        """Put right what an upload that was cut off has left; return what was done, in a person's words.

        Raises LinkError, NotDone.
        """
        done = []
        entries = await self._entries()
        for name, one in entries.items():
            original = name.removeprefix(OLD)
            if _NEW.match(name):
                await self._delete(one.node_id, name)
                done.append(f"the rest of {_NEW.sub('', name, count=1)} is removed, which had not come over whole")
            elif name.startswith(OLD) and original in entries:
                await self._delete(one.node_id, name)
                done.append(f"the former {original} is removed")
            elif name.startswith(OLD):
                await self._rename(one.node_id, original)
                done.append(f"{original} is put back, whose successor had not come over whole")
        return done

    async def store(self, file: ProgramFile, tell: Tell, check: Check, ready: Check) -> str:
        """Write the file, read it back and let it take its place; return its path below the file system.

        Raises Differs where it read back otherwise, NotDone, LinkError, or what `check` raises; then the machine has
        what it had before, as far as it still answers.
        """
        entries = await self._entries()
        movable = "MoveOrCopy" in self._methods
        if file.name in entries and entries[file.name].type_id == _DIRECTORY_TYPE:
            raise NotDone(reason=f"{file.name} is a folder on the machine")
        if file.name in entries and not movable:
            raise NotDone(
                reason="it has a program of that name, which it cannot rename: choose another name or delete it there"
            )
        name = _free_name(file.name, entries) if movable else file.name
        check()
        node_id = await self._create(name)
        try:
            digest = await self._write(node_id, file.content, tell, check)
            check()
            if await self._read_back(node_id, len(file.content), tell, check) != (digest, len(file.content)):
                raise Differs(reason="what the machine has differs from what was sent")
            check()
            if movable:
                ready()
                await self._take_place(node_id, file.name, entries.get(file.name))
        except LinkError:
            raise
        except BaseException:
            await self._remove(node_id, name)
            raise
        return "/" + "/".join([*self._folder, file.name])

    async def _entries(self) -> dict[str, Reference]:
        if not self._opened:
            await self._open_folder()
        children = await self._link.browse(self._node_id)
        return {one.name: one for one in children if one.name not in self._methods}

    async def _open_folder(self) -> None:
        node_id = self._node_id
        for part in self._folder:
            found = [one for one in await self._link.browse(node_id) if one.name == part]
            if not found:
                raise NotDone(reason=f"it has no folder {'/'.join(self._folder)}: make it there or correct the setting")
            node_id = found[0].node_id
        names = ("CreateFile", "Delete", "MoveOrCopy")
        self._methods = {one.name: one.node_id for one in await self._link.browse(node_id) if one.name in names}
        if "CreateFile" not in self._methods:
            raise NotDone(reason=f"its folder {'/'.join(self._folder)} takes no files")
        self._node_id = node_id
        self._opened = True

    async def _create(self, name: str) -> str:
        # Opened by a call of its own, so that no handle can be lost with an answer.
        outputs = await self._call("making the file", "CreateFile", name, _boolean(value=False))
        return str(outputs[0])

    async def _delete(self, node_id: str, name: str) -> None:
        await self._call(f"deleting {name}", "Delete", _node_id(node_id))

    async def _rename(self, node_id: str, name: str) -> str:
        target = _node_id(self._node_id)
        outputs = await self._call(
            f"renaming to {name}", "MoveOrCopy", _node_id(node_id), target, _boolean(value=False), name
        )
        return str(outputs[0])

    async def _call(self, what: str, method: str, *arguments: object) -> list[object]:
        if method not in self._methods:
            raise NotDone(reason=f"{what}: the machine does not offer {method}")
        try:
            return await self._link.call(self._node_id, self._methods[method], *arguments)
        except CallRefused as error:
            raise refused(what, error) from error

    async def _write(self, node_id: str, content: bytes, tell: Tell, check: Check) -> bytes:
        opened = await _OpenFile.open(self._link, node_id, _WRITE)
        digest = hashlib.sha256()
        try:
            done = 0
            while done < len(content):
                check()
                sent = await opened.write(content[done : done + opened.chunk])
                digest.update(content[done : done + sent])
                done += sent
                tell(TransferStep.UPLOADING, done)
        finally:
            await opened.close()
        return digest.digest()

    async def _read_back(self, node_id: str, size: int, tell: Tell, check: Check) -> tuple[bytes, int]:
        tell(TransferStep.VERIFYING, 0)
        opened = await _OpenFile.open(self._link, node_id, _READ)
        digest = hashlib.sha256()
        done = 0
        try:
            # One byte too many is enough to know.
            while done <= size and (data := await opened.read()):
                check()
                digest.update(data)
                done += len(data)
                tell(TransferStep.VERIFYING, min(done, size))
        finally:
            await opened.close()
        return digest.digest(), done

    async def _take_place(self, node_id: str, name: str, former: Reference | None) -> None:
        kept = None if former is None else await self._rename(former.node_id, f"{OLD}{name}")
        try:
            await self._rename(node_id, name)
        except NotDone:
            if kept is not None:
                await self._rename(kept, name)
            raise
        if kept is not None:
            try:
                await self._delete(kept, f"{OLD}{name}")
            except NotDone as error:
                _log.warning("%s", error)  # the next connection tries again

    async def _remove(self, node_id: str, name: str) -> None:
        try:
            await self._delete(node_id, name)
        except (NotDone, LinkError) as error:
            _log.warning("%s stays on the machine until the next connection: %s", name, error.reason)


class _OpenFile:
    """An open file: a handle that is closed whatever happens."""

    def __init__(self, link: Link, node_id: str, methods: dict[str, str], handle: object) -> None:
        self.chunk = _CHUNK
        self._link = link
        self._node_id = node_id
        self._methods = methods
        self._handle = ua.Variant(handle, ua.VariantType.UInt32)

    @classmethod
    async def open(cls, link: Link, node_id: str, mode: int) -> _OpenFile:
        """Open a file. Raises NotDone, LinkError."""
        children = {one.name: one.node_id for one in await link.browse(node_id)}
        missing = [name for name in ("Open", "Close", "Read", "Write") if name not in children]
        if missing:
            raise NotDone(reason=f"its file does not offer {', '.join(missing)}")
        try:
            (handle,) = await link.call(node_id, children["Open"], ua.Variant(mode, ua.VariantType.Byte))
        except CallRefused as error:
            raise refused("opening the file", error) from error
        opened = cls(link, node_id, children, handle)
        limits = [_SERVER_BYTE_STRING_LIMIT]
        if "MaxByteStringLength" in children:
            limits.append(children["MaxByteStringLength"])
        for limit in await link.read(limits):
            if isinstance(limit, int) and limit > 0:
                opened.chunk = min(opened.chunk, limit)
        return opened

    async def write(self, data: bytes) -> int:
        """Write data, or its beginning where it is too much for one call; return how much was written.

        The answer's time bounds the size of the next: a slow line is not held up by one call for long.
        """
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            try:
                await self._link.call(
                    self._node_id, self._methods["Write"], self._handle, ua.Variant(data, ua.VariantType.ByteString)
                )
            except CallRefused as error:
                if error.status not in _TOO_LARGE or self.chunk <= _SMALLEST_CHUNK:
                    raise refused("writing", error) from error
                self.chunk = max(_SMALLEST_CHUNK, self.chunk // 2)
                data = data[: self.chunk]
                continue
            if loop.time() - asked > _LONG_ANSWER_S:
                self.chunk = max(_SMALLEST_CHUNK, self.chunk // 2)
            return len(data)

    async def read(self) -> bytes:
        """Read the next bytes, none at the end. Raises NotDone, LinkError."""
        while True:
            try:
                outputs = await self._link.call(
                    self._node_id, self._methods["Read"], self._handle, ua.Variant(self.chunk, ua.VariantType.Int32)
                )
            except CallRefused as error:
                if error.status not in _TOO_LARGE or self.chunk <= _SMALLEST_CHUNK:
                    raise refused("reading it back", error) from error
                self.chunk = max(_SMALLEST_CHUNK, self.chunk // 2)
                continue
            data = outputs[0] if outputs else None
            return data if isinstance(data, bytes) else b""

    async def close(self) -> None:
        """Close the file; a lost link closes it with the session."""
        try:
            await self._link.call(self._node_id, self._methods["Close"], self._handle)
        except LinkError as error:
            _log.debug("a file was not closed: %s", error)
        except CallRefused as error:
            _log.warning("a file was not closed: %s", error)


def _free_name(name: str, entries: Container[str]) -> str:
    for number in range(_NEW_AT_ONCE):
        if (new := f"IMNEW{number}_{name}") not in entries:
            return new
    raise NotDone(reason=f"it still holds {_NEW_AT_ONCE} uploads of {name} that were cut off: delete them there")


def _boolean(*, value: bool) -> Any:
    return ua.Variant(value, ua.VariantType.Boolean)


def _node_id(text: str) -> Any:
    return ua.Variant(ua.NodeId.from_string(text), ua.VariantType.NodeId)
