# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels: batches of facts upwards, acknowledgements downwards, presence beside them."""

from __future__ import annotations

from dataclasses import dataclass, field

Scalar = str | int | float | bool | None

CONTENT_TYPE = "application/vnd.infomobil.batch.v1+json"
ENCODING = "zstd"
MAX_EVENTS = 500
MAX_PAYLOAD = 1 << 20
MAX_RAW = 8 << 20
MAX_EXPLAINED = 100
TOTALS = ("people", "corrected", "sessions")


class BadMessage(ValueError):
    """A payload that is not what IM-1 says. The argument is the reason in a person's words."""


@dataclass(frozen=True, slots=True)
class WireEvent:
    """One fact: CloudEvents type, body, boot-time ns and raw wall clock ns. Its seq is s0 plus its index."""

    type: str
    body: dict[str, Scalar]
    boot_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive facts s0 .. s0+n-1 of one (lab, stream, epoch).

    boot is the id of the boot that the clock values belong to; prev is the SHA-256 of the canonical JSON of the
    batch before, None for the first of an epoch.
    """

    lab: str
    stream: str
    epoch: str
    boot: str
    s0: int
    prev: bytes | None
    events: tuple[WireEvent, ...]

    @property
    def n(self) -> int:
        """Return the number of facts."""
        return len(self.events)

    @property
    def last(self) -> int:
        """Return the seq of the last fact."""
        return self.s0 + len(self.events) - 1


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything of (stream, epoch) up to and including watermark is in the office's ledger.

    missing holds (first, last) ranges above the watermark that the office knows to lack; office_ns is the office's
    UTC in nanoseconds, an anchor for the lab's clock. explained holds at most MAX_EXPLAINED ranges at or below the
    watermark, of the streams visits and safety only, that a record explains and that the office does not hold: a lab
    that still has facts of them keeps and sends these. Offices of version 1.0 do not say it, labs of 1.0 ignore it.
    """

    stream: str
    epoch: str
    watermark: int
    missing: tuple[tuple[int, int], ...] = ()
    office_ns: int = 0
    explained: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Presence:
    """The retained word of a lab about itself. One that says offline holds no more than the epoch that ended.

    heads is the newest seq per stream of the current epoch; closed maps former epochs to their last seq per stream;
    totals maps each epoch to its grow-only counters: people counted, people taken back by corrections, kiosk sessions.
    install and ordinal are those of lab.started; key is the lab's Ed25519 public key in hexadecimal, by which the
    office knows what comes on a stick; health is flat: disk_free_mb, disk_state, clock, metrics_dropped. Labs of
    version 1.0 say none of these four.
    """

    lab: str
    state: str
    boot: str = ""
    epoch: str = ""
    software: str = ""
    config: str = ""
    heads: dict[str, int] = field(default_factory=dict)
    closed: dict[str, dict[str, int]] = field(default_factory=dict)
    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    waiting: int = 0
    install: str = ""
    ordinal: int = 0
    key: str = ""
    health: dict[str, Scalar] = field(default_factory=dict)
