# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreter: bytes in, `Program` out. Exact and line by line where it must be, in batches where it can be.

Lines that only move (N, G0 to G3, X Y Z, I J K R, F) are interpreted many at a time by `batch`; all others, and
every line that the batch finds faulty, one at a time by `modal`. Both give the same result; a test holds them
to it.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter

import numpy as np

from edge.domain.lines import Lines
from edge.domain.ports import ProgramText
from edge.gcode.batch import Lexed, lex, run_batch
from edge.gcode.blocks import Block, BlockError, parse_block
from edge.gcode.diagnostics import Diagnostic, Severity, grbl_error
from edge.gcode.modal import Modal
from edge.gcode.model import Bounds, Command, Dialect, Kind, Program, Segments, Stop, StopKind
from edge.gcode.segments import SegmentBuilder
from edge.gcode.words import BOM, clean, realtime_bytes, slashed_lines, source_column, unify_line_ends

__all__ = ["Bounds", "Command", "Dialect", "Kind", "Program", "Segments", "Stop", "StopKind", "interpret"]

MAX_FINDINGS = 200
"""After so many errors the rest of a text tells a person nothing new: the interpreter stops."""
MAX_LINES = 3_000_000
"""A text with more lines is not a program of this house: it is refused before it takes the memory."""
_MAX_USES = 50
_SMALLEST_BATCH = 16
_FIRST_BATCH = 64
_CHUNK = 1 << 16


def interpret(text: bytes, *, program_id: str = "", dialect: Dialect | None = None, batches: bool = True) -> Program:
    """Interpret a whole program; never raises for its content.

    A line that the controller would refuse changes nothing, as on the controller, and is a diagnostic. Without
    `batches` every line goes the exact way, which is slower and gives the same result.
    """
    return _Interpreter(text, program_id, dialect or Dialect(), batches=batches).run()


class _Interpreter:
    def __init__(self, text: bytes, program_id: str, dialect: Dialect, *, batches: bool) -> None:
        self.sha256 = hashlib.sha256(text).hexdigest()
        self.program_id = program_id or self.sha256[:16]
        self.dialect = dialect
        self.batches = batches
        self.unified = unify_line_ends(text)
        self.total_lines = self.unified.count(b"\n") + (not self.unified.endswith(b"\n")) if self.unified else 0
        self.too_long = self.total_lines > MAX_LINES
        if self.too_long:
            self.unified, self.total_lines = _first_lines(self.unified, MAX_LINES), MAX_LINES
        self.cleaned = clean(self.unified, bom=text.startswith(BOM))
        lines = self.cleaned.text.decode("ascii").split("\n")
        self.numbers = [number for number, line in enumerate(lines, 1) if line]
        self.lines = [line for line in lines if line]
        self.source_lines: list[bytes] | None = None
        self.findings: list[Diagnostic] = []
        self.commands: list[Command] = []
        self.uses: Counter[str] = Counter()
        self.errors = 0
        self.max_spindle = 0.0
        self.top_speed: tuple[float, int] | None = None
        self.builder = SegmentBuilder()
        self.modal = Modal(dialect, self.builder)

    def run(self) -> Program:
        self._report_text()
        complete = self._interpret_lines() == len(self.lines) and not self.too_long
        if self.top_speed is not None:
            self.commands.append(self._speed(*self.top_speed))
        if self.errors >= MAX_FINDINGS:
            self._refuse(
                "too-many-errors", "The program has more errors; the check ended here.", "Correct these first."
            )
        if self.too_long:
            text = f"The program has over {MAX_LINES} lines; the rest was not checked."
            self._refuse("too-many-lines", text, "Split it into smaller programs.")
        segments, stops = self.builder.finish()
        return Program(
            text=ProgramText(self.program_id, _packed(self.lines), array("I", self.numbers)),
            segments=segments,
            stops=stops,
            commands=tuple(self.commands),
            diagnostics=tuple(sorted(self.findings, key=lambda finding: (finding.line, finding.column))),
            total_lines=self.total_lines,
            sha256=self.sha256,
            complete=complete,
        )

    def _report_text(self) -> None:
        if self.cleaned.bom:
            text = "A byte order mark at the beginning was left out."
            self._note(1, "byte-order-mark", text)
        for line in self.cleaned.tape_marks:
            self._note(line, "tape-mark", "The tape mark % is not sent to the controller.")
        for line in slashed_lines(self.unified, _MAX_USES):
            text = "The slash does not skip this line: the controller executes it."
            self.findings.append(
                Diagnostic(Severity.WARNING, line, 0, "slash-ignored", text, "Remove the line if it is not wanted.")
            )
        for line, column, byte in realtime_bytes(self.unified, MAX_FINDINGS):
            shown = f"'{chr(byte)}'" if byte in b"!~?" else f"0x{byte:02X}"
            text = f"The character {shown} acts on the machine at once, also inside a comment."
            self.findings.append(
                Diagnostic(Severity.ERROR, line, column, "realtime-byte", text, "Remove it; use plain ASCII letters.")
            )

    def _refuse(self, code: str, text: str, remedy: str) -> None:
        self.findings.append(Diagnostic(Severity.ERROR, 0, 0, code, text, remedy))

    def _note(self, line: int, code: str, text: str) -> None:
        self.findings.append(Diagnostic(Severity.NOTE, line, 0, code, text, "Nothing needs to be done."))

    def _interpret_lines(self) -> int:
        """Interpret up to the end or the last error that is reported; return how many lines were interpreted."""
        for first in range(0, len(self.lines), _CHUNK):
            last = min(first + _CHUNK, len(self.lines))
            reached = self._interpret_chunk(first, last)
            if reached < last:
                return reached
        return len(self.lines)

    def _interpret_chunk(self, first: int, last: int) -> int:
        lexed = lex(self.lines[first:last], first) if self.batches else None
        at, size = first, _FIRST_BATCH
        while at < last:
            if lexed is not None and self.modal.batchable:
                until = min(lexed.simple_until(at), at + size)
                if until - at >= _SMALLEST_BATCH:
                    done = run_batch(lexed, at, until, self.modal, self.builder)
                    self._record_speeds(lexed, at, done)
                    at += done
                    if at == until:
                        size = min(size * 2, _CHUNK)
                        continue
                    size = _FIRST_BATCH
            if not self._interpret_line(at):
                return at
            at += 1
        return last

    def _interpret_line(self, index: int) -> bool:
        """Interpret one line the exact way; return False when it held one error too many."""
        line = self.lines[index]
        try:
            if line.startswith("$"):
                if self.uses["$"] < _MAX_USES:
                    self.uses["$"] += 1
                    self.commands.append(Command("$", self.numbers[index], self._column(index, 0)))
                return True
            block = parse_block(line, self.dialect)
            self._record(block, index)
            self.modal.execute(block, index)
        except BlockError as refusal:
            self.errors += 1
            self.findings.append(grbl_error(refusal.number, self.numbers[index], self._column(index, refusal.index)))
        return self.errors < MAX_FINDINGS

    def _record(self, block: Block, index: int) -> None:
        for name, value, at in block.commands:
            if name == "S":
                self._record_speed(value, index)
            elif self.uses[name] < _MAX_USES:
                self.uses[name] += 1
                self.commands.append(Command(name, self.numbers[index], self._column(index, at), value))

    def _record_speeds(self, lexed: Lexed, at: int, count: int) -> None:
        for offset, value in lexed.speeds_over(self.max_spindle, at, count):
            self._record_speed(value, at + offset)

    def _record_speed(self, value: float, index: int) -> None:
        """Keep the speeds that were the highest so far: some of the first, and the last, which is the highest."""
        if value <= self.max_spindle:
            return
        self.max_spindle = value
        if self.uses["S"] == _MAX_USES:
            self.top_speed = (value, index)
            return
        self.uses["S"] += 1
        self.commands.append(self._speed(value, index))

    def _speed(self, value: float, index: int) -> Command:
        return Command("S", self.numbers[index], self._column(index, self.lines[index].index("S")), value)

    def _column(self, index: int, at: int) -> int:
        if self.source_lines is None:
            self.source_lines = self.unified.split(b"\n")
        return source_column(self.source_lines[self.numbers[index] - 1], at)


def _packed(lines: list[str]) -> Lines:
    """Return clean lines in one buffer; as `Lines.of`, and faster."""
    text = "\n".join([*lines, ""]).encode("ascii")
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n")).astype(np.uint32) + np.uint32(1)
    return Lines(text, array("I", b"\0\0\0\0" + ends.tobytes()))


def _first_lines(text: bytes, count: int) -> bytes:
    feeds = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    return text[: int(feeds[count - 1])]
