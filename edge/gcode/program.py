# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreter: bytes in, `Program` out. Exact and line by line where it must be, in batches where it can be.

Simple lines (see `lexer`) are interpreted many at a time by `batch`; all others, and every line that the batch finds
faulty, one at a time by `modal`. Both give the same result; a test holds them to it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from edge.domain.lines import Lines
from edge.domain.machine import Position
from edge.domain.ports import ProgramText
from edge.gcode.batch import run_batch
from edge.gcode.blocks import Block, BlockError, parse_block
from edge.gcode.diagnostics import Diagnostic, Severity, grbl_error
from edge.gcode.lexer import Lexed, lex
from edge.gcode.modal import Modal
from edge.gcode.model import Bounds, Command, Dialect, Kind, Program, Segments, Stop, StopKind, Unplaced
from edge.gcode.segments import SegmentBuilder
from edge.gcode.source import Source, read_source
from edge.gcode.words import word_at

__all__ = [
    "Bounds",
    "Command",
    "Dialect",
    "Kind",
    "Program",
    "Segments",
    "Stop",
    "StopKind",
    "interpret",
    "interpret_to_draw",
]

MAX_FINDINGS = 200
"""After so many errors the rest of a text tells a person nothing new: the interpreter stops."""
MAX_LINES = 5_000_000
"""A text with more lines is not a program of this house: it is refused before it takes the memory."""
MAX_BYTES = 256 * 1024 * 1024
"""A text of more bytes is refused unread. What it takes while it is read is a little over three times its size."""
_MAX_USES = 50
_SMALLEST_BATCH = 16
_FIRST_BATCH = 1 << 10
_CHUNK = 1 << 13


def too_large(size: int) -> Diagnostic | None:
    """Return the finding for a text of `size` bytes that is refused unread, None where it may be read."""
    if size <= MAX_BYTES:
        return None
    text = f"The file has {size / 1e6:.0f} MB; more than {MAX_BYTES / 1e6:.0f} MB are not read."
    return Diagnostic(Severity.ERROR, 0, 0, "too-large", text, "Split it into smaller programs.")


def interpret(text: bytes, *, program_id: str = "", dialect: Dialect | None = None, batches: bool = True) -> Program:
    """Interpret a whole program; never raises for its content.

    A line that the controller would refuse changes nothing, as on the controller, and is a diagnostic. Without
    `batches` every line goes the exact way, which is slower and gives the same result. A text over MAX_BYTES is not
    read at all: its program is empty, without a hash.
    """
    refusal = too_large(len(text))
    if refusal is not None:
        return _unread(program_id, refusal)
    sha256 = hashlib.sha256(text).hexdigest()
    source = read_source(text, most_lines=MAX_LINES, findings=MAX_FINDINGS, slashes=_MAX_USES)
    return _Interpreter(source, dialect or Dialect(), batches=batches).run(program_id or sha256[:16], sha256)


def interpret_to_draw(text: bytes, *, dialect: Dialect) -> Program:
    """Interpret a program for a picture: what counts only from where the tool stands at the start is drawn from zero.

    Such a program (a G92 at its head, distances throughout, an engraving that never names Z) has one shape wherever it
    begins. A program that gives a place to some of its cuts only has none, and its other cuts stay unplaced.
    """
    program = interpret(text, dialect=dialect)
    segments = program.segments
    lost = segments.unplaced[segments.kind != Kind.RAPID]
    if not lost.any() or (lost.any(axis=0) & ~lost.all(axis=0)).any():
        return program
    return interpret(text, dialect=replace(dialect, start=Position(0.0, 0.0, 0.0)))


def _unread(program_id: str, refusal: Diagnostic) -> Program:
    segments, stops = SegmentBuilder().finish()
    text = ProgramText(program_id, Lines.of(()), ())
    return Program(text, segments, stops, (), (refusal,), total_lines=0, sha256="", complete=False)


class _Interpreter:
    def __init__(self, source: Source, dialect: Dialect, *, batches: bool) -> None:
        self.source = source
        self.lines = source.lines
        self.dialect = dialect
        self.batches = batches
        self.findings: list[Diagnostic] = []
        self.commands: list[Command] = []
        self.uses: Counter[str] = Counter()
        self.errors = 0
        self.max_spindle = 0.0
        self.top_speed: tuple[float, int] | None = None
        start = dialect.start or Position(0.0, 0.0, 0.0)
        self.builder = SegmentBuilder((start.x, start.y, start.z), len(self.lines))
        self.modal = Modal(dialect, self.builder)

    def run(self, program_id: str, sha256: str) -> Program:
        self._report_text()
        complete = self._interpret_lines() == len(self.lines) and not self.source.too_long
        if self.top_speed is not None:
            self.commands.append(self._speed(*self.top_speed))
        if self.errors >= MAX_FINDINGS:
            self._refuse(
                "too-many-errors", "The program has more errors; the check ended here.", "Correct these first."
            )
        if self.source.too_long:
            text = f"The program has over {MAX_LINES} lines; the rest was not checked."
            self._refuse("too-many-lines", text, "Split it into smaller programs.")
        self._report_tight_arcs()
        segments, stops = self.builder.finish()
        return Program(
            text=ProgramText(program_id, self.lines, self.source.numbers),
            segments=segments,
            stops=stops,
            commands=tuple(self.commands),
            diagnostics=tuple(sorted(self.findings, key=lambda finding: (finding.line, finding.column))),
            total_lines=self.source.total_lines,
            sha256=sha256,
            complete=complete,
            unplaced=tuple(self._unplaced(*found) for found in self.modal.unplaced),
        )

    def _unplaced(self, index: int, at: int, axes: str) -> Unplaced:
        return Unplaced(word_at(self.lines[index], at), axes, self.source.numbers[index], self._column(index, at))

    def _report_text(self) -> None:
        if self.source.bom:
            text = "A byte order mark at the beginning was left out."
            self._note(1, "byte-order-mark", text)
        for line in self.source.tape_marks:
            self._note(line, "tape-mark", "The tape mark % is not sent to the controller.")
        for line in self.source.slashed:
            text = "The slash does not skip this line: the controller executes it."
            self.findings.append(
                Diagnostic(Severity.WARNING, line, 0, "slash-ignored", text, "Remove the line if it is not wanted.")
            )
        for line, column, byte in self.source.realtime:
            shown = f"'{chr(byte)}'" if byte in b"!~?" else f"0x{byte:02X}"
            text = f"The character {shown} acts on the machine at once, also inside a comment."
            self.findings.append(
                Diagnostic(Severity.ERROR, line, column, "realtime-byte", text, "Remove it; use plain ASCII letters.")
            )

    def _report_tight_arcs(self) -> None:
        for index in self.modal.tight_arcs:
            line = self.lines[index]
            at = line.index("R")
            text = (
                "The radius only just reaches the end point: where the zero lies may decide whether the arc is refused."
            )
            remedy = "Write the centre with I, J or K, or a radius that is a little larger."
            number = self.source.numbers[index]
            self.findings.append(
                Diagnostic(
                    Severity.WARNING,
                    number,
                    self._column(index, at),
                    "arc-radius-tight",
                    text,
                    remedy,
                    words=(word_at(line, at),),
                )
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
        lexed = lex(self.lines.block(first, last), first) if self.batches else None
        at, size = first, _FIRST_BATCH
        while at < last:
            if lexed is not None and self.modal.batchable:
                until = min(lexed.simple_until(at, self.modal), at + size)
                if until - at >= _SMALLEST_BATCH:
                    done = run_batch(lexed, at, until, self.modal, self.builder)
                    self._record_many(lexed, at, done)
                    at += done
                    if at == until:
                        size = min(size * 8, _CHUNK)
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
                    self._use("$", index, 0)
                return True
            block = parse_block(line, self.dialect)
            self._record(block, index)
            self.modal.execute(block, index)
        except BlockError as refusal:
            self.errors += 1
            words = tuple(word_at(line, at) for at in (refusal.index, *refusal.others))
            number = self.source.numbers[index]
            self.findings.append(grbl_error(refusal.number, number, self._column(index, refusal.index), words))
        return self.errors < MAX_FINDINGS

    def _use(self, name: str, index: int, at: int, value: float = 0.0) -> None:
        self.uses[name] += 1
        self.commands.append(Command(name, self.source.numbers[index], self._column(index, at), value))

    def _record(self, block: Block, index: int) -> None:
        for name, value, at in block.commands:
            if name == "S":
                self._record_speed(value, index)
            elif self.uses[name] < _MAX_USES:
                self._use(name, index, at, value)

    def _record_many(self, lexed: Lexed, at: int, count: int) -> None:
        """Record the words of some lines that are no plain motion, in the order in which they stand there."""
        first, last = at - lexed.first, at - lexed.first + count
        found: list[tuple[int, str, int, float]] = []
        for name, column in lexed.named:
            room = _MAX_USES - self.uses[name]
            if name == "S":
                column = column.between(first, last).rising(self.max_spindle)
            elif room > 0:
                column = column.between(first, last).head(room)
            else:
                continue
            found += zip(
                column.places.tolist(), [name] * len(column), column.rows.tolist(), column.values.tolist(), strict=True
            )
        for place, name, row, value in sorted(found):
            if name == "S":
                self._record_speed(value, at + row)
            else:
                self._use(name, at + row, place - int(lexed.line_starts[first + row]), value)

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
        return Command("S", self.source.numbers[index], self._column(index, self.lines[index].index("S")), value)

    def _column(self, index: int, at: int) -> int:
        return self.source.column(self.source.numbers[index], at)
