# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the edge: `infomobil-edge`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge import __version__
from edge.config import EdgeSettings, load_settings
from edge.domain.errors import InfoMobilError
from edge.store.pin import write_pin

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Edge controller of one mobile laboratory.")
out = Console()
err = Console(stderr=True)

ConfigFile = Annotated[Path, typer.Argument(help="The laboratory's TOML file.")]


def _say_why(error: InfoMobilError) -> None:
    """Print the error's sentence as it is: square brackets are TOML here, not rich's markup."""
    err.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)


def _load(path: Path) -> EdgeSettings:
    try:
        return load_settings(path)
    except InfoMobilError as error:
        _say_why(error)
        raise typer.Exit(2) from error


@cli.command()
def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="The laboratory's TOML file.")],
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,  # noqa: FBT002
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    settings = _load(config)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    for noisy in ("asyncua", "asyncio", "gpiozero", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # Imported here: check-config and set-pin answer at once, without drivers and servers.
    from edge.app import run_edge

    try:
        asyncio.run(run_edge(settings, config))
    except InfoMobilError as error:
        _say_why(error)
        raise typer.Exit(1) from error


@cli.command("check-config")
def check_config(config: ConfigFile) -> None:
    """Say whether a configuration file can be used, and what it means."""
    settings = _load(config)
    table = Table(title=escape(f"{settings.lab.name} ({settings.lab.id})"))
    for heading in ("machine", "kind", "driver", "reached at", "interlock inputs"):
        table.add_column(heading)
    for machine in settings.machine:
        connection = machine.connection
        reached = connection.port if connection.driver == "grbl" else connection.endpoint
        inputs = ", ".join(f"{item.input} ({item.source})" for item in machine.interlock)
        row = (machine.name, machine.kind, connection.driver, reached, inputs or "none: never permits motion")
        table.add_row(*map(escape, row))
    out.print(table)
    office = f"{settings.sync.host}:{settings.sync.port}" if settings.sync else "none: facts stay in the outbox"
    out.print(f"office broker: {office}", highlight=False)
    out.print("The file can be used.", style="green")


@cli.command("set-pin")
def set_pin(
    path: Annotated[Path, typer.Argument(help="The file that keeps the hash.")],
    pin: Annotated[str, typer.Option(prompt="PIN (digits)", hide_input=True, confirmation_prompt=True)],
) -> None:
    """Set the operator's PIN."""
    try:
        write_pin(path, pin)
    except InfoMobilError as error:
        _say_why(error)
        raise typer.Exit(2) from error
    out.print("The PIN is set.", style="green")


@cli.command()
def version() -> None:
    """Print the version."""
    out.print(f"infomobil {__version__}", highlight=False)


def main() -> None:
    """Run the command line."""
    cli()
