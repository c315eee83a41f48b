# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of types that an older office did not know are in the ledger; the first start of a newer one adds them up.

Labs may be newer than their office. Without this a gap that they told of would hold their watermark for ever.
"""

from __future__ import annotations

import hashlib
import json

from office import intake
from office.facts import Fact, FeedKey, Standing
from office.ledger.database import Database
from office.ledger.writer import take_again
from wire.events import BODIES

_NAME = "bodies"
CHUNK = 1_000


def relearn(database: Database, now_ns: int) -> int:
    """Add up what is understood now; return how many facts were. In transactions of its own, each of one feed.

    Asked again it does nothing, until a program comes that knows other types.
    """
    known = hashlib.sha256(" ".join(sorted(BODIES)).encode()).hexdigest()
    marks = ", ".join("?" * len(BODIES))
    with database.transaction(write=False):
        done = database.query("select 1 from identity where name = ? and value = ?", (_NAME, known))
        some = database.query("select 1 from lab where unknown > 0 limit 1")
        feeds: list[tuple[int, str, str, str]] = []
        if some and not done:
            sql = (
                "select distinct feed.id, feed.lab, feed.stream, feed.epoch from event"
                f" join feed on feed.id = event.feed where standing = ? and type in ({marks}) order by 2, 3, 4"
            )
            feeds = [(row[0], row[1], row[2], row[3]) for row in database.query(sql, (Standing.UNKNOWN.value, *BODIES))]
    learnt = 0
    for number, *key in feeds:
        while (found := _learn(database, number, (key[0], key[1], key[2]), now_ns)) > 0:
            learnt += found
    if not done:
        with database.transaction(write=True):
            database.query(
                "insert into identity (name, value) values (?, ?)"
                " on conflict (name) do update set value = excluded.value",
                (_NAME, known),
            )
    return learnt


def _learn(database: Database, number: int, key: FeedKey, now_ns: int) -> int:
    marks = ", ".join("?" * len(BODIES))
    with database.transaction(write=True):
        # Two programs may start at once: whoever comes second finds the facts understood.
        database.query("select 1 from feed where id = ?" + database.for_update, (number,))
        rows = database.query(
            "select seq, type, boot_ns, wall_ns, received_ns, body from event"
            f" where feed = ? and standing = ? and type in ({marks}) order by seq limit ?",
            (number, Standing.UNKNOWN.value, *BODIES, CHUNK),
        )
        facts: list[tuple[Fact, int]] = []
        for seq, kind, boot_ns, wall_ns, received_ns, text in rows:
            body = json.loads(text)
            facts.append((Fact(seq, kind, intake.judge(key[1], kind, body), boot_ns, wall_ns, body, text), received_ns))
        for fact, _ in facts:
            database.query(
                "update event set standing = ? where feed = ? and seq = ?", (fact.standing.value, number, fact.seq)
            )
        if facts:
            take_again(database, key, facts, now_ns)
    return len(facts)
