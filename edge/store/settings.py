# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set about the lab's record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wire.library import is_key


class StoreSettings(BaseModel):
    """Where the facts are kept and how much room metrics and jobs may take.

    path: the database, by default ``infomobil.db`` in the lab's data directory. metrics_quota_mb: megabytes of
    waiting metrics after which the oldest are rolled up to minutes, then hours, then dropped. jobs_quota_mb: megabytes
    of waiting changes of jobs after which the oldest are dropped. reserve_mb: free megabytes of the file system kept
    for visits, safety and jobs; below it metrics take the room of older ones only. ballast_mb: megabytes taken in
    advance, so that a full disk can still be emptied towards the office; 0 for none. busy_timeout_ms: how long a commit
    waits for another program that holds the database.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path | None = None
    metrics_quota_mb: Annotated[float, Field(gt=0, le=100_000)] = 200
    jobs_quota_mb: Annotated[float, Field(ge=1, le=100_000)] = 100
    reserve_mb: Annotated[float, Field(ge=0, le=100_000)] = 64
    ballast_mb: Annotated[float, Field(ge=0, le=1_000)] = 8
    busy_timeout_ms: Annotated[int, Field(ge=0, le=60_000)] = 2_000

    def database(self, data_dir: Path) -> Path:
        """Return the path of the database for a lab that keeps its files in `data_dir`."""
        return self.path if self.path is not None else data_dir / "infomobil.db"


FEWEST_DIGITS = 8


def _require_key(text: str) -> str:
    if not is_key(text):
        raise ValueError("a public key has 64 hexadecimal digits, in small letters")
    if len(set(text)) < FEWEST_DIGITS:
        # Such as 64 zeros: a point for which anybody can sign.
        raise ValueError("this stands for a key, and is none")
    return text


PublicKey = Annotated[str, AfterValidator(_require_key)]


class LibrarySettings(BaseModel):
    """Whose pieces are believed.

    keys: the office's public keys, each with 64 hexadecimal digits, as `infomobil-office library key` shows them. A
    piece that does not come with this software needs the signature of one of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: Annotated[tuple[PublicKey, ...], Field(max_length=16)] = ()
