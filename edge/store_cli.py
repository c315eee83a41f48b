# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-edge store`: look at the record of a lab, sound or damaged. No running edge is needed, none is disturbed.

Everything ends with 0 where the record is sound, 1 where it is not or could not be looked at, 2 where it was asked
wrongly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from edge.config import load_settings
from edge.domain.errors import InfoMobilError
from edge.store.doctor import Aside, Examination, examine, write_readable

store = typer.Typer(no_args_is_help=True, help="The record of facts on this lab's disk.")
out = Console()
err = Console(stderr=True)

FileArgument = Annotated[Path | None, typer.Argument(help="The database, also one that was set aside.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The laboratory's TOML file instead.")]
SalvageOption = Annotated[
    Path | None, typer.Option("--salvage", help="Write every fact that can be read to this new file, as JSON lines.")
]


@store.callback()
def _group() -> None:
    """Look after the record of facts on this lab's disk."""


@store.command()
def doctor(file: FileArgument = None, config: ConfigOption = None, salvage: SalvageOption = None) -> None:
    """Say what is there, what is damaged, and what can be read. Changes nothing in the database."""
    path = _path(file, config)
    try:
        found = examine(path)
        _report(found)
        if salvage is not None:
            _say(f"{write_readable(path, salvage)} facts were written to {salvage}.")
    except InfoMobilError as error:
        _fail(str(error), 1)
    if found.sound:
        out.print("The record is sound.", style="green")
        return
    if not found.later and salvage is None:
        _say("What can be read is brought over by the service at its start, or by --salvage FILE to a file.")
    raise typer.Exit(1)


def _path(file: Path | None, config: Path | None) -> Path:
    if (file is None) is (config is None):
        _fail("Name the database, or the lab's TOML file with --config.", 2)
    if file is not None:
        return file
    try:
        settings = load_settings(config or Path())
    except InfoMobilError as error:
        _fail(str(error), 2)
    return settings.store.database(settings.lab.data_dir)


def _report(found: Examination) -> None:
    _say(f"{found.path}: {_megabytes(found.bytes)}")
    if found.later:
        _say("It was written by a newer version of this program: look at it with that one.")
    elif found.wrong:
        _say("It is damaged:")
        for line in found.wrong:
            _say(f"  {line.strip()}")
        _say("What can still be read of facts that the office has not acknowledged:")
        for kind, count in found.readable.items():
            _say(f"  {kind.value}: {count}")
    else:
        _say(f"Install {found.install}, {found.epochs} epochs remembered.")
        for stream in found.waiting:
            more = f", {stream.dropped} dropped with a record" if stream.dropped else ""
            more += f", {stream.lost} LOST" if stream.lost else ""
            size, epochs = _megabytes(stream.bytes), f"{stream.epochs} epoch{'s' * (stream.epochs != 1)}"
            _say(f"  {stream.stream.value}: {stream.facts} waiting, {size}, of {epochs}{more}")
    for aside in found.aside:
        _say(f"Set aside: {aside.name}, {_megabytes(aside.bytes)}, {_fate(aside)}")


def _fate(aside: Aside) -> str:
    match aside.brought_over:
        case True:
            return "its facts were brought over"
        case False:
            return "its facts are not brought over yet"
        case None:
            return "not known to this database"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _say(line: str) -> None:
    """Print a line as it is: a path that a narrow terminal cuts is of no use."""
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def _fail(why: str, code: int) -> NoReturn:
    err.print(why, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)
