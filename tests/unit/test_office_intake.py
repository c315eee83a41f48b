# SPDX-License-Identifier: GPL-3.0-or-later
import json
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from office import intake
from office.facts import ReceivedBatch, ReceivedPresence, Rejected, Standing, clean
from tests.support.lineage import gap
from tests.support.office import Sender, headcount, job, message, opened, presence
from wire.batch import MAX_PAYLOAD, WireEvent
from wire.codec import canonical
from wire.topics import STREAMS

UP = "im/v1/van-1/up/visits"


def squeeze(value: object) -> bytes:
    return zstandard.ZstdCompressor().compress(canonical(value))


def unpacked() -> dict:
    return json.loads(zstandard.ZstdDecompressor().decompress(Sender().payload([headcount("v1", 3)])))


def test_a_batch_becomes_facts():
    item = Sender().batch(opened("v1"), headcount("v1", 3))
    assert isinstance(item, ReceivedBatch)
    assert [(f.seq, f.type, f.standing) for f in item.facts] == [
        (1, "visit.opened", Standing.UNDERSTOOD),
        (2, "visit.headcount", Standing.UNDERSTOOD),
    ]


def test_a_field_that_only_some_bodies_have_is_no_error():
    long = headcount("v1", -1)
    short = WireEvent("visit.headcount", {k: v for k, v in long.body.items() if k != "reason"}, 1, 1)
    item = Sender().batch(long, short)
    assert isinstance(item, ReceivedBatch)
    assert {fact.standing for fact in item.facts} == {Standing.UNDERSTOOD}


@pytest.mark.parametrize(
    ("event", "standing"),
    [
        (headcount("v1", 10_001), Standing.INVALID),
        (headcount("v1", 1, role="alien"), Standing.INVALID),
        (opened("v1", date="2026-02-30"), Standing.INVALID),
        (job("j1", "MELTED"), Standing.INVALID),
        (job("j1", "FINISHED", lines=2**70), Standing.INVALID),
        (job("j1", "FINISHED", actual_s=1.5), Standing.UNDERSTOOD),
        (WireEvent("coffee.brewed", {"cups": 2}, 1, 1), Standing.UNKNOWN),
        (WireEvent("visit.closed", {"visit": "v1", "later_field": "x"}, 1, 1), Standing.UNDERSTOOD),
    ],
)
def test_a_body_is_judged_and_never_stalls_the_batch(event, standing):
    jobs = event.type.startswith("job.")
    stream, good = ("jobs", job("j1", "RUNNING")) if jobs else ("visits", headcount("v1", 1))
    item = Sender(stream=stream).batch(good, event)
    assert isinstance(item, ReceivedBatch)
    assert [fact.standing for fact in item.facts] == [Standing.UNDERSTOOD, standing]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_fact_on_another_stream_than_its_own_is_kept_and_marked(stream):
    events = [headcount("v1", 1), job("j1", "RUNNING"), gap("metrics", "e1", 1, 5)]
    item = Sender(stream=stream).batch(*events)
    assert isinstance(item, ReceivedBatch)
    understood = [fact.type for fact in item.facts if fact.standing is Standing.UNDERSTOOD]
    expected = {"visits": ["visit.headcount"], "jobs": ["job.changed"], "safety": ["stream.gap"], "metrics": []}
    assert understood == expected[stream]


def test_a_small_batch_does_not_become_a_large_one():
    n = 500
    columns = {"x": {"k" * 400_000: [None] * n}}
    raw = {**unpacked(), "n": n, "types": ["x"], "data": columns}
    raw |= {name: [0] * n for name in ("type", "boottime", "time")}
    payload = squeeze(raw)
    assert len(payload) < 500
    item = intake.read(message(UP, payload))
    assert isinstance(item, Rejected)
    assert "more than 200 characters" in item.reason


def test_not_a_number_is_kept_as_null_and_marked():
    raw = json.dumps({**unpacked(), "types": ["job.changed"], "data": {"job.changed": {"guess_s": [float("nan")]}}})
    item = intake.read(message(UP, zstandard.ZstdCompressor().compress(raw.encode())))
    assert isinstance(item, ReceivedBatch)
    assert item.facts[0].standing is Standing.INVALID
    assert json.loads(item.facts[0].body_json) == {"guess_s": None}


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (UP, b"\x00garbage", "not a zstd frame"),
        (UP, b"", "not a zstd frame"),
        (UP, Sender().payload([headcount("v1", 3)])[:-9], "not a zstd frame"),
        (UP, squeeze({**unpacked(), "v": 2}), "version 2 is not 1"),
        (UP, squeeze({**unpacked(), "source": "/labs/van-2"}), "another lab"),
        (UP, squeeze({**unpacked(), "epoch": "e\x00"}), "epoch holds characters"),
        (UP, squeeze({**unpacked(), "time": [2**63 - 1], "boottime": [2**63 - 1]}), "beyond 64 bits"),
        (UP, squeeze([1, 2]), "not a JSON object"),
        (UP, bytes(MAX_PAYLOAD + 1), "more than"),
        ("im/v1/VAN/up/visits", b"", "topic"),
        ("im/v1/van-1/up/gossip", b"", "topic"),
        ("im/v1/van-1/presence", b"{}", "version None is not 1"),
        ("im/v1/van-1/presence", b"[" * 200_000, "not JSON"),
    ],
)
def test_what_is_not_im1_is_set_aside_with_a_reason(topic, payload, reason):
    item = intake.read(message(topic, payload))
    assert isinstance(item, Rejected)
    assert reason in item.reason
    assert item.size == len(payload)
    assert item.head == payload[:1024]


def test_a_lone_surrogate_is_no_epoch():
    raw = json.dumps({**unpacked(), "epoch": "\ud800"}).encode()
    item = intake.read(message(UP, zstandard.ZstdCompressor().compress(raw)))
    assert isinstance(item, Rejected)


@pytest.mark.parametrize(
    "facts",
    [
        {"totals": {"e1": {"people": 10**15, "corrected": 0, "sessions": 0}}},
        {"totals": {"e\n1": {"people": 1, "corrected": 0, "sessions": 0}}},
        {"heads": {"gossip": 4}},
        {"heads": {"visits": 2**60}},
        {"closed": {"e0": {"gossip": 4}}},
    ],
)
def test_a_presence_that_cannot_be_is_set_aside(facts):
    assert isinstance(presence(**facts), Rejected)


def test_a_presence_is_read():
    item = presence(heads={"visits": 4}, totals={"e1": {"people": 1, "corrected": 0, "sessions": 2}})
    assert isinstance(item, ReceivedPresence)
    assert item.presence.heads == {"visits": 4}


def test_clean_takes_out_what_a_database_cannot_hold():
    assert clean("a\x00b\ud800c") == "a\ufffdb\ufffdc"


@given(st.binary(max_size=400))
def test_reading_is_total_for_any_bytes(payload):
    for topic in (UP, "im/v1/van-1/presence"):
        assert isinstance(intake.read(message(topic, payload)), Rejected)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(unpacked())), json_values)
def test_reading_is_total_for_any_value_of_any_field(key, value):
    raw = json.dumps({**unpacked(), key: value}).encode()
    item = intake.read(message(UP, zstandard.ZstdCompressor().compress(raw)))
    assert isinstance(item, ReceivedBatch | Rejected)


@given(st.sampled_from(["state", "epoch", "heads", "closed", "totals", "waiting", "software"]), json_values)
def test_reading_a_presence_is_total(key, value):
    word = {
        "v": 1,
        "state": "online",
        "boot": "b",
        "epoch": "e",
        "software": "s",
        "config": "c",
        "heads": {},
        "closed": {},
        "totals": {},
        "waiting": 0,
    }
    item = intake.read(message("im/v1/van-1/presence", json.dumps({**word, key: value}).encode()))
    assert isinstance(item, ReceivedPresence | Rejected)


def test_a_rejected_message_can_be_rejected_again():
    item = intake.reject(message("x" * 900 + "\x00", b"abc"), "no\x00reason" + "x" * 900)
    assert len(item.topic) == 300
    assert len(item.reason) == 500
    assert replace(item, lab="") == item
