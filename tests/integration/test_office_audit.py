# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit's chain on both databases: what is changed, left out or cut off shows."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from office.errors import LedgerRefused
from office.ledger import audit
from tests.support.office import NOW_NS
from wire.codec import canonical

pytest_plugins = ("tests.support.office_fixtures",)


def write_some(database, n=3):
    for number in range(1, n + 1):
        lab = "van-1" if number % 2 else None
        audit.write(database, "ona", "key", lab, f"Row {number}.", {"number": number}, now_ns=NOW_NS + number)


async def test_an_empty_audit_is_whole(ledger):
    assert await ledger.read(audit.verify) == audit.Chain(0, audit.NO_HASH, None)
    assert await ledger.read(audit.head) == audit.NO_HASH


async def test_rows_are_chained_and_told_newest_first(ledger):
    await ledger.change(write_some)
    rows = await ledger.read(lambda database: audit.page(database, 2, 0))
    assert [(row.n, row.who, row.what, row.lab, row.text, row.facts) for row in rows] == [
        (3, "ona", "key", "van-1", "Row 3.", {"number": 3}),
        (2, "ona", "key", None, "Row 2.", {"number": 2}),
    ]
    assert rows[0].prev == rows[1].sha256
    assert await ledger.read(audit.head) == rows[0].sha256
    assert await ledger.read(audit.verify) == audit.Chain(3, rows[0].sha256, None)
    assert await ledger.read(lambda database: audit.count(database, "van-1")) == 2
    assert [row.n for row in await ledger.read(lambda database: audit.page(database, 9, 1, "van-1"))] == [1]


async def test_the_hash_is_that_of_the_canonical_row(ledger):
    row = await ledger.change(lambda database: audit.write(database, "", "alarm", None, "ž", {"b": 1, "a": "ė"}))
    told = {"n": 1, "at": row.at_ns, "who": "", "what": "alarm", "lab": None, "text": "ž", "facts": {"a": "ė", "b": 1}}
    assert row.sha256 == hashlib.sha256(canonical({**told, "prev": "00" * 32})).digest()


@pytest.mark.parametrize(
    ("damage", "broken_at"),
    [
        ("update audit set text = 'another' where n = 2", 2),
        ("update audit set who = 'jonas' where n = 1", 1),
        ("update audit set at_ns = at_ns + 1 where n = 3", 3),
        ("update audit set facts = '{\"number\":9}' where n = 2", 2),
        ("update audit set facts = 'no json' where n = 2", 2),
        ("update audit set facts = '{\"number\":NaN}' where n = 2", 2),
        ('update audit set facts = \'{"number":"\\ud800"}\' where n = 2', 2),
        ("update audit set lab = null where n = 1", 1),
        ("delete from audit where n = 1", 1),
        ("delete from audit where n = 2", 2),
        ("delete from audit where n = 3", 3),
        ("update audit_head set n = 9", 4),
    ],
)
async def test_what_was_changed_afterwards_shows(ledger, damage, broken_at):
    await ledger.change(write_some)
    await ledger.change(lambda database: database.query(damage))
    assert (await ledger.read(audit.verify)).broken_at == broken_at


async def test_more_rows_than_one_look_takes(ledger, monkeypatch):
    monkeypatch.setattr(audit, "CHUNK", 2)
    await ledger.change(lambda database: write_some(database, 5))
    assert (await ledger.read(audit.verify)).rows == 5


async def test_a_row_that_is_rolled_back_was_never_written(ledger):
    def half(database):
        write_some(database, 1)
        raise LedgerRefused(reason="something after it")

    with pytest.raises(LedgerRefused):
        await ledger.change(half)
    assert await ledger.read(audit.verify) == audit.Chain(0, audit.NO_HASH, None)


async def test_no_fact_is_taken_that_has_no_json(ledger):
    with pytest.raises(ValueError, match="not JSON compliant"):
        await ledger.change(lambda database: audit.write(database, "", "alarm", None, "x", {"n": float("inf")}))
    assert (await ledger.read(audit.verify)).rows == 0


async def test_texts_that_no_database_holds_are_cleaned(ledger):
    row = await ledger.change(
        lambda database: audit.write(database, "a\x00", "alarm", None, "\ud800" * 2_000, {"\x00": "\x00"})
    )
    assert (row.who, len(row.text), row.facts) == ("a\ufffd", audit.MOST_TEXT, {"\ufffd": "\ufffd"})
    assert (await ledger.read(audit.verify)).broken_at is None


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()))
def test_facts_read_back_as_they_were_written(facts):
    try:
        text = canonical(facts).decode()
    except UnicodeEncodeError:
        return
    assert audit._facts(text) == facts == json.loads(text)
