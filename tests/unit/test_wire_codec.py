# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec of IM-1: what is encoded comes back, and whatever comes in is a value or BadMessage."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.batch import (
    MAX_EVENTS,
    MAX_EXPLAINED,
    MAX_PAYLOAD,
    MAX_RAW,
    Ack,
    BadMessage,
    Batch,
    Presence,
    Scalar,
    WireEvent,
)
from wire.codec import (
    MAX_BODY,
    MAX_FIELDS,
    MAX_NAME,
    batch_hash,
    canonical,
    decode_ack,
    decode_batch,
    decode_presence,
    encode_ack,
    encode_batch,
    encode_presence,
)
from wire.topics import STREAMS

# A busy computer is slow, not wrong.
patient = settings(deadline=None)

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
clocks = st.integers(-(2**61), 2**61)
scalars: st.SearchStrategy[Scalar] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
)
bodies = st.dictionaries(names, scalars, max_size=5)
events = st.builds(WireEvent, names, bodies, clocks, clocks)
digests = st.none() | st.binary(min_size=32, max_size=32)
batches = st.builds(
    Batch,
    st.just("lab-1"),
    st.sampled_from(STREAMS),
    names,
    names,
    st.integers(1, 2**53),
    digests,
    st.lists(events, min_size=1, max_size=8).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


def pack(value: object) -> bytes:
    return zstandard.ZstdCompressor().compress(json.dumps(value).encode())


def unpack(payload: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(zstandard.decompress(payload))
    return value


def small(**changes: object) -> dict[str, Any]:
    """Return the JSON of a sound batch of two facts with `changes`."""
    two = tuple(WireEvent("kiosk.session", {"session": f"s{i}"}, i, i + 5) for i in range(2))
    payload, _ = encode_batch(Batch("lab-1", "visits", "e", "b", 1, None, two))
    return {**unpack(payload), **changes}


def filled(event: WireEvent, all_events: tuple[WireEvent, ...]) -> WireEvent:
    """Return the event as columns bring it back: fields of others of its type are null."""
    fields = {key for other in all_events if other.type == event.type for key in other.body}
    return WireEvent(event.type, {key: event.body.get(key) for key in fields}, event.boot_ns, event.wall_ns)


@patient
@given(batches)
def test_a_batch_comes_back_with_its_hash(batch: Batch) -> None:
    payload, sha256 = encode_batch(batch)
    decoded, seen = decode_batch(batch.lab, batch.stream, payload)
    assert sha256 == seen == batch_hash(batch) == batch_hash(decoded)
    assert decoded.events == tuple(filled(event, batch.events) for event in batch.events)
    assert (decoded.epoch, decoded.boot, decoded.s0, decoded.prev) == (batch.epoch, batch.boot, batch.s0, batch.prev)
    assert encode_batch(batch)[0] == payload


@pytest.mark.parametrize("n", [0, MAX_EVENTS + 1])
def test_a_batch_holds_one_to_five_hundred_facts(n: int) -> None:
    with pytest.raises(ValueError, match="500"):
        encode_batch(Batch("lab-1", "visits", "e", "b", 1, None, (WireEvent("t", {}, 1, 1),) * n))


@patient
@given(st.binary(max_size=300))
def test_any_bytes_are_a_batch_or_bad(payload: bytes) -> None:
    for raw in (payload, zstandard.ZstdCompressor().compress(payload)):
        with pytest.raises(BadMessage):
            decode_batch("lab-1", "visits", raw)


@patient
@given(batches, st.data())
def test_a_damaged_batch_is_a_batch_or_bad(batch: Batch, data: st.DataObject) -> None:
    payload = bytearray(encode_batch(batch)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(payload[: data.draw(st.integers(0, len(payload)))])
    for damaged in (bytes(payload), cut):
        with suppress(BadMessage):
            decode_batch(batch.lab, batch.stream, damaged)


@patient
@given(st.sampled_from(sorted(small())), json_values)
def test_a_batch_with_a_strange_field_is_a_batch_or_bad(key: str, value: object) -> None:
    with suppress(BadMessage):
        batch, _ = decode_batch("lab-1", "visits", pack(small(**{key: value})))
        assert batch.n == 2


@patient
@given(st.dictionaries(st.sampled_from(sorted(small())), json_values))
def test_any_json_is_a_batch_or_bad(value: dict[str, object]) -> None:
    with pytest.raises(BadMessage):
        decode_batch("lab-1", "visits", pack(value))


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": 2},
        {"v": "1"},
        {"source": "/labs/other"},
        {"stream": "jobs"},
        {"n": 3},
        {"n": 0},
        {"n": True},
        {"n": 501},
        {"s0": 0},
        {"s0": 2**53 + 1},
        {"epoch": ""},
        {"epoch": "e" * 201},
        {"boot": None},
        {"prev": "00"},
        {"prev": 7},
        {"prev": "x" * 64},
        {"types": ["kiosk.session", 3]},
        {"types": None},
        {"types": ["kiosk.session", "kiosk.session"]},
        {"types": [f"t{number}" for number in range(200_000)]},
        {"type": [0, 1]},
        {"type": [0, -1]},
        {"type": [0]},
        {"boottime": [1, 2.5]},
        {"time": [1, 2**63]},
        {"data": {}},
        {"data": []},
        {"data": {"kiosk.session": {"session": ["a"]}}},
        {"data": {"kiosk.session": {"session": ["a", ["b"]]}}},
        {"data": {"kiosk.session": {"session": "ab"}}},
        {"data": {"kiosk.session": {"s" * (MAX_NAME + 1): ["a", "b"]}}},
        {"data": {"kiosk.session": {f"field{number}": [None, None] for number in range(MAX_FIELDS + 1)}}},
        {"data": {"kiosk.session": {"session": ["a" * MAX_BODY, "b"]}}},
        {"data": {"kiosk.session": {f"{number:0200}": ["a", "b" * 200] for number in range(50)}}},
    ],
)
def test_what_im_1_does_not_allow_is_named(wrong: dict[str, object]) -> None:
    decode_batch("lab-1", "visits", pack(small()))
    with pytest.raises(BadMessage, match=r"\w"):
        decode_batch("lab-1", "visits", pack(small(**wrong)))


def test_a_later_field_of_the_envelope_does_no_harm() -> None:
    batch, _ = decode_batch("lab-1", "visits", pack(small(later={"x": 1})))
    assert batch.n == 2


def test_the_longest_names_and_texts_are_taken() -> None:
    fields = {f"{number:0{MAX_NAME}}": [None, None] for number in range(79)}
    text = ["a" * (MAX_BODY - 79 * MAX_NAME - len("session")), None]
    batch, _ = decode_batch("lab-1", "visits", pack(small(data={"kiosk.session": {**fields, "session": text}})))
    assert len(batch.events[0].body) == 80


def test_a_bomb_is_refused_before_it_unpacks() -> None:
    bomb = zstandard.ZstdCompressor().compress(b" " * (MAX_RAW + 1))
    assert len(bomb) < 2_000
    with pytest.raises(BadMessage, match="unpacks to"):
        decode_batch("lab-1", "visits", bomb)
    # A frame that does not say how large it is, or lies about it, unpacks to no more than allowed either.
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(b" " * (MAX_RAW + 1))
    with pytest.raises(BadMessage, match="unpacks to"):
        decode_batch("lab-1", "visits", unsized)
    honest = zstandard.ZstdCompressor().compress(b" " * 100_000)
    size = (100_000).to_bytes(4, "little")
    assert honest.count(size) == 1
    with pytest.raises(BadMessage):
        decode_batch("lab-1", "visits", honest.replace(size, (200).to_bytes(4, "little")))
    with pytest.raises(BadMessage, match="more than"):
        decode_batch("lab-1", "visits", b"\0" * (MAX_PAYLOAD + 1))


@pytest.mark.parametrize("depth", [100_000, 1_000_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(BadMessage):
        decode_batch("lab-1", "visits", zstandard.ZstdCompressor().compress(b"[" * depth))
    with pytest.raises(BadMessage):
        decode_ack("visits", b"[" * depth)


acks = st.builds(
    Ack,
    st.sampled_from(STREAMS),
    names,
    st.integers(0, 2**53),
    st.lists(st.tuples(st.integers(1, 2**53), st.integers(1, 2**53)), max_size=4).map(tuple),
    st.integers(0, 2**63 - 1),
    st.lists(st.tuples(st.integers(1, 2**40), st.integers(2**40, 2**53)), max_size=MAX_EXPLAINED).map(tuple),
)


@patient
@given(acks)
def test_an_acknowledgement_comes_back(ack: Ack) -> None:
    assert decode_ack(ack.stream, encode_ack(ack)) == ack


@patient
@given(st.binary(max_size=100) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_no_acknowledgement_and_no_presence(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_ack("visits", payload)
    with pytest.raises(BadMessage):
        decode_presence("lab-1", payload)


@patient
@given(acks, st.sampled_from(["epoch", "w", "missing", "time", "explained"]), json_values)
def test_a_strange_acknowledgement_is_one_or_bad(ack: Ack, key: str, value: object) -> None:
    body = {**json.loads(encode_ack(ack)), key: value}
    with suppress(BadMessage):
        assert decode_ack(ack.stream, json.dumps(body).encode()).watermark >= 0


@pytest.mark.parametrize(
    "explained",
    [
        None,
        {},
        [1, 2],
        [[1]],
        [[1, 2, 3]],
        [[0, 2]],
        [[2, 1]],
        [["1", 2]],
        [[True, 2]],
        [[1, 2.0]],
        [[n, n] for n in range(1, MAX_EXPLAINED + 2)],
    ],
)
def test_what_is_explained_is_a_list_of_few_ranges(explained: object) -> None:
    body = {**json.loads(encode_ack(Ack("visits", "e1", 200))), "explained": explained}
    with pytest.raises(BadMessage, match="explained"):
        decode_ack("visits", json.dumps(body).encode())


def test_an_acknowledgement_with_nothing_explained_is_that_of_version_1_0() -> None:
    raw = encode_ack(Ack("visits", "e1", 7, ((9, 12),), 5))
    assert raw == b'{"epoch":"e1","missing":[[9,12]],"time":5,"v":1,"w":7}'
    assert decode_ack("visits", raw).explained == ()


counters = st.dictionaries(names, st.integers(0, 2**53), max_size=3)
presences = st.builds(
    Presence,
    st.just("lab-1"),
    st.just("online"),
    names,
    names,
    names,
    names,
    counters,
    st.dictionaries(names, counters, max_size=3),
    st.dictionaries(
        names,
        st.fixed_dictionaries(dict.fromkeys(("people", "corrected", "sessions"), st.integers(0, 2**53))),
        max_size=3,
    ),
    st.integers(0, 2**53),
)


@patient
@given(presences)
def test_a_presence_comes_back(presence: Presence) -> None:
    assert decode_presence("lab-1", encode_presence(presence)) == presence


def test_a_farewell_says_offline_the_epoch_and_no_more() -> None:
    assert decode_presence("lab-1", encode_presence(Presence("lab-1", "offline"))) == Presence("lab-1", "offline")
    farewell = Presence("lab-1", "offline", "boot", "e1", "1.0", waiting=3)
    assert decode_presence("lab-1", encode_presence(farewell)) == Presence("lab-1", "offline", epoch="e1")


@patient
@given(presences, st.sampled_from(["state", "boot", "heads", "closed", "totals", "waiting"]), json_values)
def test_a_strange_presence_is_one_or_bad(presence: Presence, key: str, value: object) -> None:
    body = {**json.loads(encode_presence(presence)), key: value}
    with suppress(BadMessage):
        assert decode_presence("lab-1", json.dumps(body).encode()).state in ("online", "offline")
    with pytest.raises(BadMessage, match="more than"):
        decode_presence("lab-1", b" " * (MAX_PAYLOAD + 1))


def test_canonical_json_has_one_form() -> None:
    assert canonical({"b": 1, "a": "ž"}) == '{"a":"ž","b":1}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))
