# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-edge program`: whether a program fits a machine, how long it takes, what it looks like and what it leaves.

Nothing is sent to a machine and no service is needed. Everything ends with 0 where it was done, 1 where the program
itself is the obstacle (`check` and `time`: it has an error; the others: there is nothing to draw or to cut), 2 where it
was asked wrongly or a file cannot be read or written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edge.domain.block import Block
from edge.domain.errors import InfoMobilError
from edge.domain.machine import Position
from edge.files import write_whole
from edge.gcode import Diagnostic, Dialect, Program, Severity, check, interpret, interpret_to_draw, path_png, plan
from edge.gcode.limits import OPERATOR_BANNED
from edge.gcode.model import Kind
from edge.gcode.program import too_large
from edge.gcode.solid import npz_bytes, png_bytes, stl_bytes
from edge.gcode.stock import CELLS, Relief, mill
from edge.gcode.tooling import guess_block
from edge.gcode.turning import Profile, turn
from edge.program_machine import CONFIG, Target, from_dump, of_machine
from edge.program_report import Checked, duration, left_of, parts_of

program = typer.Typer(no_args_is_help=True, help="Programs: what one will do, before it does it.")
out = Console()
err = Console(stderr=True)

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}

FileArgument = Annotated[Path, typer.Argument(help="The program.", metavar="FILE")]
MachineOption = Annotated[
    str | None, typer.Option("--machine", metavar="ID", help="A machine of this lab: its tools and kept settings.")
]
SettingsOption = Annotated[
    Path | None, typer.Option("--settings", metavar="DUMP", help="A file with what a controller answers to $$.")
]
OffsetOption = Annotated[
    str | None, typer.Option("--offset", metavar="X,Y,Z", help="The program's zero in machine coordinates, mm.")
]
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The laboratory's TOML file, for --machine.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer as one JSON object.")]


@program.callback()
def _group() -> None:
    """Ask what a program will do."""


@program.command("check")
def check_program(
    file: FileArgument,
    machine: MachineOption = None,
    settings: SettingsOption = None,
    offset: OffsetOption = None,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Say whether a program fits a machine: its words, its reach, its tools. Ends with 1 where it has an error.

    Without --offset, or with neither --machine nor --settings, the travel is not checked: 0 then says nothing of it.
    The block is guessed from the cuts, also for a piece of the library, which brings its own.
    """
    target, zero = _target(machine, settings, config), _offset(offset)
    refusal = too_large(_size(file))
    if refusal is not None:
        # Unread: a file that no machine would be given must not take this computer's memory either.
        read = interpret(b"")
        findings, planned = [refusal], plan(read, target.motion)
    else:
        with _stages("Reading", "Looking at limits and tools", "Planning the time") as stage:
            stage()
            text = _text(file)
            read = _interpret(text, target, zero)
            stage()
            findings = check(read, target.travel, zero, banned=_banned(target), tools=target.tools, source=text)
            stage()
            planned = plan(read, target.motion, zero)
    checked = Checked(read, planned, findings, target.tools)
    if as_json:
        _print_json(checked.as_json())
    else:
        _tell(checked)
    if checked.has_errors:
        raise typer.Exit(1)


@program.command("time")
def time_of_program(
    file: FileArgument,
    machine: MachineOption = None,
    settings: SettingsOption = None,
    offset: OffsetOption = None,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Say how long a program takes on a machine. Lines that the controller refuses take no time.

    Ends with 1 where there are such lines, or none that does anything. Whether it fits a machine is what check answers.
    """
    target, zero = _target(machine, settings, config), _offset(offset)
    _require_size(file)
    with _stages("Reading", "Planning the time") as stage:
        stage()
        read = _read(file, target, zero)
        stage()
        planned = plan(read, target.motion, zero)
    parts = parts_of(read, planned)
    refused = _errors(read)
    if as_json:
        found = {name: round(seconds, 3) for name, seconds in parts.items()}
        lines = [round(seconds, 4) for seconds in planned.line_seconds.tolist()]
        _print_json({"seconds": round(planned.seconds, 3), **found, "refused": len(refused), "line_seconds": lines})
    else:
        _say(f"{planned.seconds:.1f} s ({duration(planned.seconds)})")
        for name, seconds in parts.items():
            _say(f"  {name.removesuffix('_s').replace('_', ' ')}: {seconds:.1f} s")
    if not read.text.lines:
        _fail(f"{file} has no line that does anything.", 1)
    if refused:
        _fail(f"{refused[0]} {_more(refused)}The lines that are refused take no time: see program check.", 1)


@program.command("preview")
def preview_program(
    file: FileArgument, output: Annotated[Path, typer.Option("--output", "-o", help="The picture, out.png.")]
) -> None:
    """Draw the path of a program from above: cuts by their depth, rapids in grey."""
    _require_suffix(output, ".png")
    _require_size(file)
    with _stages("Reading", "Drawing") as stage:
        stage()
        read = _read(file, Target())
        if not len(read.segments):
            _fail(f"{file} never moves: there is nothing to draw.", 1)
        stage()
        picture = path_png(read)
    _write(output, picture)
    _warn_of(read)


@program.command("stock")
def stock_of_program(
    file: FileArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="out.stl, out.npz or out.png.")],
    machine: MachineOption = None,
    offset: OffsetOption = None,
    config: ConfigOption = CONFIG,
    cells: Annotated[int, typer.Option(min=8, max=4096, help="Cells along the longer side.")] = CELLS,
    turning: Annotated[bool, typer.Option("--turning", help="Turn a bar about Z; X is its radius.")] = False,  # noqa: FBT002
    diameters: Annotated[bool, typer.Option("--diameters", help="With --turning: X is the diameter.")] = False,  # noqa: FBT002
) -> None:
    """Cut a block of material as the program does, and write what is left. The block is that around the cuts."""
    suffix = _require_suffix(output, ".stl", ".npz", ".png")
    target, zero = _target(machine, None, config), _offset(offset)
    _require_size(file)
    with _stages("Reading", "Cutting", "Writing") as stage:
        stage()
        read = interpret_to_draw(_text(file), dialect=_dialect(target, zero))
        if not len(read.segments):
            _fail(f"{file} never moves: there is nothing to cut.", 1)
        stage()
        tools = target.tools or {}
        part: Relief | Profile
        try:
            if turning or diameters:
                part = turn(read, tools, _bar(read), cells=cells, diameters=diameters).profile
            else:
                part = mill(read, tools, guess_block(read, tools), cells=cells, work_offset=zero).relief
        except InfoMobilError as error:
            _fail(str(error), 1)
        stage()
        _write(output, {".stl": stl_bytes, ".npz": npz_bytes, ".png": png_bytes}[suffix](part))
    for sentence in left_of(part):
        _say(sentence)
    _warn_of(read)
    axes = (0, 2) if turning or diameters else (0, 1, 2)
    if (read.segments.adrift(axes) & (read.segments.kind != Kind.RAPID)).any():
        _warn("What counts from a place that the program has not given was not cut: see program check.")


def _tell(checked: Checked) -> None:
    for item in checked.findings:
        _say(f"{item.severity.value}: {item}", style=_COLOURS[item.severity])
    for sentence in checked.sentences():
        _say(sentence)
    _say(checked.verdict, style="red" if checked.has_errors else "green")


def _errors(read: Program) -> list[Diagnostic]:
    return [item for item in read.diagnostics if item.severity is Severity.ERROR]


def _more(refused: list[Diagnostic]) -> str:
    return f"({len(refused) - 1} more) " if len(refused) > 1 else ""


def _warn_of(read: Program) -> None:
    """Warn of lines that are missing in a picture, because a controller would not execute them."""
    refused = _errors(read)
    if refused:
        _warn(f"{refused[0]} {_more(refused)}What is refused is not shown: see program check.")


def _bar(read: Program) -> Block:
    """Return the bar around the cuts: as thick as the farthest of them, as long as they reach."""
    segments = read.segments
    cuts = segments.kind != Kind.RAPID
    points = np.concatenate([segments.start[cuts], segments.end[cuts]])
    if not len(points):
        _fail("The program has no move at a feed: there is nothing to turn.", 1)
    (x0, y0, z0), (x1, y1, z1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Block(Position(x0, y0, z0), Position(x1, y1, z1))


def _target(machine: str | None, settings: Path | None, config: Path) -> Target:
    if machine is not None and settings is not None:
        _fail("Name a machine or give its settings, not both.", 2)
    try:
        if settings is not None:
            return from_dump(settings)
        return Target() if machine is None else of_machine(config, machine)
    except InfoMobilError as error:
        _fail(str(error), 2)


def _offset(text: str | None) -> Position | None:
    if text is None:
        return None
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        _fail(f"{text!r} is no offset: write three numbers, as in --offset -150,-100,-40.", 2)
    if not all(math.isfinite(value) for value in (x, y, z)):
        _fail(f"{text!r} is no offset: each number has to be finite.", 2)
    return Position(x, y, z)


def _banned(target: Target) -> frozenset[str]:
    return OPERATOR_BANNED - ({"M6"} if target.tool_change else set())


def _size(file: Path) -> int:
    try:
        if not file.is_file():
            _fail(f"There is no file {file}.", 2)
        return file.stat().st_size
    except OSError as error:
        _fail(f"{file} cannot be read: {error.strerror or error}.", 2)


def _require_size(file: Path) -> None:
    refusal = too_large(_size(file))
    if refusal is not None:
        _fail(f"{refusal.text} {refusal.remedy}", 1)


def _read(file: Path, target: Target, zero: Position | None = None) -> Program:
    return _interpret(_text(file), target, zero)


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        _fail(f"{file} cannot be read: {error.strerror or error}.", 2)


def _interpret(text: bytes, target: Target, zero: Position | None) -> Program:
    return interpret(text, dialect=_dialect(target, zero))


def _dialect(target: Target, zero: Position | None) -> Dialect:
    return Dialect(tool_change=target.tool_change, start=None, offset=zero)


def _require_suffix(output: Path, *suffixes: str) -> str:
    suffix = output.suffix.lower()
    if suffix not in suffixes:
        _fail(f"{output} does not end in {' or '.join(suffixes)}, which says what is written.", 2)
    return suffix


def _write(output: Path, content: bytes) -> None:
    try:
        write_whole(output, content, 0o644)
    except OSError as error:
        _fail(f"{output} cannot be written: {error.strerror or error}.", 2)


class _Stage:
    """Calls move a progress bar on to the next of its stages."""

    def __init__(self, progress: Progress, names: Iterable[str]) -> None:
        self._progress = progress
        self._names = list(names)
        self._task = progress.add_task(self._names[0], total=len(self._names))
        self._next = 0

    def __call__(self) -> None:
        self._progress.update(self._task, description=self._names[self._next], completed=self._next)
        self._next += 1


@contextmanager
def _stages(*names: str) -> Iterator[_Stage]:
    """Show on a terminal which of some stages is under way, until the work is done; then it is gone."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield _Stage(progress, names)


def _print_json(found: dict[str, object]) -> None:
    typer.echo(json.dumps(found, allow_nan=False))


def _say(line: str, style: str | None = None) -> None:
    """Print a line as it is: a path that a narrow terminal cuts is of no use."""
    out.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


def _warn(line: str) -> None:
    err.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)


def _fail(why: str, code: int) -> NoReturn:
    err.print(why, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)
