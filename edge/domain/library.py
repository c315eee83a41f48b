# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a piece of the library that is not offered, or not made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A piece whose folder is not what was approved.

    flaw is a word for the page: `unreadable`, `unsigned`, `malformed`, `untrusted`, `forged`, `changed`, `added`,
    `missing`, `form` (approved, but no piece that this software can use) or `newer` (approved anew since the start);
    file is the file that is meant, empty where it is none; why is the reason in a person's words, without a full stop.
    """

    piece_id: str
    flaw: str
    file: str
    why: str

    @property
    def sentence(self) -> str:
        """Return the reason as a sentence; the name of a file stays as it is written."""
        named = self.file and self.why.startswith(self.file)
        return f"{self.why if named else self.why[0].upper() + self.why[1:]}."
