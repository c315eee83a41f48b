# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of the ledger: one number that a printed report names, and by which its figures can be checked later.

It is the SHA-256 over all feeds in order: the name of each, the ranges of facts that are there, and for each range the
SHA-256 of its last batch. That stands for all the batches before it, because each holds the SHA-256 of its predecessor,
and a batch's SHA-256 is made of its facts. So no fact under a digest can be altered, added or taken out unseen.

The ledger grows, so what a digest was made of is kept beside it: the seal. To verify it means that the seal gives the
digest, that its batches are still there, that all batches can be made of the stored facts again, and that the facts of
its ranges add up to the number of people that the report said.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from office.ledger import ranges as seqs
from office.ledger import verify as chains
from office.ledger.database import Database
from wire.events import REACHED_ROLES

CHUNK = 5_000

Sealed = tuple[int, int, str]
"""first and last seq of a range, and the SHA-256 (hex) of its last batch."""
Head = tuple[str, str, str, tuple[Sealed, ...]]
"""lab, stream, epoch, and the ranges of facts."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A digest, when it was made (UTC ns), and how many facts and people reached it stands for."""

    digest: bytes
    at_ns: int
    events: int
    people: int
    heads: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a seal still holds, and the sentences that say what does not."""

    seal: Seal
    counted: int
    faults: tuple[str, ...]


def make(database: Database, now_ns: int) -> Seal:
    """Return the seal of the ledger as it is; inside a transaction."""
    rows = database.query(
        "select id, lab, stream, epoch, ranges,"
        " (select sha256 from batch where feed = feed.id order by last desc, sha256 limit 1) from feed"
        " order by lab, stream, epoch"
    )
    heads = []
    for feed, lab, stream, epoch, text, newest in rows:
        ranges = seqs.from_lists(json.loads(text))
        if newest is None or not ranges:
            continue
        ends = {ranges[-1][1]: bytes(newest)} if len(ranges) == 1 else _ends(database, feed)
        heads.append((lab, stream, epoch, tuple((first, last, ends[last].hex()) for first, last in ranges)))
    people = database.query("select sum(people) - sum(corrected) from lab_epoch")[0][0]
    events = sum(last - first + 1 for *_, ranges in heads for first, last, _ in ranges)
    return Seal(digest(tuple(heads)), now_ns, events, int(people or 0), tuple(heads))


def _ends(database: Database, feed: int) -> dict[int, bytes]:
    rows = database.query("select last, sha256 from batch where feed = ? order by last, sha256 desc", (feed,))
    return {last: bytes(sha256) for last, sha256 in rows}


def digest(heads: tuple[Head, ...]) -> bytes:
    """Return the SHA-256 of the canonical JSON of `heads`."""
    return hashlib.sha256(_text(heads)).digest()


def keep(database: Database, seal: Seal) -> None:
    """Keep `seal`, so that its digest can be verified; inside a writing transaction."""
    database.query(
        "insert into seal (digest, at_ns, events, people, heads) values (?, ?, ?, ?, ?) on conflict do nothing",
        (seal.digest, seal.at_ns, seal.events, seal.people, zlib.compress(_text(seal.heads))),
    )


def newest(database: Database) -> tuple[bytes, int, int] | None:
    """Return the digest that was made last, when (UTC ns), and of how many facts; None where there is none."""
    rows = database.query("select digest, at_ns, events from seal order by at_ns desc limit 1")
    return (bytes(rows[0][0]), rows[0][1], rows[0][2]) if rows else None


def find(database: Database, digest: bytes) -> Seal | None:
    """Return the seal of `digest`, None where no such digest was ever made here."""
    rows = database.query("select at_ns, events, people, heads from seal where digest = ?", (digest,))
    if not rows:
        return None
    at_ns, events, people, packed = rows[0]
    heads = tuple(
        (lab, stream, epoch, tuple((first, last, sha256) for first, last, sha256 in ranges))
        for lab, stream, epoch, ranges in json.loads(zlib.decompress(bytes(packed)))
    )
    return Seal(digest, at_ns, events, people, heads)


def verify(database: Database, seal: Seal) -> Verdict:
    """Compute again what `seal` stands for, which takes as long as reading all facts; inside a reading transaction."""
    faults: list[str] = []
    if digest(seal.heads) != seal.digest:
        faults.append("what the digest was made of was changed in the ledger")
    counted = 0
    for lab, stream, epoch, ranges in seal.heads:
        rows = database.query("select id from feed where lab = ? and stream = ? and epoch = ?", (lab, stream, epoch))
        for _, last, sha256 in ranges:
            values = (rows[0][0] if rows else None, last, bytes.fromhex(sha256))
            if not database.query("select 1 from batch where feed = ? and last = ? and sha256 = ?", values):
                faults.append(f"{lab}, {stream} of epoch {epoch}: the batch that ended with {last} is not there")
        if stream == "visits" and rows:
            counted += _people(database, rows[0][0], ranges)
    faults += chains.verify(database).named
    if counted != seal.people:
        faults.append(f"the facts add up to {counted} people, the report said {seal.people}")
    return Verdict(seal, counted, tuple(faults))


def _people(database: Database, feed: int, ranges: Sequence[Sealed]) -> int:
    people = 0
    sql = (
        "select seq, body from event where feed = ? and seq between ? and ? and type = 'visit.headcount'"
        " and standing = 'understood' order by seq limit ?"
    )
    for first, last, _ in ranges:
        after = first
        while rows := database.query(sql, (feed, after, last, CHUNK)):
            for _, text in rows:
                body = json.loads(text)
                people += body["count"] if body["role"] in REACHED_ROLES else 0
            after = rows[-1][0] + 1
    return people


def _text(heads: tuple[Head, ...]) -> bytes:
    return json.dumps(heads, ensure_ascii=True, separators=(",", ":")).encode()
