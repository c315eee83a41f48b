# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that may become jobs: the library's pieces, and uploads. Checked and planned off the loop's thread."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from edge.domain.errors import NotFound, ProgramRejected, Refused
from edge.domain.library import LeftOut
from edge.domain.machine import Capability, MachineInfo, MachineState, Position
from edge.domain.piece import Piece
from edge.domain.ports import ProgramText
from edge.domain.tool import Tool
from edge.gcode import VISITOR_BANNED, PreviewPoint
from edge.gcode.limits import OPERATOR_BANNED
from edge.gcode.resume import HELD_BLOCKS
from edge.services.bus import EventBus, ProgramsChanged
from edge.services.checking import Basis
from edge.services.library import Library, refusal, require_approved
from edge.services.preparing import Prepared, Wish, compile_wish, prepare_text, preview_text, whole_text
from edge.services.progress import Tell, watched
from edge.services.restart import Ask, Place, Restart, restart_text

__all__ = ["Offload", "Prepared", "ProgramCatalog", "ProgramEntry", "Shelf", "Wish"]

P = ParamSpec("P")
T = TypeVar("T")

NOT_MILLING = frozenset({"laser", "printer", "lathe"})
"""Kinds of machines whose programs are not judged as milling, unless somebody has described their tools."""
CACHED = 16
HELD_BLOCKS_ELSEWHERE = 256
"""Motions that a controller other than GRBL 1.1 may hold: on grblHAL the length of the planner can be set."""
CACHED_LINES = 1_500_000
"""What is remembered has at most so many lines altogether, or is a single program: some 30 bytes a line."""
LARGE = 1 << 18
"""Bytes from which a hash is a thread's work: up to 10 ms a megabyte on a small computer."""


class Offload(Protocol):
    """Runs a pure function away from the loop's thread; arguments and result can be pickled."""

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return what `function` returns."""
        ...


class Shelf(Protocol):
    """Where uploads are kept."""

    def names(self) -> Mapping[str, str]:
        """Return the file name of each upload by program id."""
        ...

    async def read(self, program_id: str) -> bytes:
        """Return the bytes of an upload. Raises NotFound, StoreUnavailable."""
        ...

    async def put(self, program_id: str, name: str, data: bytes) -> None:
        """Keep an upload. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class ProgramEntry:
    """A program in the list: title by language, or under "" for an upload."""

    program_id: str
    title: Mapping[str, str]
    origin: str
    sha256: str
    lines: int = 0
    seconds: float = 0.0
    machine_id: str | None = None


async def _sha256(data: bytes) -> str:
    """Return the hash of `data`, without keeping the loop from its machines."""
    hashed = hashlib.sha256(data) if len(data) < LARGE else await asyncio.to_thread(hashlib.sha256, data)
    return hashed.hexdigest()


class ProgramCatalog:
    """All programs by id. What was prepared is remembered for the same bytes and the same basis of the check."""

    def __init__(
        self,
        pieces: Mapping[str, Piece],
        shelf: Shelf,
        offload: Offload,
        bus: EventBus,
        tools: Mapping[str, Mapping[int, Tool]] | None = None,
        library: Library | None = None,
    ) -> None:
        """Make the catalogue; `tools` are the tables of the machines, by their ids.

        Before any use of a piece the library is asked whether it is still what was approved; None for pieces that are
        on no disk.
        """
        self.pieces = dict(pieces)
        self._approved = library
        self._tables = dict(tools or {})
        self._shelf = shelf
        self._offload = offload
        self._bus = bus
        self._uploads: dict[str, ProgramEntry] = {
            program_id: ProgramEntry(program_id, {"": name}, "upload", program_id)
            for program_id, name in shelf.names().items()
        }
        self._library: dict[str, ProgramEntry] = {
            piece.piece_id: ProgramEntry(piece.piece_id, piece.title, "library", piece.sha256)
            for piece in pieces.values()
        }
        self._cache: OrderedDict[tuple[str, Basis], Prepared] = OrderedDict()

    def entries(self) -> list[ProgramEntry]:
        """Return the list: the library's pieces, then uploads."""
        return [*self._library.values(), *self._uploads.values()]

    def entry(self, program_id: str) -> ProgramEntry:
        """Return one entry; raises NotFound."""
        for shelf in (self._library, self._uploads):
            if program_id in shelf:
                return shelf[program_id]
        raise NotFound(what="program", key=program_id)

    def piece(self, piece_id: str) -> Piece:
        """Return a piece of the library; raises NotFound, Refused for one that is left out."""
        try:
            return self.pieces[piece_id]
        except KeyError:
            raise self._unknown("piece", piece_id) from None

    def _unknown(self, what: str, key: str) -> NotFound | Refused:
        """Return why there is no such program: it may stand in the library, and not be what was approved."""
        left_out = None if self._approved is None else self._approved.left_out.get(key)
        return NotFound(what=what, key=key) if left_out is None else refusal(left_out)

    def title(self, program_id: str) -> Mapping[str, str]:
        """Return the title of a program; its id where it is here no longer, but a job still tells of it."""
        entry = self._library.get(program_id) or self._uploads.get(program_id)
        return {"": program_id} if entry is None else entry.title

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """Return the pieces of the library that are not what was approved, as far as that was seen."""
        return () if self._approved is None else tuple(self._approved.left_out.values())

    async def _require_approved(self, piece_id: str) -> None:
        """Raise Refused where the disk no longer holds what was approved of a piece."""
        if self._approved is None:
            return
        before = self.left_out
        try:
            await require_approved(self._approved, piece_id)
        finally:
            if self.left_out != before:
                self._bus.publish(ProgramsChanged())

    async def text(self, program_id: str) -> bytes:
        """Return the bytes of a program. What has changed on the disk is refused, a piece of the library or an upload.

        Raises NotFound, Refused, ProgramRejected, StoreUnavailable.
        """
        if program_id in self.pieces:
            await self._require_approved(program_id)
            return self.pieces[program_id].program
        if program_id not in self._uploads:
            raise self._unknown("program", program_id)
        data = await self._shelf.read(program_id)
        if await _sha256(data) != program_id:
            raise ProgramRejected(program_id=program_id, reason="the file was changed after it had been checked")
        return data

    def basis(self, program_id: str, info: MachineInfo, offset: Position | None) -> Basis:
        """Return what a check of a program on a machine would be made for now."""
        tool_change = self._changes_tools(program_id, info)
        banned = VISITOR_BANNED if program_id in self.pieces else OPERATOR_BANNED - ({"M6"} if tool_change else set())
        piece = self.pieces.get(program_id)
        block = None if piece is None else piece.block
        tools = self._tools(piece, info)
        return Basis.of(info, offset, tools=tools, block=block, banned=banned, tool_change=tool_change)

    def _tools(self, piece: Piece | None, info: MachineInfo) -> tuple[Tool, ...] | None:
        """Return the tools of a machine and of a piece in order of their numbers, None where nothing is milled."""
        table = dict(self._tables.get(info.machine_id, {}))
        if info.kind in NOT_MILLING and not table:
            return None
        if piece is not None:
            table[piece.cutter.number] = piece.cutter
        return tuple(table[number] for number in sorted(table))

    async def _prepare(
        self, data: bytes, program_id: str, info: MachineInfo, offset: Position | None, tell: Tell | None = None
    ) -> Prepared:
        basis = self.basis(program_id, info, offset)
        key = (await _sha256(data), basis)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]

        def work(note: str) -> Awaitable[Prepared]:
            return self._offload(prepare_text, data, program_id, basis, note)

        try:
            prepared = await (work("") if tell is None else watched(work, tell))
        except BrokenProcessPool as error:
            reason = "its check ended without a result: it may be too large for this computer"
            raise ProgramRejected(program_id=program_id, reason=reason) from error
        self._cache[key] = prepared
        while len(self._cache) > CACHED or (len(self._cache) > 1 and self._remembered_lines > CACHED_LINES):
            self._cache.popitem(last=False)
        return prepared

    @property
    def _remembered_lines(self) -> int:
        return sum(prepared.total_lines for prepared in self._cache.values())

    async def prepare(
        self, program_id: str, info: MachineInfo, offset: Position | None, wish: Wish | None = None
    ) -> Prepared:
        """Check and plan a program of the list for a machine and its work offset, or what a visitor's wish makes of it.

        Raises as `data`.
        """
        prepared = await self._prepare(await self.data(program_id, wish), program_id, info, offset)
        if self.own(program_id, wish) is None:
            self._learn(program_id, prepared)
        return prepared

    async def prepare_piece(self, piece_id: str, wish: Wish, info: MachineInfo, offset: Position | None) -> Prepared:
        """Check and plan a visitor's piece; with a text of the visitor's own it is compiled first."""
        return await self.prepare(self.piece(piece_id).piece_id, info, offset, wish)

    def own(self, program_id: str, wish: Wish | None) -> Wish | None:
        """Return the wish where its text makes a program that is in no list, else None. Raises as `piece`."""
        return wish if wish is not None and wish.personal and self.piece(program_id).template is not None else None

    async def data(self, program_id: str, wish: Wish | None) -> bytes:
        """Return the bytes of a program; with a visitor's own text those that are compiled for it. Raises as `text`."""
        own = self.own(program_id, wish)
        template = None if own is None else self.piece(program_id).template
        if own is None or template is None:
            return await self.text(program_id)
        await self._require_approved(program_id)
        return await self._offload(compile_wish, template, own)

    def _changes_tools(self, program_id: str, info: MachineInfo) -> bool:
        """Return whether M6 is taken out of the program for a person: of visitors' pieces never.

        A machine on which no zero can be set could not be told the length of the new tool.
        """
        return program_id not in self.pieces and Capability.WORK_ZERO in info.capabilities

    async def restart(
        self, program_id: str, wish: Wish | None, info: MachineInfo, state: MachineState, ask: Ask
    ) -> Restart:
        """Return the stretch of a program that `ask` asks for, checked for the machine as it stands now.

        Raises NotFound, ProgramRejected, StoreUnavailable.
        """
        tool_change = self._changes_tools(program_id, info)
        held = HELD_BLOCKS if info.controller.startswith("Grbl ") else HELD_BLOCKS_ELSEWHERE
        place = Place(info.travel, state.work_offset, state.machine_position, tool_change, held)
        data = await self.data(program_id, wish)
        return await self._offload(restart_text, data, program_id, place, ask)

    async def whole_text(self, program_id: str, info: MachineInfo, wish: Wish | None = None) -> ProgramText:
        """Return every line that a machine would be sent in the course of a program, without its stops."""
        data = await self.data(program_id, wish)
        return await self._offload(whole_text, data, program_id, self._changes_tools(program_id, info))

    def _learn(self, program_id: str, prepared: Prepared) -> None:
        for shelf in (self._library, self._uploads):
            entry = shelf.get(program_id)
            if entry is not None and entry.lines != prepared.total_lines:
                shelf[program_id] = ProgramEntry(
                    entry.program_id,
                    entry.title,
                    entry.origin,
                    entry.sha256,
                    prepared.total_lines,
                    round(prepared.seconds, 1),
                    entry.machine_id,
                )
                self._bus.publish(ProgramsChanged())

    async def upload(
        self, name: str, data: bytes, info: MachineInfo, offset: Position | None, tell: Tell | None = None
    ) -> tuple[ProgramEntry | None, Prepared]:
        """Check an upload for a machine; keep it where it has no error. Returns the entry, or None, and the check.

        `tell` is called as the check goes on.
        """
        program_id = await _sha256(data)
        prepared = await self._prepare(data, program_id, info, offset, tell)
        if not prepared.clean:
            return None, prepared
        await self._shelf.put(program_id, name, data)
        entry = ProgramEntry(
            program_id,
            {"": name},
            "upload",
            program_id,
            prepared.total_lines,
            round(prepared.seconds, 1),
            info.machine_id,
        )
        self._uploads[program_id] = entry
        self._bus.publish(ProgramsChanged())
        return entry, prepared

    async def preview(self, program_id: str) -> list[PreviewPoint]:
        """Return the path of a program for a screen."""
        return await self._offload(preview_text, await self.text(program_id))
