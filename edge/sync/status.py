# SPDX-License-Identifier: GPL-3.0-or-later
"""What the relay says of itself to the lab's own screens, and who the lab is for the office."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge.domain.events import Scalar, Stream
from edge.domain.ports import StreamHead


@dataclass(frozen=True, slots=True)
class LabIdentity:
    """What presence says of the lab: its id, boot, epoch, software version and the hash of its configuration.

    install and ordinal are those of the fact lab.started; key is the public half of the lab's Ed25519 key in
    hexadecimal, empty where it has none.
    """

    lab: str
    boot: str
    epoch: str
    software: str
    config: str
    install: str = ""
    ordinal: int = 0
    key: str = ""


Health = Callable[[], Awaitable[Mapping[str, Scalar]]]
"""Returns the flat words of presence on the lab's health. Raises StoreUnavailable."""


async def no_health() -> Mapping[str, Scalar]:
    """Return nothing: for who has nothing to say of it."""
    return {}


@dataclass(frozen=True, slots=True)
class AckHeard:
    """The office's clock showed office_ns (UTC) between two moments of the lab's boot-time clock, ns.

    Only made of batches that were sent for the first time after sent_ns: the answer to them cannot be older.
    """

    sent_ns: int
    heard_ns: int
    office_ns: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """When the office last acknowledged something: by the lab's boot-time clock and by the office's UTC, ns."""

    boot_ns: int
    office_ns: int


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """The way to the office, for the console.

    waiting counts facts per stream. oldest_waiting_s is the age of the oldest of them; for one of an earlier boot it
    is the time since this boot, a lower bound, because no clock ran through. The counters run since the start.
    """

    connected: bool
    waiting: Mapping[str, int]
    oldest_waiting_s: float | None
    acknowledged: Acknowledged | None
    last_error: str
    batches_sent: int
    batches_resent: int
    acks_ignored: int


@dataclass(slots=True)
class Counters:
    """Counts of the relay since its start."""

    sent: int = 0
    resent: int = 0
    ignored: int = 0


def waiting(heads: Sequence[StreamHead]) -> dict[str, int]:
    """Return the number of waiting facts per stream, all streams named."""
    counted = dict.fromkeys((stream.value for stream in Stream), 0)
    for head in heads:
        counted[head.stream.value] += head.waiting
    return counted


def oldest_waiting_s(heads: Iterable[StreamHead], boot: str, now_ns: int) -> float | None:
    """Return the age of the oldest waiting fact in seconds; see RelayStatus."""
    oldest_ns: int | None = None
    for head in heads:
        if head.oldest_boot_ns is None:
            continue
        if head.boot != boot:
            return max(0, now_ns) / 1e9  # nothing of this boot is older
        oldest_ns = head.oldest_boot_ns if oldest_ns is None else min(oldest_ns, head.oldest_boot_ns)
    return None if oldest_ns is None else max(0, now_ns - oldest_ns) / 1e9
