# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-office verify`: whether a printed report still stands."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import typer
from rich.console import Console

from office.config import OfficeSettings
from office.errors import OfficeError
from office.ledger import Ledger, seals
from office.ledger.database import Database
from office.reports import iso

_out = Console()
_errors = Console(stderr=True)


def verify(settings: OfficeSettings, digest: str) -> None:
    """Say whether the ledger still holds what a report with this digest was made of; exit code 1 where it does not."""
    try:
        wanted = bytes.fromhex(digest.replace(" ", ""))
    except ValueError:
        _fail("A digest is written in the digits 0 to 9 and the letters a to f.")
    try:
        verdict = asyncio.run(_ask(settings, wanted))
    except OfficeError as error:
        _fail(str(error))
    if verdict is None:
        _out.print("No report with this digest was made from this ledger.")
        raise typer.Exit(1)
    seal = verdict.seal
    _out.print(f"Made {iso(seal.at_ns)} of {seal.events} facts and {seal.people} pupils and teachers.")
    if not verdict.faults:
        _out.print(f"It stands: the facts are those that came, and add up to {verdict.counted} again.")
        return
    _out.print("It does not stand:")
    for fault in verdict.faults:
        _out.print(f"- {fault}", markup=False)
    raise typer.Exit(1)


async def _ask(settings: OfficeSettings, digest: bytes) -> seals.Verdict | None:
    def question(database: Database) -> seals.Verdict | None:
        seal = seals.find(database, digest)
        return None if seal is None else seals.verify(database, seal)

    ledger = Ledger(settings.database)
    try:
        return await ledger.read(question)
    finally:
        await ledger.close()


def _fail(sentence: str) -> NoReturn:
    _errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
