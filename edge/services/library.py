# SPDX-License-Identifier: GPL-3.0-or-later
"""The library of approved jobs as the services see it: pieces, and whether the disk still holds what was approved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edge.domain.errors import Refused
from edge.domain.library import LeftOut
from edge.domain.piece import Piece

_RESTART = "Restart the service, and approve the job anew."
_BRING_AGAIN = "Bring the piece from the office again. Nothing of it is made until then."


class Library(Protocol):
    """Where the approved pieces are kept."""

    @property
    def pieces(self) -> Mapping[str, Piece]:
        """Return the pieces that were approved when the library was read, by their ids."""
        ...

    @property
    def left_out(self) -> Mapping[str, LeftOut]:
        """Return what was found wrong with a folder, by its name: at the start, and when it was looked at last."""
        ...

    async def look(self, piece_id: str) -> LeftOut | None:
        """Return what is wrong on the disk now with a piece of `pieces`, None where it is byte for byte the same."""
        ...


async def require_approved(library: Library, piece_id: str) -> None:
    """Raise Refused where the disk no longer holds what was approved of the piece."""
    found = await library.look(piece_id)
    if found is not None:
        raise refusal(found)


def refusal(found: LeftOut) -> Refused:
    """Return why nothing is made of a piece."""
    what = f"The piece {found.piece_id} is not made."
    if found.flaw == "newer":
        return Refused(code="piece-newer", what=what, why=found.sentence, remedy=_RESTART)
    return Refused(code="piece-changed", what=what, why=found.sentence, remedy=_BRING_AGAIN)
