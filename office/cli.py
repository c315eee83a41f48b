# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the office."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from office import account_cli, seal_cli, stick_cli
from office.app import run as run_office
from office.broker_cli import app as broker_app
from office.config import OfficeSettings, load
from office.errors import ConfigInvalid, OfficeError
from office.ledger import Ledger
from office.ledger.checks import Findings
from office.library_cli import app as library_app
from office.reports.plan import load as load_plan

app = typer.Typer(
    help="InfoMobil's central office: ledger of all vans, and the dashboard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(account_cli.app, name="account")
app.add_typer(broker_app, name="broker")
app.add_typer(stick_cli.key, name="key")
app.add_typer(library_app, name="library")
app.command("import")(stick_cli.import_sticks)
_out = Console()
_errors = Console(stderr=True)

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The office's TOML file.", show_default=False)]


@app.command()
def run(config: ConfigFile) -> None:
    """Take in what the vans send and serve the dashboard, until Ctrl-C."""
    settings = _load(config)
    _start_logging(settings.log_level)
    try:
        asyncio.run(run_office(settings))
    except (OSError, ValueError) as error:
        _fail(f"The office cannot start: {error}.")


@app.command("check-config")
def check_config(file: Annotated[Path, typer.Argument(help="The TOML file to look at.")]) -> None:
    """Say whether a configuration file is good, and otherwise what is wrong in which line."""
    settings = _load(file)
    table = Table("setting", "value", title=f"{file} is good", title_justify="left")
    table.add_row("database", _without_password(settings.database))
    table.add_row("broker", f"{settings.broker.host}:{settings.broker.port}{' with TLS' * settings.broker.tls}")
    table.add_row("dashboard", f"http://{settings.http.host}:{settings.http.port}/")
    table.add_row("ingest", f"{settings.ingest.workers} worker{'s' * (settings.ingest.workers > 1)}")
    table.add_row("nightly check", str(settings.checks.recount_at))
    table.add_row("pledge", f"{load_plan(settings.indicators).plan.target} pupils and teachers")
    _out.print(table)


@app.command()
def verify(digest: Annotated[str, typer.Argument(help="The digest that a report names.")], config: ConfigFile) -> None:
    """Check whether the ledger still holds what a report was made of; exit code 1 where it does not."""
    seal_cli.verify(_load(config), digest)


@app.command()
def recount(config: ConfigFile) -> None:
    """Check figures against facts and facts against the chains of batches; exit code 1 where they do not agree."""
    found = _ask_for_check(_load(config))
    if found.good:
        counted = found.recount
        _out.print(f"{counted.facts} facts, {counted.figures} figures, {found.chains.batches} batches: all agree.")
        return
    table = Table("figure", "kept", "counted again", title="These figures are not what the facts add up to")
    for item in found.recount.differences:
        table.add_row(item.figure, str(item.kept), str(item.counted))
    if found.recount.differences:
        _out.print(table)
    for sentence in found.broken_links():
        _out.print(sentence, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def _ask_for_check(settings: OfficeSettings) -> Findings:
    async def ask() -> Findings:
        ledger = Ledger(settings.database)
        try:
            return await ledger.check()
        finally:
            await ledger.close()

    try:
        return asyncio.run(ask())
    except OfficeError as error:
        _fail(str(error))


def _start_logging(level: str) -> None:
    if _errors.is_terminal:
        handler: logging.Handler = RichHandler(console=_errors, show_path=False)
        form = "%(message)s"
    else:
        # A journal adds its own time, and wants one line for each message.
        handler, form = logging.StreamHandler(), "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level.upper(), format=form, datefmt="%H:%M:%S", handlers=[handler])


def _load(file: Path) -> OfficeSettings:
    try:
        settings = load(file)
        load_plan(settings.indicators)
    except ConfigInvalid as error:
        _fail(str(error))
    return settings


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}"


def _fail(sentence: str) -> NoReturn:
    _errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)


def main() -> None:
    """Run the command line."""
    app()
