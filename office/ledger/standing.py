# SPDX-License-Identifier: GPL-3.0-or-later
"""How each lab's clock and card stand now, for the list of labs. A few questions for all labs together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from office.ledger.database import Database
from office.ledger.intervals import Bound, span_at

EXPLAINED_SHOWN = 20
_CURRENT = "lab join epoch_start s on s.lab = lab.lab and s.epoch = lab.epoch"


@dataclass(frozen=True, slots=True)
class OpenDoubt:
    """Something about a lab that a person should look at, since UTC ns."""

    kind: str
    text: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Explained:
    """Facts first..last of a feed that will never come, and why: see StreamGap of the wire."""

    stream: str
    epoch: str
    first: int
    last: int
    reason: str


@dataclass(slots=True)
class Standing:
    """Of the epoch that a lab is in: the card's name, the epoch's number, and what its clock is worth.

    clock is the quality that the lab told last, `unknown` before; uncertainty_s is half the width of the interval in
    which UTC lay at the newest moment told of, None where nobody told the time in that boot.
    """

    install: str = ""
    ordinal: int = 0
    clock: str = "unknown"
    uncertainty_s: float | None = None
    doubts: list[OpenDoubt] = field(default_factory=list)
    explained: list[Explained] = field(default_factory=list)


def standings(database: Database) -> dict[str, Standing]:
    """Return how labs stand; one that never told anything of this is missing."""
    found: dict[str, Standing] = defaultdict(Standing)
    for lab, install, ordinal in database.query(
        f"select lab.lab, s.install, s.ordinal from {_CURRENT} order by lab.lab, s.seq desc"
    ):
        found[lab].install, found[lab].ordinal = install, ordinal
    for lab, quality in database.query(
        f"select lab.lab, q.quality from {_CURRENT} join clock_quality q on q.lab = s.lab and q.boot = s.boot"
        " order by lab.lab, q.boot_ns, q.epoch, q.seq"
    ):
        found[lab].clock = quality
    for lab, uncertainty_s in _uncertainties(database).items():
        found[lab].uncertainty_s = uncertainty_s
    for lab, kind, text, since_ns in database.query(
        "select lab, kind, text, since_ns from doubt order by lab, since_ns, kind, mark"
    ):
        found[lab].doubts.append(OpenDoubt(kind, text, since_ns))
    for lab, *gap in database.query(
        "select lab, stream, epoch, first, last, reason from (select stream_gap.*, row_number() over"
        " (partition by lab order by received_ns desc, by_epoch, by_seq desc) as place from stream_gap) newest"
        " where place <= ? order by lab, place",
        (EXPLAINED_SHOWN,),
    ):
        found[lab].explained.append(Explained(*gap))
    return dict(found)


def _uncertainties(database: Database) -> dict[str, float]:
    newest: dict[str, int | None] = dict(
        database.query(
            "select lab.lab, max(feed.last_boot_ns) from lab"
            " join feed on feed.lab = lab.lab and feed.epoch = lab.epoch group by lab.lab"
        )
    )
    bounds: dict[str, list[Bound]] = defaultdict(list)
    for lab, at, utc, give in database.query(
        f"select lab.lab, a.at_us, a.utc_us, a.uncertainty_us from {_CURRENT}"
        " join clock_anchor a on a.lab = s.lab and a.boot = s.boot"
    ):
        bounds[lab].append(Bound(at * 1000, (utc - give) * 1000, (utc + give) * 1000))
    found: dict[str, float] = {}
    for lab, known in bounds.items():
        span = span_at(known, newest.get(lab) or max(bound.at_ns for bound in known))
        if span.low_ns is not None and span.high_ns is not None and not span.empty:
            found[lab] = round((span.high_ns - span.low_ns) / 2e9, 3)
    return found
