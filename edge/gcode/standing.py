# SPDX-License-Identifier: GPL-3.0-or-later
"""The modal state in which a program stands before one of its lines, and how much of the place there is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy

from edge.domain.lines import Lines
from edge.gcode.batch import run_batch
from edge.gcode.blocks import AXES, PROBE, Block, BlockError, parse_block
from edge.gcode.lexer import lex
from edge.gcode.modal import Modal
from edge.gcode.model import Dialect
from edge.gcode.segments import SegmentBuilder

_CHUNK = 1 << 14
_SMALLEST_BATCH = 16


class Standing(Modal):
    """Modal state that also knows which coordinates the program itself has given.

    known: per axis, whether its position follows from the program alone. A relative motion from an unknown place, a
    reference position (G28, G30), a probing motion and another zero leave an axis unknown until it is given again.
    lost says which word has made a zero that cannot be made again; empty where there is none.
    """

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect, SegmentBuilder())
        self.known = [False, False, False]
        self.tool: int | None = None
        self.offsets = False
        self.lost = ""

    def execute(self, block: Block, wire: int) -> None:
        """Do one line; raises BlockError, and then nothing has changed."""
        zero = self.zero
        super().execute(block, wire)
        self._track(block)
        if self.zero != zero:
            self._forget(axis for axis in range(3) if not self.machine_frame[axis])

    def moves(self, block: Block) -> bool:
        """Return whether the axis words of the line are a motion G0 to G3 or a probing motion."""
        return bool(block.axis_words) and block.axis_command in ("", "motion")

    def copy(self) -> Standing:
        """Return a state that can go its own way."""
        other = copy(self)
        other.builder = SegmentBuilder()
        other.known, other.position = list(self.known), list(self.position)
        other.machine_frame, other.shift = list(self.machine_frame), list(self.shift)
        other.origin, other.places = list(self.origin), self.places.copy()
        return other

    def _forget(self, axes: Iterable[int]) -> None:
        for axis in axes:
            self.known[axis] = False

    def _track(self, block: Block) -> None:
        axes = block.axis_words
        self.tool = int(block.values["T"]) if "T" in block.values else self.tool
        self.offsets = self.offsets or bool(block.tool_length) or block.non_modal in ("G92", "G92.1")
        match block.non_modal:
            case "G28" | "G30":
                self._forget(axes or range(3))
            case "G10" | "G28.1" | "G30.1":
                self.lost = block.non_modal
            case "G92":
                unsound = [axis for axis in axes if not self.known[axis] or self.machine_frame[axis]]
                self.lost = self.lost or ("G92" if unsound else "")
            case _:
                pass
        if not self.moves(block):
            return
        if self.motion == PROBE:
            self._forget(axes)
        elif self.absolute or block.non_modal == "G53":
            for axis in axes:
                self.known[axis] = True


def standing_before(lines: Sequence[str], index: int, dialect: Dialect) -> Standing:
    """Return the state before lines[index]. Raises BlockError where a line before it is none of the controller's."""
    state = Standing(dialect)
    for first in range(0, index, _CHUNK):
        last = min(first + _CHUNK, index)
        _run_chunk(state, Lines.of(lines[first:last]), first, dialect)
        # Nobody looks at the motions: only the state counts.
        state.builder = SegmentBuilder()
    return state


def _run_chunk(state: Standing, lines: Lines, first: int, dialect: Dialect) -> None:
    lexed = lex(lines.text, first)
    at, last = first, first + len(lines)
    while at < last:
        until = lexed.simple_until(at, state)
        if state.batchable and until - at >= _SMALLEST_BATCH:
            done = run_batch(lexed, at, until, state, state.builder)
            if state.absolute:
                state.known = [
                    known or lexed.gives(axis, at, done) for axis, known in zip(AXES, state.known, strict=True)
                ]
            tools = lexed.letter("T").between(at - first, at - first + done).values
            state.tool = int(tools[-1]) if len(tools) else state.tool
            at += done
            if at == until:
                continue
        line = lines[at - first]
        if line.startswith("$"):
            raise BlockError(3)
        state.execute(parse_block(line, dialect), at)
        at += 1
