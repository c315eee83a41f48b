# SPDX-License-Identifier: GPL-3.0-or-later
"""What screens draw of programs: the path and what is left of the material, made by a worker and remembered packed."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from edge.domain.block import Block
from edge.domain.machine import MachineInfo, Position
from edge.domain.tool import Tool
from edge.gcode import Program, interpret_to_draw, plan
from edge.gcode.planner import in_one_frame
from edge.gcode.scene import MOST_SEGMENTS, Scene, relief_bytes, scene_bytes, scene_of
from edge.gcode.stock import mill
from edge.gcode.tooling import guess_block, tool_of
from edge.services.checking import Basis
from edge.services.effort import affordable
from edge.services.preparing import Wish, dialect_of, motion_settings
from edge.services.programs import Offload, ProgramCatalog

REMEMBERED = 48 << 20
"""Bytes of what is remembered, packed."""
NOBODY = MachineInfo("", "", "", "")
"""The machine of a program for which there is none: without travel, with the settings of a small router."""
FOLLOWED = 200_000
"""Motions of a path that is followed: what the service itself keeps of a program of a million lines, 26 bytes each."""
_LEVEL = 1
"""Of compression: higher ones take the worker long and save little on coordinates."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A binary answer, compressed by gzip; etag names its content."""

    gzipped: bytes
    etag: str


@dataclass(slots=True)
class _Asked:
    """A picture that is being made, and for how many."""

    making: asyncio.Task[Packed]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Material:
    """What cuts and what is cut: tools by number, and the block, None where it has to be guessed from the program."""

    tools: tuple[Tool, ...]
    block: Block | None

    @property
    def table(self) -> dict[int, Tool]:
        """Return the tools by their T numbers."""
        return {tool.number: tool for tool in self.tools}


def pack(data: bytes) -> Packed:
    """Return an answer, compressed. Takes some 20 ms a megabyte: for a worker or a thread."""
    return Packed(gzip.compress(data, _LEVEL, mtime=0), hashlib.sha256(data).hexdigest()[:32])


def _read(data: bytes, basis: Basis) -> Program:
    return interpret_to_draw(data, dialect=dialect_of(basis))


def draw(data: bytes, basis: Basis, material: Material, most: int = MOST_SEGMENTS) -> Scene:
    """Return the scene of a program, with at most so many motions. Runs in a worker."""
    program, table = _read(data, basis), material.table
    return scene_of(
        program,
        in_one_frame(program.segments, basis.offset),
        plan(program, motion_settings(basis.motion), basis.offset),
        tool_of(program, table),
        table,
        material.block or guess_block(program, table),
        guessed=material.block is None,
        most=most,
    )


def draw_packed(data: bytes, basis: Basis, material: Material) -> Packed:
    """Return the scene of a program for a screen. Runs in a worker."""
    return pack(scene_bytes(draw(data, basis, material)))


def cut_packed(data: bytes, basis: Basis, material: Material, cells: int) -> Packed:
    """Return what a program leaves of its material, for a screen: in `cells` along the longer side, or in fewer.

    Runs in a worker. Raises NotMaterial, NotMilling, and Refused for more moves than can be reckoned in a short time.
    """
    program, table = _read(data, basis), material.table
    block = material.block or guess_block(program, table)
    cells = affordable(program, table, block, cells, basis.offset)
    relief = mill(program, table, block, cells=cells, work_offset=basis.offset).relief
    return pack(relief_bytes(relief, planned_mm3=relief.removed_mm3))


class Scenes:
    """Pictures of programs, for a machine as it stands.

    What was asked for twice at once is made once, and not at all where all who asked have gone before its turn came.
    What a visitor's own text makes is not remembered: it is forgotten with the wish.
    What is long goes to `offload`, which is not what checks and starts of jobs wait for.
    """

    def __init__(self, catalog: ProgramCatalog, offload: Offload) -> None:
        self._catalog = catalog
        self._offload = offload
        self._made: OrderedDict[tuple[object, ...], Packed] = OrderedDict()
        self._paths: WeakValueDictionary[tuple[object, ...], Scene] = WeakValueDictionary()
        self._drawing: WeakValueDictionary[tuple[object, ...], asyncio.Lock] = WeakValueDictionary()
        self._asked_for: dict[tuple[object, ...], _Asked] = {}

    def _material(self, program_id: str, basis: Basis) -> Material:
        piece = self._catalog.pieces.get(program_id)
        if piece is None:
            return Material(basis.tools or (), basis.block)
        others = tuple(tool for tool in basis.tools or () if tool.number != piece.cutter.number)
        return Material((*others, piece.cutter), piece.block)

    async def scene(
        self, program_id: str, info: MachineInfo, offset: Position | None, wish: Wish | None = None
    ) -> Packed:
        """Return the path of a program, with the text of a visitor's wish.

        Raises NotFound, Refused, ProgramRejected, StoreUnavailable, and the errors of edge.design.
        """
        key, basis, material = self._asked(program_id, info, offset)
        own = self._catalog.own(program_id, wish)

        async def make() -> Packed:
            return await self._offload(draw_packed, await self._catalog.data(program_id, own), basis, material)

        return await self._once(("scene", own, *key), make, keep=own is None)

    async def stock(
        self, program_id: str, info: MachineInfo, offset: Position | None, cells: int, wish: Wish | None = None
    ) -> Packed:
        """Return what a program leaves, in `cells` cells along the longer side; in fewer for very many moves.

        Raises as `scene`; NotMaterial, NotMilling, and Refused also for what cannot be reckoned.
        """
        key, basis, material = self._asked(program_id, info, offset)
        own = self._catalog.own(program_id, wish)

        async def make() -> Packed:
            return await self._offload(cut_packed, await self._catalog.data(program_id, own), basis, material, cells)

        return await self._once(("stock", cells, own, *key), make, keep=own is None)

    def _asked(
        self, program_id: str, info: MachineInfo, offset: Position | None
    ) -> tuple[tuple[object, ...], Basis, Material]:
        """Return what the picture of a program depends on, also as one key."""
        sha256 = self._catalog.entry(program_id).sha256
        basis = self._catalog.basis(program_id, info, offset)
        material = self._material(program_id, basis)
        return (sha256, basis, material), basis, material

    async def path(self, program_id: str, wish: Wish | None, info: MachineInfo, offset: Position | None) -> Scene:
        """Return the path that a machine goes, with a visitor's own text; who asks while another has it shares it.

        Raises as `scene`, and as edge.design.
        """
        asked, basis, material = self._asked(program_id, info, offset)
        key = ("path", wish, *asked)
        async with self._drawing.setdefault(key, asyncio.Lock()):
            scene = self._paths.get(key)
            if scene is None:
                scene = await self._offload(draw, await self._catalog.data(program_id, wish), basis, material, FOLLOWED)
                self._paths[key] = scene
            return scene

    async def _once(self, key: tuple[object, ...], make: Callable[[], Awaitable[Packed]], *, keep: bool) -> Packed:
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        asked = self._asked_for.get(key)
        if asked is None:
            asked = self._asked_for[key] = _Asked(asyncio.create_task(self._make(key, make, keep=keep), name="picture"))
        asked.waiting += 1
        try:
            return await asyncio.shield(asked.making)
        finally:
            asked.waiting -= 1
            if not asked.waiting:
                asked.making.cancel()
                self._asked_for.pop(key, None)

    async def _make(self, key: tuple[object, ...], make: Callable[[], Awaitable[Packed]], *, keep: bool) -> Packed:
        made = await make()
        if keep:
            self._made[key] = made
        while len(self._made) > 1 and sum(len(one.gzipped) for one in self._made.values()) > REMEMBERED:
            self._made.popitem(last=False)
        return made
