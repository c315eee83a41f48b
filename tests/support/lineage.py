# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about epochs, clocks and gaps, and the life of a van as the office hears of it in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from office import intake
from office.facts import Item
from office.ledger.database import Database
from tests.support.office import Sender, headcount, message
from tests.support.van_clock import SECOND, VanClock, WatchedVan
from wire import topics
from wire.batch import Scalar, WireEvent

CARD = "0123456789abcdef"


def started(
    ordinal: int, previous: str | None, boot: str = "b1", install: str = CARD, boot_ns: int = SECOND
) -> WireEvent:
    body: dict[str, Scalar] = {
        "install": install,
        "ordinal": ordinal,
        "previous": previous,
        "boot": boot,
        "software": "1.0",
        "set_aside": False,
    }
    return WireEvent("lab.started", body, boot_ns, 0)


def anchored(at_s: float, utc_ns: int, give_s: float = 0.2, boot: str = "b1", source: str = "ack") -> WireEvent:
    body: dict[str, Scalar] = {
        "boot": boot,
        "source": source,
        "at_boot_us": round(at_s * 1e6),
        "utc_us": utc_ns // 1000,
        "uncertainty_us": round(give_s * 1e6),
    }
    return WireEvent("clock.anchor", body, round(at_s * SECOND), 0)


def gap(stream: str, epoch: str, first: int, last: int, reason: str = "rolled_up") -> WireEvent:
    body: dict[str, Scalar] = {"stream": stream, "epoch": epoch, "first": first, "last": last, "reason": reason}
    return WireEvent("stream.gap", body, 9 * SECOND, 0)


def came(sender: Sender, events: Sequence[WireEvent], received_ns: int) -> Item:
    """Return the next batch of `sender` as the intake reads it at a time."""
    return intake.read(message(topics.up(sender.lab, sender.stream), sender.payload(events), received_ns))


@dataclass
class Truth:
    """A fact as the test knows it: where it is, what its clocks said, and when it really happened, UTC ns."""

    epoch: str
    boot_ns: int
    wall_ns: int
    true_ns: int
    received_ns: int = 0


@dataclass
class Van:
    """A van with a real ClockWatch, whose facts wait until it is `deliver`ed."""

    lab: str = "van-1"
    install: str = CARD
    watched: WatchedVan = field(default_factory=WatchedVan)
    epochs: int = 0
    epoch: str = ""
    items: list[Item] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    _senders: dict[tuple[str, str], Sender] = field(default_factory=dict)
    _waiting: dict[tuple[str, str], list[WireEvent]] = field(default_factory=dict)
    _told: list[Truth] = field(default_factory=list)
    _boots: dict[str, str] = field(default_factory=dict)

    @property
    def clock(self) -> VanClock:
        return self.watched.clock

    def start(self) -> None:
        """Begin an epoch: the service starts."""
        self._collect()
        previous, self.epochs = self.epoch or None, self.epochs + 1
        self.epoch = f"{self.install[:4]}-{self.epochs}"
        self._boots[self.epoch] = self.clock.boot
        self.watched = WatchedVan(self.clock)
        event = started(self.epochs, previous, self.clock.boot, self.install, self.clock.now_ns)
        self._keep("safety", event, self.clock.true_ns)
        self.watched.watch.look()

    def count(self) -> None:
        """Count a person."""
        event = headcount("v1", 1)
        self._keep(
            "visits",
            WireEvent(event.type, event.body, self.clock.boot_ns(), self.clock.wall_ns()),
            self.clock.true_ns,
        )

    def _keep(self, stream: str, event: WireEvent, true_ns: int) -> None:
        self._waiting.setdefault((stream, self.epoch), []).append(event)
        self._told.append(Truth(self.epoch, event.boot_ns, event.wall_ns, true_ns))

    def _collect(self) -> None:
        for event, true_ns in self.watched.noted.events:
            self._keep("safety", event, true_ns)
        self.watched.noted.events.clear()

    def deliver(self, after_s: float = 0.5) -> None:
        """Bring everything that waits to the office: batches of a few facts, received now."""
        self._collect()
        self.clock.pass_s(after_s)
        for key, events in sorted(self._waiting.items()):
            stream, epoch = key
            sender = self._senders.setdefault(key, Sender(self.lab, stream, epoch, self._boots[epoch]))
            for begin in range(0, len(events), 7):
                self.items.append(came(sender, events[begin : begin + 7], self.clock.true_ns))
        for truth in self._told:
            truth.received_ns = self.clock.true_ns
        self.truths += self._told
        self._waiting.clear()
        self._told = []


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Return what the ledger has derived of epochs, clocks, gaps and chains, without the times of receipt of alarms."""
    with database.transaction(write=False):
        return {
            "feeds": sorted(
                database.query(
                    "select lab, stream, epoch, watermark, newest, ranges, explained, anchor_ns, anchor_boot_ns,"
                    " last_boot_ns from feed"
                )
            ),
            **{
                table: sorted(database.query(f"select * from {table}"))
                for table in ("epoch_start", "clock_anchor", "clock_quality", "stream_gap", "doubt")
            },
            "alarms": sorted(
                database.query(
                    "select feed.lab, feed.stream, feed.epoch, kind, first, detail from alarm"
                    " join feed on feed.id = alarm.feed"
                )
            ),
        }
