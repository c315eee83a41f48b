# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that an older office did not understand are in the ledger; the first start of a newer one adds them up.

Labs may be newer than their office: it may not know a type of theirs, or a word in a body. Without this a gap that
they told of would hold their watermark for ever, and a visit in a new language would never be counted.
"""

from __future__ import annotations

import hashlib
import json

from office import intake
from office.facts import Fact, FeedKey, Standing
from office.ledger.database import Database
from office.ledger.writer import take_again
from wire.asyncapi import STREAM_OF
from wire.events import BODIES

_NAME = "bodies"
CHUNK = 1_000
_ODD = "standing <> 'understood'"
"""As the index has it."""


def relearn(database: Database, now_ns: int) -> int:
    """Add up what is understood now; return how many facts were. In transactions of its own, each of a part of a feed.

    Asked again it does nothing, until a program comes that knows other bodies, or one that still runs and knows fewer
    has added to what was not understood.
    """
    with database.transaction(write=False):
        done = database.query("select value from identity where name = ?", (_NAME,)) == [(_mark(database),)]
        feeds: list[tuple[int, str, str, str]] = []
        if not done:
            sql = (
                "select distinct feed.id, feed.lab, feed.stream, feed.epoch from event"
                f" join feed on feed.id = event.feed where event.{_ODD} order by 2, 3, 4"
            )
            feeds = [(row[0], row[1], row[2], row[3]) for row in database.query(sql)]
    learnt = 0
    for number, *key in feeds:
        after: int | None = 0
        while after is not None:
            found, after = _learn(database, number, (key[0], key[1], key[2]), after, now_ns)
            learnt += found
    if not done:
        with database.transaction(write=True):
            database.query(
                "insert into identity (name, value) values (?, ?)"
                " on conflict (name) do update set value = excluded.value",
                (_NAME, _mark(database)),
            )
    return learnt


def _mark(database: Database) -> str:
    """Return what this program understands, and how much the ledger holds that it does not."""
    schemas = {kind: body.model_json_schema() for kind, body in BODIES.items()}
    known = hashlib.sha256(json.dumps([schemas, STREAM_OF], sort_keys=True).encode()).hexdigest()
    ((unknown, invalid),) = database.query("select sum(unknown), sum(invalid) from lab")
    return f"{known} {unknown or 0} {invalid or 0}"


def _learn(database: Database, number: int, key: FeedKey, after: int, now_ns: int) -> tuple[int, int | None]:
    """Judge up to CHUNK facts behind `after` again; return how many stand otherwise, and where to go on."""
    with database.transaction(write=True):
        # Two programs may start at once: whoever comes second finds the facts understood.
        database.query("select 1 from feed where id = ?" + database.for_update, (number,))
        rows = database.query(
            "select seq, type, standing, boot_ns, wall_ns, received_ns, body from event"
            f" where feed = ? and seq > ? and {_ODD} order by seq limit ?",
            (number, after, CHUNK),
        )
        facts: list[tuple[Fact, int, Standing]] = []
        for seq, kind, before, boot_ns, wall_ns, received_ns, text in rows:
            body = json.loads(text)
            standing = intake.judge(key[1], kind, body)
            if standing is not Standing(before):
                facts.append((Fact(seq, kind, standing, boot_ns, wall_ns, body, text), received_ns, Standing(before)))
        for fact, _, _ in facts:
            database.query(
                "update event set standing = ? where feed = ? and seq = ?", (fact.standing.value, number, fact.seq)
            )
        if facts:
            take_again(database, key, facts, now_ns)
    return len(facts), rows[-1][0] if len(rows) == CHUNK else None
