# SPDX-License-Identifier: GPL-3.0-or-later
"""From bytes to checked values. Total: whatever came, the answer is something that the ledger can take.

The wire's decoder says whether a payload is IM-1. Here is checked what a database cannot hold (integers beyond 64
bits, NaN, text that is not UTF-8) and whether each body is what its type promises. A body that is not is kept and
marked: it must never stall the facts behind it.
"""

from __future__ import annotations

import json
import math
import re
from datetime import date

from pydantic import ValidationError

from office.facts import Fact, Item, Message, ReceivedBatch, ReceivedPresence, Rejected, Standing, clean
from office.ledger.again import reproducible
from office.ledger.clocks import OFFICE_EPOCH
from wire import topics
from wire.asyncapi import STREAM_OF
from wire.batch import MAX_PAYLOAD, BadMessage, Batch, Presence, Scalar, WireEvent
from wire.codec import decode_batch, decode_presence
from wire.events import BODIES

HEAD_BYTES = 1024
MOST_PEOPLE = 10_000_000
"""More than any lab can count in one boot: a claim beyond it is a mistake, not a figure."""

_WHOLE = 2**53
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")


def read(message: Message) -> Item:
    """Return what `message` holds, or Rejected with the reason."""
    topic = topics.parse(message.topic)
    if topic is None or topic.channel not in ("up", "presence"):
        return reject(message, "the topic is not one of IM-1")
    try:
        if message.size > MAX_PAYLOAD:
            raise BadMessage(f"the payload has {message.size} bytes, more than {MAX_PAYLOAD}")
        if topic.channel == "presence":
            presence = decode_presence(topic.lab, message.payload)
            _check_presence(presence)
            return ReceivedPresence(presence, message.received_ns)
        batch, sha256 = decode_batch(topic.lab, topic.name, message.payload)
        return _batch(batch, sha256, message)
    except BadMessage as error:
        return reject(message, str(error))


def reject(message: Message, reason: str) -> Rejected:
    """Return `message` as something to set aside."""
    topic = topics.parse(message.topic)
    lab, stream = (topic.lab, topic.name or topic.channel) if topic is not None else ("", "")
    return Rejected(
        clean(message.topic)[:300],
        lab,
        stream,
        clean(reason)[:500],
        message.size,
        message.payload[:HEAD_BYTES],
        message.received_ns,
    )


def _batch(batch: Batch, sha256: bytes, message: Message) -> ReceivedBatch:
    for name, value in (("epoch", batch.epoch), ("boot", batch.boot)):
        if not _PLAIN.fullmatch(value):
            raise BadMessage(f"{name} holds characters that no id has")
    if batch.epoch.startswith(OFFICE_EPOCH):
        raise BadMessage("the epoch is one of the office's own")
    if not all(_PLAIN.fullmatch(kind) for kind in {event.type for event in batch.events}):
        raise BadMessage("a type holds characters that no type has")
    clocks = [clock for event in batch.events for clock in (event.boot_ns, event.wall_ns)]
    if min(clocks) < -(2**63) or max(clocks) >= 2**63:
        raise BadMessage("a clock value is beyond 64 bits")
    facts = tuple(_fact(batch.stream, seq, event) for seq, event in enumerate(batch.events, batch.s0))
    return ReceivedBatch(
        batch.lab,
        batch.stream,
        batch.epoch,
        batch.boot,
        batch.prev,
        sha256,
        facts,
        message.received_ns,
        payload=message.payload,
        reproducible=reproducible(batch, sha256, facts),
    )


def _fact(stream: str, seq: int, event: WireEvent) -> Fact:
    standing, body = judge(stream, event.type, event.body), event.body
    try:
        text = _JSON.encode(body)
    except ValueError:
        # NaN and infinity have no JSON.
        body = {key: None if _no_number(value) else value for key, value in body.items()}
        text = _JSON.encode(body)
    return Fact(seq, event.type, standing, event.boot_ns, event.wall_ns, body, text)


def judge(stream: str, kind: str, body: dict[str, Scalar]) -> Standing:
    """Return whether `body` is what the type `kind` promises, on the stream where such facts go."""
    model = BODIES.get(kind)
    if model is None:
        return Standing.UNKNOWN
    if kind not in STREAM_OF[stream]:
        # What a fact is copied to is known by its epoch and seq, which each stream counts by itself.
        return Standing.INVALID
    # The columns of a batch hold null where a body lacks the field.
    known = {key: value for key, value in body.items() if value is not None}
    if not all(isinstance(value, str) or -_WHOLE <= value <= _WHOLE or _large(value) for value in known.values()):
        return Standing.INVALID
    try:
        model.model_validate(known)
        if kind == "visit.opened":
            date.fromisoformat(str(body["date"]))
    except (ValidationError, ValueError):
        return Standing.INVALID
    return Standing.UNDERSTOOD


def _large(value: float) -> bool:
    """Return whether a number that is beyond every whole one is a number at all."""
    return isinstance(value, float) and math.isfinite(value)


def _no_number(value: Scalar) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _check_presence(presence: Presence) -> None:
    for value in (presence.boot, presence.epoch, presence.software, presence.config):
        if value and not _PLAIN.fullmatch(value):
            raise BadMessage("the presence holds characters that no id has")
    if any(stream not in topics.STREAMS for stream in presence.heads):
        raise BadMessage("heads names a stream that IM-1 does not know")
    if any(epoch.startswith(OFFICE_EPOCH) for epoch in (presence.epoch, *presence.closed, *presence.totals)):
        raise BadMessage("the presence claims an epoch of the office's own")
    for epoch, last in presence.closed.items():
        if not _PLAIN.fullmatch(epoch) or any(stream not in topics.STREAMS for stream in last):
            raise BadMessage("closed names an epoch or a stream that cannot be")
    if any(seq > 2**53 for last in (presence.heads, *presence.closed.values()) for seq in last.values()):
        raise BadMessage("a head is beyond what a seq can be")
    for epoch, counters in presence.totals.items():
        if not _PLAIN.fullmatch(epoch) or any(value > MOST_PEOPLE for value in counters.values()):
            raise BadMessage(f"totals claims more than {MOST_PEOPLE} or names an epoch that cannot be")
