# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of labs: the first word counts, another one waits for a person, and nothing that came on a stick is believed."""

from dataclasses import replace

import pytest

from office.ledger import audit, doubts, keys, reading
from tests.support.office import NOW_NS, Sender, headcount, presence

pytest_plugins = ("tests.support.office_fixtures",)

KEY, OTHER, THIRD = "a1" * 32, "b2" * 32, "c3" * 32


def doubted(database):
    return database.query("select lab, mark, since_ns from doubt where kind = 'key'")


async def test_the_first_key_is_kept_and_another_waits(ledger):
    await ledger.record([presence(key=KEY), presence("van-2", key=OTHER)])
    await ledger.record([presence(key=KEY)])
    assert await ledger.read(keys.keys) == [
        keys.LabKey("van-1", KEY, NOW_NS, "", 0),
        keys.LabKey("van-2", OTHER, NOW_NS, "", 0),
    ]
    for _ in range(3):
        await ledger.record([presence(key=OTHER)])
    assert (await ledger.read(keys.keys))[0] == keys.LabKey("van-1", KEY, NOW_NS, OTHER, NOW_NS)
    assert await ledger.read(lambda database: keys.key_of(database, "van-1")) == KEY
    assert await ledger.read(doubted) == [("van-1", OTHER, NOW_NS)]
    rows = await ledger.read(lambda database: audit.page(database, 9, 0, "van-1"))
    assert [(row.what, row.facts) for row in rows] == [("alarm", {"key": KEY, "said": OTHER}), ("key", {"key": KEY})]


async def test_a_person_takes_the_other_key(ledger):
    await ledger.record([presence(key=KEY)])
    await ledger.record([presence(key=OTHER)])
    assert await ledger.change(lambda database: keys.trust(database, "ona", "van-1", OTHER, NOW_NS + 5))
    assert await ledger.read(keys.keys) == [keys.LabKey("van-1", OTHER, NOW_NS + 5, "", 0)]
    assert await ledger.read(doubted) == []
    assert not await ledger.change(lambda database: keys.trust(database, "ona", "van-1", OTHER, NOW_NS + 9))
    row, *_ = await ledger.read(lambda database: audit.page(database, 9, 0))
    assert (row.who, row.what, row.lab, row.facts) == ("ona", "key", "van-1", {"key": OTHER, "before": KEY})


async def test_a_person_keeps_the_key_that_is_kept(ledger):
    await ledger.record([presence(key=KEY)])
    await ledger.record([presence(key=OTHER)])
    assert not await ledger.change(lambda database: keys.trust(database, "ona", "van-1", KEY, NOW_NS))
    assert (await ledger.read(keys.keys))[0].said == ""
    assert await ledger.read(doubted) == []


async def test_a_third_key_takes_the_place_of_the_second_and_other_reviews_leave_it(ledger):
    for key in (KEY, OTHER, THIRD):
        await ledger.record([presence(key=key)])
    await ledger.change(lambda database: doubts.review(database, "van-1", (), NOW_NS))
    assert await ledger.read(doubted) == [("van-1", THIRD, NOW_NS)]
    assert (await ledger.read(keys.keys))[0].said == THIRD


async def test_a_key_is_taken_before_the_lab_is_ever_heard(ledger):
    assert await ledger.read(lambda database: keys.key_of(database, "van-1")) == ""
    assert await ledger.change(lambda database: keys.trust(database, "ona", "van-1", KEY, NOW_NS))
    await ledger.record([presence(key=KEY)])
    assert await ledger.read(keys.keys) == [keys.LabKey("van-1", KEY, NOW_NS, "", 0)]


@pytest.mark.parametrize("wrong", ["", "a1", "A1" * 32, "xy" * 32, KEY + "00", "é" * 64])
async def test_what_is_no_key_is_neither_heard_nor_taken(ledger, wrong):
    await ledger.record([presence(key=wrong)])
    with pytest.raises(ValueError, match="64 hexadecimal"):
        await ledger.change(lambda database: keys.trust(database, "ona", "van-1", wrong, NOW_NS))
    assert await ledger.read(keys.keys) == []
    assert await ledger.read(audit.count) == 0


async def test_what_came_on_a_stick_says_nothing_of_keys_and_of_when_a_lab_was_heard(ledger):
    word = presence(key=KEY, heads={"visits": 3}, waiting=3)
    batch = Sender().batch(headcount("v1", 20))
    await ledger.record([replace(word, on_air=False), replace(batch, on_air=False)])
    assert await ledger.read(keys.keys) == []
    (lab,) = await ledger.read(reading.labs)
    assert (lab.state, lab.seen_ns, lab.software, lab.ledger_people) == ("unknown", 0, "1.0", 20)
    await ledger.record([presence(epoch="e2", key=KEY, received_ns=NOW_NS)])
    await ledger.record([replace(word, on_air=False, received_ns=NOW_NS + 10)])
    (lab,) = await ledger.read(reading.labs)
    assert (lab.state, lab.seen_ns, lab.epoch) == ("online", NOW_NS, "e2"), "an old word takes nothing back"
