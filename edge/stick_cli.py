# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-edge export`: what waits for the office, on a USB stick. The service may run or not.

It ends with 0 where everything that waits was written, 1 where something could not be, 2 where it was asked wrongly.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from edge import __version__
from edge.config import EdgeSettings, load_settings, settings_hash
from edge.domain.errors import InfoMobilError
from edge.keys import lab_key
from edge.stick.export import Export, Exported
from edge.store.guest import GuestDatabase
from edge.store.outbox import SqliteOutbox
from edge.sync.status import LabIdentity

out = Console()
err = Console(stderr=True)


def export(
    folder: Annotated[Path, typer.Argument(help="The folder of the stick, where it is mounted.")],
    config: Annotated[Path, typer.Option("--config", "-c", help="The laboratory's TOML file.")],
) -> None:
    """Write what waits for the office to a USB stick; nothing is taken from the lab by that."""
    try:
        settings = load_settings(config)
    except InfoMobilError as error:
        _fail(error, 2)
    if not folder.is_dir():
        _fail(f"There is no folder {folder}: is the stick mounted?", 2)
    try:
        done = asyncio.run(_export(settings, config, folder))
    except InfoMobilError as error:
        _fail(error, 1)
    except OSError as error:
        _fail(f"The stick does not take it: {error.strerror or error}.", 1)
    _tell(done)


def key(config: Annotated[Path, typer.Option("--config", "-c", help="The laboratory's TOML file.")]) -> None:
    """Show the public half of the lab's key, by which the office measures sticks."""
    try:
        settings = load_settings(config)
    except InfoMobilError as error:
        _fail(error, 2)
    try:
        _say(lab_key(settings.lab.data_dir / "keys").public_hex)
    except InfoMobilError as error:
        _fail(error, 1)


async def _export(settings: EdgeSettings, config: Path, folder: Path) -> Exported:
    key = lab_key(settings.lab.data_dir / "keys")
    database = GuestDatabase.visit(settings.store.database(settings.lab.data_dir), settings.store)
    try:
        lab = LabIdentity(
            settings.lab.id,
            database.boot,
            database.epoch,
            __version__,
            settings_hash(config),
            install=database.install,
            ordinal=database.ordinal,
            key=key.public_hex,
        )
        name = f"{settings.lab.id}-{database.epoch[:8]}-{_clock()}"
        return await Export(SqliteOutbox(database), lab, key, folder, name).run()
    finally:
        await asyncio.to_thread(database.close)


def _clock() -> str:
    """Return the lab's own clock as a name; it may be wrong, and means nothing to the office."""
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%SZ")


def _tell(done: Exported) -> None:
    for path in done.files:
        _say(str(path))
    if done.batches:
        _say(f"{done.facts} facts in {done.batches} batches, {done.bytes / 1e6:.1f} MB.")
        _say("Unmount the stick before you pull it, and bring it to the office: infomobil-office import FILE.")
    elif not done.left:
        _say("Nothing waits: the office has everything.")
    for sentence in done.left:
        err.print(f"Not written: {sentence}.", style="red", highlight=False, markup=False, soft_wrap=True)
    if done.left:
        raise typer.Exit(1)


def _say(line: str) -> None:
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def _fail(why: object, code: int) -> NoReturn:
    err.print(str(why), style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)
