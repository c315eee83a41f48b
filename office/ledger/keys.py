# SPDX-License-Identifier: GPL-3.0-or-later
"""The public keys of labs: the first one that a lab says over the broker is kept, another one waits for a person.

The broker knows a lab by its certificate, so its first word is trusted. A key that changes later is a new card, or
somebody else's: until an account with the role admin takes it, sticks are measured by the one that is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from office.facts import ReceivedPresence
from office.ledger import audit
from office.ledger.database import Database
from wire.batch import Scalar

KEY = "key"
"""The kind of a doubt: the lab calls another key its own than the one that is kept."""

_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LabKey:
    """The key that sticks of `lab` are measured by, since UTC ns; said is another one that it now calls its own."""

    lab: str
    key: str
    since_ns: int
    said: str
    said_ns: int


def is_key(text: str) -> bool:
    """Return whether `text` is an Ed25519 public key: 32 bytes in small hexadecimal digits."""
    return _KEY.fullmatch(text) is not None


def keys(database: Database) -> list[LabKey]:
    """Return what is known of every lab's key, by lab."""
    rows = database.query("select lab, key, since_ns, said, said_ns from lab_key order by lab")
    return [LabKey(*row) for row in rows]


def key_of(database: Database, lab: str) -> str:
    """Return the key that sticks of `lab` are measured by, "" where none is known."""
    rows = database.query("select key from lab_key where lab = ?", (lab,))
    return str(rows[0][0]) if rows else ""


def hear_keys(database: Database, presences: Sequence[ReceivedPresence], now_ns: int) -> None:
    """Take note of what labs call their keys; of those that came on a stick nothing, since the key vouches for it."""
    heard = {item.presence.lab: item.presence.key for item in presences if item.on_air and is_key(item.presence.key)}
    told = [_hear(database, lab, key, now_ns) for lab, key in sorted(heard.items())]
    for lab, what, text, facts in filter(None, told):
        audit.write(database, "", what, lab, text, facts, now_ns=now_ns)


def _hear(database: Database, lab: str, key: str, now_ns: int) -> tuple[str, audit.What, str, dict[str, Scalar]] | None:
    """Take note of one key; return what the audit has to tell, which is locked last of all."""
    rows = database.query("select key, said from lab_key where lab = ?" + database.for_update, (lab,))
    if not rows:
        first = "insert into lab_key (lab, key, since_ns) values (?, ?, ?) on conflict do nothing returning lab"
        if database.query(first, (lab, key, now_ns)):
            return lab, "key", "The lab's first key was heard and kept.", {"key": key}
        return None
    kept, said = rows[0]
    if key in (kept, said):
        return None
    database.query("update lab_key set said = ?, said_ns = ? where lab = ?", (key, now_ns, lab))
    text = "The lab calls another key its own. Sticks signed with it are refused until somebody takes it."
    _withdraw_doubt(database, lab)
    database.query(
        "insert into doubt (lab, kind, mark, text, since_ns) values (?, ?, ?, ?, ?)", (lab, KEY, key, text, now_ns)
    )
    return lab, "alarm", text, {"key": kept, "said": key}


def _withdraw_doubt(database: Database, lab: str) -> None:
    database.query("delete from doubt where lab = ? and kind = ?", (lab, KEY))


def trust(database: Database, who: str, lab: str, key: str, now_ns: int) -> bool:
    """Measure sticks of `lab` by `key` from now on; return whether that changes anything. Raises ValueError.

    The earlier key is no longer taken: what it signed is on the card still, or in the ledger.
    """
    if not is_key(key):
        raise ValueError("a key has 64 hexadecimal digits")
    # The key before its doubt, as where a lab is heard: of two at once, one waits for the other.
    database.query("select 1 from lab_key where lab = ?" + database.for_update, (lab,))
    before = key_of(database, lab)
    _withdraw_doubt(database, lab)
    if before == key:
        database.query("update lab_key set said = '', said_ns = 0 where lab = ? and said <> ''", (lab,))
        return False
    database.query(
        "insert into lab_key (lab, key, since_ns) values (?, ?, ?) on conflict (lab) do update set"
        " key = excluded.key, since_ns = excluded.since_ns, said = '', said_ns = 0",
        (lab, key, now_ns),
    )
    audit.write(
        database, who, "key", lab, "A key was taken for the lab.", {"key": key, "before": before}, now_ns=now_ns
    )
    return True
