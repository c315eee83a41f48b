# SPDX-License-Identifier: GPL-3.0-or-later
"""The row of a lab: what it said about itself last, when it was heard, and what of its messages was odd."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from office.facts import ReceivedPresence, clean
from office.ledger.database import Database
from wire.batch import Scalar

MOST_TEXT = 200

_SEEN = "seen_ns = case when excluded.seen_ns > lab.seen_ns then excluded.seen_ns else lab.seen_ns end"
_TALLY = (
    "insert into lab (lab, seen_ns, duplicates, invalid, unknown) values (?, ?, ?, ?, ?)"
    f" on conflict (lab) do update set {_SEEN},"
    " duplicates = lab.duplicates + excluded.duplicates, invalid = lab.invalid + excluded.invalid,"
    " unknown = lab.unknown + excluded.unknown"
)
# The Will knows the lab's name and its epoch and nothing else: what the lab said last stays. The Will of an epoch that
# was left behind comes late, when the lab has long been there again.
_OFFLINE = (
    "insert into lab (lab, state, presence_ns) values (?, ?, ?) on conflict (lab) do update set"
    " state = excluded.state, presence_ns = excluded.presence_ns where lab.presence_ns <= excluded.presence_ns"
    " and (lab.epoch = '' or lab.epoch = ? or ? = '')"
)
_ONLINE = (
    "insert into lab (lab, state, epoch, software, config, waiting, heads, health, presence_ns, seen_ns)"
    f" values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (lab) do update set {_SEEN},"
    " state = excluded.state, epoch = excluded.epoch, software = excluded.software, config = excluded.config,"
    " waiting = excluded.waiting, heads = excluded.heads, health = excluded.health, presence_ns = excluded.presence_ns"
    " where lab.presence_ns <= excluded.presence_ns"
)
# What a stick says is older than it: it fills in what is known of a lab that was never heard, and no more.
_CARRIED = (
    "insert into lab (lab, epoch, software, config, waiting, heads) values (?, ?, ?, ?, ?, ?)"
    " on conflict (lab) do update set epoch = excluded.epoch, software = excluded.software, config = excluded.config,"
    " waiting = excluded.waiting, heads = excluded.heads where lab.presence_ns = 0"
)


@dataclass(slots=True)
class LabTally:
    """What to add to a lab's row."""

    seen_ns: int = 0
    duplicates: int = 0
    invalid: int = 0
    unknown: int = 0


def save_labs(database: Database, presences: Sequence[ReceivedPresence], tallies: Mapping[str, LabTally]) -> None:
    """Bring the rows of all labs concerned up to date, in order of their ids."""
    words: dict[str, list[ReceivedPresence]] = defaultdict(list)
    for item in presences:
        words[item.presence.lab].append(item)
    for lab in sorted({*words, *tallies}):
        for item in words.get(lab, ()):
            _say(database, item)
        if lab in tallies:
            tally = tallies[lab]
            database.query(_TALLY, (lab, tally.seen_ns, tally.duplicates, tally.invalid, tally.unknown))


def _say(database: Database, item: ReceivedPresence) -> None:
    word, at = item.presence, item.received_ns
    if word.state == "offline":
        database.query(_OFFLINE, (word.lab, word.state, at, word.epoch, word.epoch))
        return
    heads = json.dumps(word.heads, separators=(",", ":"))
    if not item.on_air:
        database.query(_CARRIED, (word.lab, word.epoch, word.software, word.config, word.waiting, heads))
        return
    health = json.dumps(_sane(word.health), separators=(",", ":"))
    said = (word.lab, word.state, word.epoch, word.software, word.config, word.waiting, heads, health, at, at)
    database.query(_ONLINE, said)


def _sane(health: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return what a lab says of its health without what no JSON and no database holds; texts are cut."""
    return {
        clean(key)[:MOST_TEXT]: clean(value)[:MOST_TEXT] if isinstance(value, str) else value
        for key, value in health.items()
        if not isinstance(value, float) or math.isfinite(value)
    }


def healths(database: Database) -> dict[str, dict[str, Scalar]]:
    """Return what each lab said last of its health, if it did.

    That is disk_free_mb, disk_state, clock, metrics_dropped and certificate_ends, and what later labs add.
    """
    return {lab: json.loads(health) for lab, health in database.query("select lab, health from lab")}
