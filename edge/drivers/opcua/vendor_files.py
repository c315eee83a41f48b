# SPDX-License-Identifier: GPL-3.0-or-later
"""Program files through a maker's own methods: those of Sinumerik (Access MyMachine /OPC UA).

A file goes over and comes back in one call each, which costs our loop some 20 ms for each megabyte: larger files go
through the control's file system of OPC 10000-20 where it offers one. There is no renaming and no deleting, so that the
program that was there before is read first and written back where the new one does not arrive as it was sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging

from edge.domain.transfer import ProgramFile, TransferStep
from edge.drivers.opcua.errors import CallRefused, LinkError
from edge.drivers.opcua.file_transfer import Check, Differs, Link, NotDone, Tell, refused
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

    async def store(self, file: ProgramFile, tell: Tell, check: Check, ready: Check) -> str:
        """Write the file and read it back; return the path by which the control knows it.

        Raises Differs where it read back otherwise, NotDone, LinkError, or what `check` raises; then the machine has
        what it had before, as far as it still answers.
        """
        path = self._path(file.name)
        former = await self._former(path)
        check()
        ready()
        await self._write(path, file.content, overwrite=former is not None)
        tell(TransferStep.UPLOADING, len(file.content))
        try:
            check()
            tell(TransferStep.VERIFYING, 0)
            content = await self._read(path, "reading it back", len(file.content))
            sent, come = await asyncio.to_thread(_digests, file.content, content)
            if sent != come:
                raise Differs(reason="what the machine has differs from what was sent")
            tell(TransferStep.VERIFYING, len(content))
            check()
        except LinkError:
            raise
        except BaseException:
            await self._put_back(path, former, ready)
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
        result = outputs[0] if outputs else 0
        if result != 0:
            words = _SELECT_WORDS.get(result) if isinstance(result, int) else None
            raise NotDone(reason=f"{words or 'the control refused'} (Select answered {result})")

    def _path(self, name: str) -> str:
        return f"{ROOT}/{self._folder}/{name}"

    async def _former(self, path: str) -> bytes | None:
        try:
            return await self._read(path, "looking for a program of that name", 0)
        except NotDone as error:
            # Not there, or not readable: then the control is asked not to write over it.
            _log.debug("%s: %s", path, error)
            return None

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

    async def _put_back(self, path: str, former: bytes | None, ready: Check) -> None:
        if former is None:
            _log.warning("%s stays on the machine, not verified: delete it at its panel", path)
            return
        try:
            ready()
            await self._write(path, former, overwrite=True)
        except (NotDone, LinkError) as error:
            _log.warning("%s could not be put back on the machine: %s", path, error.reason)


def _patience_s(size: int) -> float:
    return 10.0 + size / _SLOWEST_BYTES_PER_S


def _digests(*contents: bytes) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(one).digest() for one in contents)
