# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-office import` and `infomobil-office key`: sticks, and whom to believe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from office.config import load
from office.errors import OfficeError
from office.ledger import Ledger, keys
from office.reports.times import iso
from office.stick import BadStick, Imported, take_stick
from wire.topics import LAB_ID

T = TypeVar("T")

WHO = ""
"""Who does it here, for the audit: whoever sits at the office's own computer."""

key = typer.Typer(no_args_is_help=True, help="The keys by which sticks are measured.")
_out = Console()
_errors = Console(stderr=True)

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The office's TOML file.", show_default=False)]


def import_sticks(
    files: Annotated[list[Path], typer.Argument(help="Files that vans wrote: NAME.infomobil.", show_default=False)],
    config: ConfigFile,
) -> None:
    """Take in what vans brought on sticks. Files may be given again, in any order: each fact counts once."""

    async def take(ledger: Ledger) -> bool:
        good = True
        for path in files:
            try:
                _tell(path, await _take(ledger, path))
            except BadStick as error:
                good = False
                _complain(f"{path}: {error}")
        return good

    if not _run(config, take):
        raise typer.Exit(1)


async def _take(ledger: Ledger, path: Path) -> Imported:
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        raise BadStick(reason=f"it cannot be read ({error.strerror or error})") from error
    with file:
        return await take_stick(file, ledger, WHO)


def _tell(path: Path, done: Imported) -> None:
    aside = f", {done.rejected} set aside" if done.rejected else ""
    known = f", {done.duplicates} batches were known" if done.duplicates else ""
    _say(f"{path}: {done.new} new facts of {done.lab} in {done.batches} batches{known}{aside}.")


@key.command("list")
def list_keys(config: ConfigFile) -> None:
    """Show the keys of all labs."""
    table = Table("lab", "key", "since", "calls its own now")
    for item in _run(config, lambda ledger: ledger.read(keys.keys)):
        table.add_row(item.lab, item.key, iso(item.since_ns) or "", item.said)
    _out.print(table)


@key.command()
def trust(
    lab: Annotated[str, typer.Argument(help="The lab's id.")],
    public: Annotated[str, typer.Argument(metavar="HEX", help="What `infomobil-edge key` shows at the van.")],
    config: ConfigFile,
) -> None:
    """Measure the sticks of a lab by this key from now on."""
    if not LAB_ID.fullmatch(lab):
        _fail(f"{lab} is not the id of a lab: a-z, 0-9 and dashes.")
    if not keys.is_key(public):
        _fail("A key has 64 hexadecimal digits, in small letters.")
    taken = _run(
        config,
        lambda ledger: ledger.change(lambda database: keys.trust(database, WHO, lab, public, time.time_ns())),
    )
    _say(f"Sticks of {lab} are measured by this key{'' if taken else ', as before'}.")


def _run(config: Path, work: Callable[[Ledger], Awaitable[T]]) -> T:
    async def with_ledger() -> T:
        ledger = Ledger(load(config).database)
        try:
            return await work(ledger)
        finally:
            await ledger.close()

    try:
        return asyncio.run(with_ledger())
    except OfficeError as error:
        _fail(str(error))


def _say(line: str) -> None:
    _out.print(line, highlight=False, markup=False, soft_wrap=True)


def _complain(line: str) -> None:
    _errors.print(line, highlight=False, markup=False, soft_wrap=True)


def _fail(sentence: str) -> NoReturn:
    _complain(sentence)
    raise typer.Exit(2)
