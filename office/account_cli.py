# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-office account`: who may come in, told at the office's own computer."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from office.api.passwords import new_hash
from office.config import load
from office.errors import AccountUnknown, OfficeError
from office.ledger import Ledger, accounts
from office.ledger.accounts import ROLES, Role
from office.ledger.database import Database
from office.reports.times import iso

app = typer.Typer(help="Accounts of the dashboard: viewer reads, office corrects, admin keeps accounts and keys.")
_out = Console()
_errors = Console(stderr=True)
T = TypeVar("T")

WHO = ""
"""Who changes accounts here, for the audit: the service itself."""

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The office's TOML file.", show_default=False)]
Name = Annotated[str, typer.Argument(help="a-z, 0-9, dot, dash and underscore.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, office or admin.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="Take the password from a file, - for standard input.")
]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and print it once.")]


@app.command()
def add(
    name: Name,
    config: ConfigFile,
    role: RoleName = "viewer",
    password_file: PasswordFile = None,
    generate: Generate = False,  # noqa: FBT002 - an option of the command line
) -> None:
    """Make an account; asks for its password where none is given."""
    wanted = _role(role)

    def work(database: Database) -> bool:
        if accounts.password_hash(database, name) is not None:
            return False
        accounts.put(database, WHO, name, wanted, kept, time.time_ns())
        return True

    kept, made = _kept(password_file, generate=generate)
    if not _change(config, work):
        _fail(f"There is an account {name} already: `role` and `password` change it.")
    _out.print(f"Account {name} may come in with the role {wanted}.", highlight=False)
    _show(made)


@app.command()
def role(
    name: Name, new_role: Annotated[str, typer.Argument(help="viewer, office or admin.")], config: ConfigFile
) -> None:
    """Give an account another role; it holds from its next click."""
    wanted = _role(new_role)
    _change(config, lambda database: _put_known(database, name, wanted, None))
    _out.print(f"Account {name} has the role {wanted}.", highlight=False)


@app.command()
def password(
    name: Name,
    config: ConfigFile,
    password_file: PasswordFile = None,
    generate: Generate = False,  # noqa: FBT002 - an option of the command line
) -> None:
    """Give an account a new password; whoever is logged in with it is out."""
    kept, made = _kept(password_file, generate=generate)
    _change(config, lambda database: _put_known(database, name, None, kept))
    _out.print(f"Account {name} has a new password.", highlight=False)
    _show(made)


@app.command()
def remove(name: Name, config: ConfigFile) -> None:
    """Remove an account; whoever is logged in with it is out."""
    _change(config, lambda database: accounts.remove(database, WHO, name))
    _out.print(f"Account {name} was removed.", highlight=False)


@app.command("list")
def list_accounts(config: ConfigFile) -> None:
    """List all accounts."""
    table = Table("name", "role", "made", "last login")
    for account in _change(config, accounts.accounts):
        table.add_row(account.name, account.role, iso(account.made_ns), iso(account.login_ns) or "never")
    _out.print(table)


def _put_known(database: Database, name: str, role: Role | None, kept: str | None) -> None:
    known = {account.name: account.role for account in accounts.accounts(database)}
    if name not in known:
        raise AccountUnknown(name=name)
    accounts.put(database, WHO, name, role or known[name], kept, time.time_ns())


def _change(config: Path, work: Callable[[Database], T]) -> T:
    async def ask() -> T:
        ledger = Ledger(load(config).database)
        try:
            return await ledger.change(work)
        finally:
            await ledger.close()

    try:
        return asyncio.run(ask())
    except OfficeError as error:
        _fail(str(error))


def _role(text: str) -> Role:
    for known in ROLES:
        if text == known:
            return known
    _fail(f"A role is one of {', '.join(ROLES)}, not {text}.")


def _show(made: str | None) -> None:
    """Print a password that was made here, once it is the account's."""
    if made is not None:
        _out.print(f"Password: {made}", markup=False, highlight=False)


def _kept(file: Path | None, *, generate: bool) -> tuple[str, str | None]:
    """Return the hash of the password that was given, and the password itself where it was made here."""
    try:
        if generate:
            made = secrets.token_urlsafe(12)
            return new_hash(made), made
        if file is None:
            return new_hash(typer.prompt("Password", hide_input=True, confirmation_prompt=True)), None
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return new_hash(text.rstrip("\r\n")), None
    except OfficeError as error:
        _fail(str(error))
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"The password cannot be read: {error}.")


def _fail(sentence: str) -> NoReturn:
    _errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
