# SPDX-License-Identifier: GPL-3.0-or-later
"""Program files through a maker's own methods: those of Sinumerik (Access MyMachine /OPC UA).

A file goes over and comes back in one call each, which holds up our loop for some 30 ms with each megabyte: larger
files go through the control's file system of OPC 10000-20 where it offers one. There is no renaming and no deleting,
so that a program that is there is replaced through the file system, too; without one it is first put aside, under a
name of its own beside the new one, and stays there.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging

from edge.domain.transfer import ProgramFile, TransferStep
from edge.drivers.opcua.errors import CallRefused, LinkError
from edge.drivers.opcua.file_transfer import OLD, Check, Differs, Link, NotDone, Tell, refused
from edge.drivers.opcua.models.model import Methods
from edge.drivers.opcua.translate import ua

ROOT = "Sinumerik/FileSystem"
FOLDER = "Part Program"
ONE_CALL_BYTES = 1_000_000

# A control on a shop's network takes its time for megabytes; it has no way to tell how far it has come.
_SLOWEST_BYTES_PER_S = 200_000

# The answers of Select in the configuration manual of Access MyMachine / OPC UA (6FC5397-1DP41).
_SELECT_WORDS = {
    1: "the control has no such channel",
    2: "the control does not find the program",
    3: "its channel does not stand in reset",
    4: "the control rejected it",
}

_log = logging.getLogger(__name__)


class Exists(NotDone):
    """The machine did not do it: {reason}."""  # it has a program of that name


class SinumerikFiles:
    """The program memory of a Sinumerik; folder is a path below its file system, channel counts from 1.

    `check` of `store` is asked between any two steps and raises where the work is to be given up; `ready` right before
    the file is written, and raises NotDone where the machine must not get it now.
    """

    def __init__(self, link: Link, files: Methods, select: Methods | None, folder: str, channel: int) -> None:
        self._link = link
        self._files = files
        self._select = select
        self._folder = folder or FOLDER
        self._channel = channel

    @property
    def is_default_folder(self) -> bool:
        """Whether programs go into the control's folder of part programs."""
        return self._folder == FOLDER

    async def store(self, file: ProgramFile, tell: Tell, check: Check, ready: Check, *, replace: bool = True) -> str:
        """Write the file and read it back; return the path by which the control knows it.

        Without `replace` Exists is raised where it has a program of that name. Raises Differs where it read back
        otherwise, NotDone, LinkError, or what `check` raises; then the machine has what it had before, as far as it
        still answers.
        """
        path = self._path(file.name)
        former = await self._former(path)
        if former is not None:
            if not replace:
                raise Exists(reason="it has a program of that name")
            check()
            ready()
            await self._put_aside(file.name, former)
        check()
        ready()
        await self._write(path, file.content, overwrite=former is not None)
        tell(TransferStep.UPLOADING, len(file.content))
        try:
            check()
            tell(TransferStep.VERIFYING, 0)
            content = await self._read(path, "reading it back", len(file.content))
            if not await _same(file.content, content):
                raise Differs(reason="what the machine has differs from what was sent")
            tell(TransferStep.VERIFYING, len(file.content))
            check()
        except LinkError:
            raise
        except Differs as error:
            rest = await self._put_back(file.name, former, ready)
            raise Differs(reason=f"{error.reason}{rest}") from error
        except BaseException:
            if rest := await self._put_back(file.name, former, ready):
                _log.warning("%s was given up%s", path, rest)
            raise
        return path

    async def select(self, name: str) -> None:
        """Select a program of the folder in the channel; nothing is started. Raises NotDone, LinkError."""
        if self._select is None:
            raise NotDone(reason="the control does not offer to select a program")
        method = self._select.methods["Select"]
        try:
            # A plain number: it goes over in the type that the control's edition declares.
            outputs = await self._link.call(self._select.node_id, method, self._path(name), self._channel)
        except CallRefused as error:
            raise refused("selecting", error) from error
        if not outputs:
            raise NotDone(reason="the control does not say whether it selected the program: look at its panel")
        result = outputs[0]
        if result != 0:
            words = _SELECT_WORDS.get(result) if isinstance(result, int) else None
            raise NotDone(reason=f"{words or 'the control refused'} (Select answered {result})")

    def _path(self, name: str) -> str:
        return f"{ROOT}/{self._folder}/{name}"

    async def _former(self, path: str) -> bytes | None:
        try:
            # No bytes are no program that could be written back, whatever the control means by them.
            return await self._read(path, "looking for a program of that name", 0) or None
        except NotDone as error:
            # Not there, or not readable: then the control is asked not to write over it.
            _log.debug("%s: %s", path, error)
            return None

    async def _put_aside(self, name: str, former: bytes) -> None:
        if len(former) > ONE_CALL_BYTES:
            raise NotDone(
                reason=f"its program of that name has {len(former)} bytes, the most that can be put aside from here is "
                f"{ONE_CALL_BYTES}: choose another name or delete it there"
            )
        aside = f"{OLD}{name}"
        path = self._path(aside)
        await self._write(path, former, overwrite=True)
        if not await _same(former, await self._read(path, "putting its program aside", len(former))):
            raise NotDone(reason=f"its program of that name cannot be put aside as {aside}")

    async def _read(self, path: str, what: str, size: int) -> bytes:
        method = self._files.methods["CopyFileFromServer"]
        try:
            outputs = await self._link.call(self._files.node_id, method, path, seconds=_patience_s(size))
        except CallRefused as error:
            raise refused(what, error) from error
        data = outputs[0] if outputs else None
        return data if isinstance(data, bytes) else b""

    async def _write(self, path: str, content: bytes, *, overwrite: bool) -> None:
        method = self._files.methods["CopyFileToServer"]
        data = ua.Variant(content, ua.VariantType.ByteString)
        flag = ua.Variant(overwrite, ua.VariantType.Boolean)
        seconds = _patience_s(len(content))
        try:
            await self._link.call(self._files.node_id, method, path, data, flag, seconds=seconds)
        except CallRefused as error:
            raise refused("writing", error) from error

    async def _put_back(self, name: str, former: bytes | None, ready: Check) -> str:
        """Put back what was there; say what is left where that is not possible."""
        if former is None:
            return f"; {name} stays on the machine, not verified: delete it at its panel"
        try:
            ready()
            await self._write(self._path(name), former, overwrite=True)
        except (NotDone, LinkError) as error:
            return f"; its former program could not be put back ({error.reason}): it is there as {OLD}{name}"
        return ""


def _patience_s(size: int) -> float:
    return 10.0 + size / _SLOWEST_BYTES_PER_S


async def _same(sent: bytes, come: bytes) -> bool:
    return await asyncio.to_thread(_digest, sent) == await asyncio.to_thread(_digest, come)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
