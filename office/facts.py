# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes from the intake to the ledger: checked values, free of bytes, topics and SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from wire.batch import Presence, Scalar


def clean(text: str) -> str:
    """Return `text` without what a database cannot hold: NUL and halves of surrogate pairs become U+FFFD."""
    return text if text.isprintable() else re.sub(r"[\x00\ud800-\udfff]", "\ufffd", text)


def text_of(body: Mapping[str, Scalar], key: str) -> str:
    """Return a text of a body as a database can hold it, "" where there is none."""
    value = body.get(key)
    return clean(value) if isinstance(value, str) else ""


class Standing(StrEnum):
    """Whether the office understood a fact. Every fact is stored; only an understood one is added up."""

    UNDERSTOOD = "understood"
    UNKNOWN = "unknown"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the broker gave it: size is the length of the whole payload in bytes, times are UTC ns."""

    topic: str
    payload: bytes
    size: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a batch; body_json is its body as ASCII JSON text."""

    seq: int
    type: str
    standing: Standing
    boot_ns: int
    wall_ns: int
    body: dict[str, Scalar]
    body_json: str


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """A decoded batch: consecutive facts of one (lab, stream, epoch), with its own and its predecessor's SHA-256.

    on_air tells that the lab itself was heard: what comes on a stick, or from the office, says nothing of when.
    payload is what it came as; reproducible tells that its facts, as they are stored, give its SHA-256 again.
    """

    lab: str
    stream: str
    epoch: str
    boot: str
    prev: bytes | None
    sha256: bytes
    facts: tuple[Fact, ...]
    received_ns: int
    on_air: bool = True
    payload: bytes | None = None
    reproducible: bool = True

    @property
    def first(self) -> int:
        """Return the seq of the first fact."""
        return self.facts[0].seq

    @property
    def last(self) -> int:
        """Return the seq of the last fact."""
        return self.facts[-1].seq

    @property
    def key(self) -> FeedKey:
        """Return whose facts these are."""
        return (self.lab, self.stream, self.epoch)


@dataclass(frozen=True, slots=True)
class ReceivedPresence:
    """A lab's word about itself. One that is not on_air is as old as the stick that it came on."""

    presence: Presence
    received_ns: int
    on_air: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """A payload set aside: why, how long it was, and its first kilobyte."""

    topic: str
    lab: str
    stream: str
    reason: str
    size: int
    head: bytes
    received_ns: int


@dataclass(slots=True)
class IngestFigures:
    """What passed since the start. dropped were not looked at because the queue was full: labs send them again.

    workers are up and hear the broker; restarts counts those that ended by themselves.
    """

    received: int = 0
    new: int = 0
    duplicates: int = 0
    rejected: int = 0
    dropped: int = 0
    workers: int = 0
    restarts: int = 0


FeedKey = tuple[str, str, str]
Item = ReceivedBatch | ReceivedPresence | Rejected
