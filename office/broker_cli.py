# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-office broker`: who may talk to the broker. The folder it works in needs to be on no running computer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from office.broker import Authority
from office.broker.errors import BrokerError
from office.broker.mosquitto import Listening

app = typer.Typer(help="Certificates and rights of the broker: who may send as which lab.", no_args_is_help=True)
_out = Console()
_errors = Console(stderr=True)

Folder = Annotated[Path, typer.Option("--folder", "-f", help="The authority's folder, which holds its key.")]
_FOLDER = Path("broker")
_COLOURS = {"in force": "green", "ends soon": "yellow", "expired": "red", "revoked": "red"}


@app.command()
def init(
    host: Annotated[list[str], typer.Option("--host", help="A name or address under which labs reach the broker.")],
    folder: Folder = _FOLDER,
    place: Annotated[Path, typer.Option(help="Where the folder mosquitto will be on the broker's computer.")] = Path(
        "/etc/mosquitto/infomobil"
    ),
    state: Annotated[Path, typer.Option(help="Where the broker keeps what is retained.")] = Path("/var/lib/mosquitto"),
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The labs' port.")] = 8883,
    office_port: Annotated[int, typer.Option(min=1, max=65_535, help="The office's port.")] = 8884,
    office_bind: Annotated[str, typer.Option(help="The address of the office's port.")] = "127.0.0.1",
    connections: Annotated[int, typer.Option(min=1, max=100_000, help="How many labs at once.")] = 2_000,
) -> None:
    """Make the authority, the broker's and the office's certificates, and Mosquitto's configuration."""
    at = Listening(
        place=place,
        state=state,
        port=port,
        office_port=office_port,
        office_bind=office_bind,
        connections=connections,
    )
    with _told():
        Authority(folder).init((*host, office_bind), at)
    _say(f"The authority is in {folder}. Keep ca.key off the broker's computer, and a copy of the folder off this one.")
    _say(f"To the broker, as {place}: {folder / 'mosquitto'}. To the office: {folder / 'office'}.")


@app.command()
def issue(
    name: Annotated[list[str], typer.Argument(help='Ids of labs, or "infomobil.office", or "server".')],
    folder: Folder = _FOLDER,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Also where one is in force; it stays good until it is revoked.")
    ] = False,
) -> None:
    """Issue certificates; each comes with its key and the authority's certificate in a folder of its own."""
    authority = Authority(folder)
    for one in name:
        with _told():
            made = authority.issue(one, again=again)
        _say(f"{one}: {made}")


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The name in the certificate.")],
    folder: Folder = _FOLDER,
    reason: Annotated[str, typer.Option(help="For the register: lost, sold, replaced.")] = "",
    *,
    keep_newest: Annotated[bool, typer.Option("--keep-newest", help="Revoke all but the one issued last.")] = False,
) -> None:
    """Revoke what a name has. It takes effect when the broker has the new files and was told to reload."""
    authority = Authority(folder)
    with _told():
        revoked = authority.revoke(name, reason, keep_newest=keep_newest)
    _say(f"{name}: {len(revoked)} revoked in total. Bring {authority.broker_folder} to the broker and reload it.")


@app.command("list")
def list_issued(folder: Folder = _FOLDER) -> None:
    """Show what was issued, until when it is good, and what was revoked."""
    with _told():
        issued = Authority(folder).issued()
    now = datetime.now(UTC)
    table = Table("name", "for", "until", "state", "serial", "reason")
    for one in issued:
        state = one.state(now)
        colour = _COLOURS[state]
        table.add_row(
            one.name,
            one.kind.value,
            f"{one.ends:%Y-%m-%d}",
            f"[{colour}]{state}[/]",
            f"{one.serial:x}"[:12],
            one.reason,
        )
    _out.print(table)


@contextmanager
def _told() -> Iterator[None]:
    """Tell what went wrong in a sentence, and end with 2."""
    try:
        yield
    except BrokerError as error:
        sentence = str(error)
    except OSError as error:
        sentence = f"{error.filename}: {error.strerror}."
    else:
        return
    _errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)


def _say(sentence: str) -> None:
    _out.print(sentence, markup=False, highlight=False, soft_wrap=True)
