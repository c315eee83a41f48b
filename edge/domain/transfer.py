# SPDX-License-Identifier: GPL-3.0-or-later
"""A program file on its way into the memory of a machine that runs it by itself.

Such a file is in the dialect of the machine's maker: nobody here reads it. It is brought over, read back, compared, and
only then selected. Pressing cycle start is left to a person at the machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

MAX_BYTES = 16 * 1024 * 1024
"""The largest file. A machine may take less: Sinumerik's CopyFileToServer wants less than 16 MB."""


class TransferStep(StrEnum):
    """How far a file has come."""

    UPLOADING = "UPLOADING"
    VERIFYING = "VERIFYING"
    SELECTING = "SELECTING"
    LOADED = "LOADED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """A file: its name without a folder, and its bytes."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that the lab keeps for a machine; size in bytes, kept_ns UTC nanoseconds of the raw wall clock."""

    name: str
    size: int
    sha256: str
    kept_ns: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """The newest transfer to a machine.

    done counts the bytes of the current step; selected tells whether the machine has the program selected: where it
    offers no way to select, a person does so at its panel. reason says why it failed, in a person's words; startable
    that the machine's own job control would begin it on a person's word.
    """

    name: str
    size: int
    sha256: str
    step: TransferStep = TransferStep.UPLOADING
    done: int = 0
    selected: bool = False
    startable: bool = False
    reason: str = ""
