# SPDX-License-Identifier: GPL-3.0-or-later
"""The library of approved jobs on the disk: every folder shipped with this software, or signed by the office."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

from edge.domain.library import LeftOut
from edge.domain.piece import Piece
from edge.store.pieces import PieceBroken, piece_of
from wire.library import SIGNATURE, BadPiece, Flaw, listing, read_folder, require_same, require_signed
from wire.stick import Listed

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).with_name("shipped_pieces.json")
"""Name, bytes and SHA-256 of every file of the pieces that come with this software; content/make_programs.py writes it.

It is part of the program and not of the content: who may change it may change the program.
"""
PACKAGED_CONTENT = Path(__file__).parents[1] / "content"
_CHECKOUT_CONTENT = Path(__file__).parents[2] / "content"


def pieces_dir(content_dir: Path | None) -> Path:
    """Return the folder of the pieces: of the configured content, of the installed wheel, or of the checkout."""
    if content_dir is None:
        content_dir = PACKAGED_CONTENT if PACKAGED_CONTENT.is_dir() else _CHECKOUT_CONTENT
    return content_dir / "programs"


class PieceLibrary:
    """The pieces in the folders of `folder`. What nobody has approved is left out.

    keys are the office's public keys, 64 hexadecimal digits. Reading blocks.
    """

    def __init__(self, folder: Path, keys: Collection[str]) -> None:
        self._folder = folder
        self._keys = frozenset(keys)
        self._approved: dict[str, tuple[Listed, ...]] = {}
        self.pieces: dict[str, Piece] = {}
        self.left_out: dict[str, LeftOut] = {}
        for name in self._names():
            if found := self._take(name):
                self.left_out[name] = found

    def log_left_out(self) -> None:
        """Say in the log what is left out; what changes after that is logged when it is looked at."""
        for found in self.left_out.values():
            _log(found)

    def _names(self) -> list[str]:
        try:
            places = [place for place in self._folder.iterdir() if place.is_dir()]
        except OSError as error:
            why = f"the library {self._folder} cannot be read: {error.strerror}"
            self.left_out[""] = LeftOut("", Flaw.UNREADABLE, "", why)
            return []
        return sorted(place.name for place in places if not place.name.startswith((".", "_")))

    def _take(self, name: str) -> LeftOut | None:
        try:
            files = read_folder(self._folder / name)
            self._require_approved(name, files)
            piece = piece_of(self._folder / name, files)
        except BadPiece as error:
            return LeftOut(name, error.flaw, error.file, str(error))
        except PieceBroken as error:
            return LeftOut(name, "form", "", str(error.facts["reason"]))
        self.pieces[name] = piece
        self._approved[name] = listing(files)
        return None

    def _require_approved(self, name: str, files: Mapping[str, bytes]) -> None:
        shipped = _shipped()
        if SIGNATURE not in files and name in shipped:
            require_same(shipped[name], listing(files))
        else:
            require_signed(name, files, self._keys)

    async def look(self, piece_id: str) -> LeftOut | None:
        """Return what is wrong on the disk now with a piece of `pieces`, None where it is byte for byte the same."""
        found = await asyncio.to_thread(self._again, piece_id)
        self._note(piece_id, found)
        return found

    def _again(self, name: str) -> LeftOut | None:
        try:
            files = read_folder(self._folder / name)
            self._require_approved(name, files)
        except BadPiece as error:
            return LeftOut(name, error.flaw, error.file, str(error))
        if listing(files) != self._approved[name]:
            return LeftOut(name, "newer", "", "the office has approved another version since the service started")
        return None

    def _note(self, name: str, found: LeftOut | None) -> None:
        """Keep what was found, and say it in the log once, as well as its end."""
        before = self.left_out.pop(name, None)
        if found is not None:
            self.left_out[name] = found
        if found is not None and found != before:
            _log(found)
        elif found is None and before is not None:
            log.info("The piece %s is again what was approved.", name)


def _log(found: LeftOut) -> None:
    log.error("Left out: %s: %s", f"the piece {found.piece_id}" if found.piece_id else "all pieces", found.sentence)


@cache
def _shipped() -> dict[str, tuple[Listed, ...]]:
    written = json.loads(SHIPPED.read_bytes())
    return {name: tuple(Listed(*item) for item in files) for name, files in written.items()}
