# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of IM-1. Batches are columnar JSON under zstd, everything else is plain JSON.

The canonical JSON (sorted keys, no spaces, UTF-8) is what the hash chain is made of: it does not depend on the
version of the compressor. Decoding is total: whatever the bytes, the answer is a value or BadMessage.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, cast

import zstandard

from wire.batch import (
    MAX_EVENTS,
    MAX_EXPLAINED,
    MAX_PAYLOAD,
    MAX_RAW,
    TOTALS,
    Ack,
    BadMessage,
    Batch,
    Presence,
    Scalar,
    WireEvent,
)

SPECVERSION = "1.0"
VERSION = 1
MAX_HEALTH = 50
_SCALARS = {str, int, float, bool, type(None)}
MAX_FIELDS = 100
"""Of a body: those of version 1.1 have up to fourteen."""
MAX_NAME = 200
"""Characters of a field's name."""
MAX_BODY = 16 << 10
"""Characters of a body, names and texts. Labs write no more than half of it: a field that only one of many bodies has
is a null in all others, and must not make gigabytes of a small batch."""


def canonical(value: object) -> bytes:
    """Return the canonical JSON of `value`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _deltas(values: Sequence[int]) -> list[int]:
    return [values[0], *(b - a for a, b in pairwise(values))] if values else []


def batch_json(batch: Batch) -> bytes:
    """Return the canonical JSON of a batch: one list per field, clock values as differences."""
    types = sorted({event.type for event in batch.events})
    index = {name: i for i, name in enumerate(types)}
    columns: dict[str, dict[str, list[Scalar]]] = {}
    for name in types:
        bodies = [event.body for event in batch.events if event.type == name]
        fields = sorted({key for body in bodies for key in body})
        columns[name] = {key: [body.get(key) for body in bodies] for key in fields}
    return canonical(
        {
            "specversion": SPECVERSION,
            "v": VERSION,
            "source": f"/labs/{batch.lab}",
            "stream": batch.stream,
            "epoch": batch.epoch,
            "boot": batch.boot,
            "s0": batch.s0,
            "n": batch.n,
            "prev": batch.prev.hex() if batch.prev is not None else None,
            "types": types,
            "type": [index[event.type] for event in batch.events],
            "boottime": _deltas([event.boot_ns for event in batch.events]),
            "time": _deltas([event.wall_ns - event.boot_ns for event in batch.events]),
            "data": columns,
        }
    )


def batch_hash(batch: Batch) -> bytes:
    """Return the SHA-256 that the next batch of the epoch carries."""
    return hashlib.sha256(batch_json(batch)).digest()


def encode_batch(batch: Batch) -> tuple[bytes, bytes]:
    """Return (payload, sha256) of a batch of 1..MAX_EVENTS facts; raises ValueError for another number."""
    if not 1 <= batch.n <= MAX_EVENTS:
        raise ValueError(f"a batch holds 1 to {MAX_EVENTS} events, not {batch.n}")
    raw = batch_json(batch)
    return zstandard.ZstdCompressor(level=6).compress(raw), hashlib.sha256(raw).digest()


def decode_batch(lab: str, stream: str, payload: bytes) -> tuple[Batch, bytes]:
    """Return the batch in `payload` and its SHA-256; raises BadMessage.

    lab and stream come from the topic; a payload that names others is bad.
    """
    if len(payload) > MAX_PAYLOAD:
        raise BadMessage(f"the payload has {len(payload)} bytes, more than {MAX_PAYLOAD}")
    raw = _decompress(payload)
    body = _versioned(raw)
    if body.get("source") != f"/labs/{lab}" or body.get("stream") != stream:
        raise BadMessage("the batch names another lab or stream than its topic")
    n, s0 = _integer(body, "n", 1, MAX_EVENTS), _integer(body, "s0", 1)
    types = [_text_value(item) for item in _list(body, "types")]
    if len(types) > n or len(set(types)) != len(types):
        raise BadMessage("types lists more types than events, or one twice")
    indexes = _integers(body, "type", n)
    boottime = list(accumulate(_integers(body, "boottime", n)))
    offsets = list(accumulate(_integers(body, "time", n)))
    if any(not 0 <= i < len(types) for i in indexes):
        raise BadMessage("an event has a type that the batch does not list")
    counts = Counter(indexes)
    rows = {name: _rows(body, name, counts[i]) for i, name in enumerate(types)}
    cursors = {name: iter(items) for name, items in rows.items()}
    events = tuple(
        WireEvent(types[i], next(cursors[types[i]]), boot, boot + offset)
        for i, boot, offset in zip(indexes, boottime, offsets, strict=True)
    )
    batch = Batch(lab, stream, _text(body, "epoch"), _text(body, "boot"), s0, _digest(body), events)
    return batch, hashlib.sha256(raw).digest()


def _decompress(payload: bytes) -> bytes:
    try:
        size = zstandard.get_frame_parameters(payload).content_size
        if not 0 < size <= MAX_RAW:
            raise BadMessage(f"the batch unpacks to {size} bytes, allowed are 1 to {MAX_RAW}")
        return zstandard.ZstdDecompressor().decompress(payload, max_output_size=MAX_RAW)
    except zstandard.ZstdError as error:
        raise BadMessage(f"not a zstd frame ({error})") from error


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not JSON ({error})") from error
    if not isinstance(value, dict):
        raise BadMessage("not a JSON object")
    return cast("dict[str, Any]", value)


def _versioned(raw: bytes) -> dict[str, Any]:
    body = _object(raw)
    if body.get("v") != VERSION:
        raise BadMessage(f"version {body.get('v')!r} is not {VERSION}")
    return body


def _text_value(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        raise BadMessage("a name is not a text of 1 to 200 characters")
    return value


def _text(body: Mapping[str, Any], key: str) -> str:
    if key not in body:
        raise BadMessage(f"{key} is missing")
    return _text_value(body[key])


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _fits(value, value)


def _fits(low: int, high: int) -> bool:
    return -(2**63) <= low and high < 2**63


def _integer(body: Mapping[str, Any], key: str, low: int, high: int = 2**53) -> int:
    value = body.get(key)
    if not _is_int(value) or not low <= cast("int", value) <= high:
        raise BadMessage(f"{key} is not a whole number from {low} to {high}")
    return cast("int", value)


def _list(body: Mapping[str, Any], key: str) -> list[Any]:
    value = body.get(key)
    if not isinstance(value, list):
        raise BadMessage(f"{key} is not a list")
    return value


def _integers(body: Mapping[str, Any], key: str, n: int) -> list[int]:
    values = _list(body, key)
    if len(values) != n or set(map(type, values)) - {int} or (n and not _fits(min(values), max(values))):
        raise BadMessage(f"{key} is not a list of {n} whole numbers")
    return values


def _rows(body: Mapping[str, Any], name: str, n: int) -> list[dict[str, Scalar]]:
    data = body.get("data")
    columns = data.get(name) if isinstance(data, dict) else None
    if not isinstance(columns, dict):
        raise BadMessage(f"the fields of {name} are missing")
    if len(columns) > MAX_FIELDS or any(len(key) > MAX_NAME for key in columns):
        raise BadMessage(f"{name} has more than {MAX_FIELDS} fields, or one with more than {MAX_NAME} characters")
    longest = 0
    for key, values in columns.items():
        if not isinstance(values, list) or len(values) != n:
            raise BadMessage(f"{name}.{key} does not have {n} values")
        kinds = set(map(type, values))
        if kinds - _SCALARS:
            raise BadMessage(f"{name}.{key} holds a value that is no scalar")
        if str in kinds:
            longest += max(_length(value) for value in values)
    names = sum(map(len, columns))
    # The longest texts of all columns are in one body at the worst: only then each body is added up.
    if names + longest > MAX_BODY:
        bodies = zip(*columns.values(), strict=True)
        if names + max(sum(map(_length, body)) for body in bodies) > MAX_BODY:
            raise BadMessage(f"a body of {name} has more than {MAX_BODY} characters")
    return [dict(zip(columns, body, strict=True)) for body in zip(*columns.values(), strict=True)] or [{}] * n


def _length(value: Scalar) -> int:
    return len(value) if isinstance(value, str) else 0


def _digest(body: Mapping[str, Any]) -> bytes | None:
    value = body.get("prev")
    if value is None:
        return None
    try:
        digest = bytes.fromhex(value)
    except (TypeError, ValueError) as error:
        raise BadMessage("prev is not a SHA-256 in hexadecimal") from error
    if len(digest) != 32:
        raise BadMessage("prev is not a SHA-256 in hexadecimal")
    return digest


def encode_ack(ack: Ack) -> bytes:
    """Return the payload of an acknowledgement. Without `explained` it is that of version 1.0."""
    body = {"v": VERSION, "epoch": ack.epoch, "w": ack.watermark, "missing": ack.missing, "time": ack.office_ns}
    return canonical(body | {"explained": ack.explained} if ack.explained else body)


def decode_ack(stream: str, payload: bytes) -> Ack:
    """Return the acknowledgement in `payload`; raises BadMessage."""
    body = _versioned(payload)
    explained = _ranges(body, "explained") if "explained" in body else ()
    if len(explained) > MAX_EXPLAINED or any(first > last for first, last in explained):
        raise BadMessage(f"explained is not a list of at most {MAX_EXPLAINED} ranges")
    return Ack(
        stream,
        _text(body, "epoch"),
        _integer(body, "w", 0),
        _ranges(body, "missing"),
        _integer(body, "time", 0, 2**63 - 1),
        explained,
    )


def _ranges(body: Mapping[str, Any], key: str) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for item in _list(body, key):
        if not (isinstance(item, list) and len(item) == 2 and all(_is_int(v) and v >= 1 for v in item)):
            raise BadMessage(f"{key} holds something that is no range")
        ranges.append((item[0], item[1]))
    return tuple(ranges)


def encode_presence(presence: Presence) -> bytes:
    """Return the payload of a presence message."""
    return canonical(
        {
            "v": VERSION,
            "state": presence.state,
            "boot": presence.boot,
            "epoch": presence.epoch,
            "software": presence.software,
            "config": presence.config,
            "heads": presence.heads,
            "closed": presence.closed,
            "totals": presence.totals,
            "waiting": presence.waiting,
            "install": presence.install,
            "ordinal": presence.ordinal,
            "key": presence.key,
            "health": presence.health,
        }
    )


def decode_presence(lab: str, payload: bytes) -> Presence:
    """Return the presence in `payload`; raises BadMessage."""
    if len(payload) > MAX_PAYLOAD:
        raise BadMessage(f"the payload has {len(payload)} bytes, more than {MAX_PAYLOAD}")
    body = _versioned(payload)
    state = _text(body, "state")
    if state not in ("online", "offline"):
        raise BadMessage(f"state {state!r} is neither online nor offline")
    if state == "offline":
        return Presence(lab, state, epoch=_text(body, "epoch") if body.get("epoch") else "")
    totals = _counters(body, "totals")
    if any(set(counters) != set(TOTALS) for counters in totals.values()):
        raise BadMessage("totals lacks a counter")
    heads = _counters({"heads": {"": body.get("heads")}}, "heads")[""]
    return Presence(
        lab,
        state,
        _text(body, "boot"),
        _text(body, "epoch"),
        _text(body, "software"),
        _text(body, "config"),
        heads,
        _counters(body, "closed"),
        totals,
        _integer(body, "waiting", 0),
        _text(body, "install") if body.get("install") else "",
        _integer(body, "ordinal", 0) if "ordinal" in body else 0,
        _text(body, "key") if body.get("key") else "",
        _flat(body, "health"),
    )


def _flat(body: Mapping[str, Any], key: str) -> dict[str, Scalar]:
    value = body.get(key, {})
    if not isinstance(value, dict) or len(value) > MAX_HEALTH:
        raise BadMessage(f"{key} is not an object of at most {MAX_HEALTH} fields")
    if not all(item is None or isinstance(item, str | int | float) for item in value.values()):
        raise BadMessage(f"{key} holds a value that is no scalar")
    return cast("dict[str, Scalar]", value)


def _counters(body: Mapping[str, Any], key: str) -> dict[str, dict[str, int]]:
    value = body.get(key)
    if not isinstance(value, dict):
        raise BadMessage(f"{key} is not an object")
    for counters in value.values():
        if not isinstance(counters, dict) or not all(_is_int(v) and v >= 0 for v in counters.values()):
            raise BadMessage(f"{key} holds something that is no counter")
    return cast("dict[str, dict[str, int]]", value)
