# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-office library`: which pieces the vans may make. The key needs to be on no running computer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from office.errors import OfficeError
from office.library import load_key, make_key, verify
from wire.library import BadPiece, PieceSignature, is_key

app = typer.Typer(help="The library of approved jobs: the office signs, the vans check.", no_args_is_help=True)
_out = Console()
_errors = Console(stderr=True)

KeyFile = Annotated[Path, typer.Option("--key", "-k", help="The file with the office's private key.")]
Folders = Annotated[list[Path], typer.Argument(help="Folders of pieces.", show_default=False)]
_FILE = Path("library.pem")


@app.command()
def key(
    file: KeyFile = _FILE, *, new: Annotated[bool, typer.Option("--new", help="Make a key; none may be there.")] = False
) -> None:
    """Show the public key, for the configuration of the vans."""
    with _told():
        found = make_key(file) if new else load_key(file)
    if new:
        _say(f"The private key is in {file}. Keep a copy of it elsewhere, and neither on a computer that vans reach.")
    _say("For every van's configuration:")
    _say(f'[library]\nkeys = ["{found.public_hex}"]')


@app.command()
def sign(folders: Folders, file: KeyFile = _FILE) -> None:
    """Approve pieces: piece.sig in the folder of each vouches for every byte in it."""
    with _told():
        signing = load_key(file)
    good = True
    for folder in folders:
        try:
            _tell(signing.sign(folder), "signed")
        except OfficeError as error:
            good = False
            _complain(str(error))
    if not good:
        raise typer.Exit(1)


@app.command("verify")
def verify_pieces(
    folders: Folders,
    file: KeyFile = _FILE,
    public: Annotated[
        list[str] | None, typer.Option("--public", metavar="HEX", help="A public key, instead of --key.")
    ] = None,
) -> None:
    """Say of pieces whether a van takes them; exit code 1 where it would not."""
    with _told():
        keys = public or [load_key(file).public_hex]
    if not all(map(is_key, keys)):
        _complain("A key has 64 hexadecimal digits, in small letters.")
        raise typer.Exit(2)
    good = True
    for folder in folders:
        try:
            _tell(verify(folder, keys), "good")
        except BadPiece as error:
            good = False
            _complain(f"{folder}: {error}.")
    if not good:
        raise typer.Exit(1)


def _tell(found: PieceSignature, state: str) -> None:
    _say(f"{found.piece}: {state}, {len(found.files)} files, key {found.key[:16]}..")


@contextmanager
def _told() -> Iterator[None]:
    """Tell what went wrong in a sentence, and end with 2."""
    try:
        yield
    except OfficeError as error:
        _complain(str(error))
        raise typer.Exit(2) from error


def _say(line: str) -> None:
    _out.print(line, highlight=False, markup=False, soft_wrap=True)


def _complain(line: str) -> None:
    _errors.print(line, highlight=False, markup=False, soft_wrap=True)
