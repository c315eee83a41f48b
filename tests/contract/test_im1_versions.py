# SPDX-License-Identifier: GPL-3.0-or-later
"""An old lab with the new office, and a new lab with the old office, by what each really says and with its own code."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from office import intake
from office.facts import Item, Message, ReceivedBatch, ReceivedPresence, Standing
from office.ledger import Ledger
from office.ledger.reading import roles, totals
from wire import topics
from wire.asyncapi import STREAM_OF
from wire.batch import CONTENT_TYPE, Ack, Batch, Presence, Scalar, WireEvent
from wire.codec import decode_ack, encode_ack, encode_batch, encode_presence
from wire.events import BODIES
from wire.schema_files import schemas

FROZEN = Path(__file__).parent.parent / "data" / "im1_v1.0"
MESSAGES = [json.loads(line) for line in (FROZEN / "messages.jsonl").read_text().splitlines()]
FROZEN_SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted((FROZEN / "schema").glob("*.json"))}
RUNS = 2
"""Epochs of the old lab, each with the same facts."""


def payload(message: dict[str, Any]) -> bytes:
    return base64.b64decode(message["payload"])


def heard(channel: str) -> list[dict[str, Any]]:
    return [message for message in MESSAGES if (topic := topics.parse(message["topic"])) and topic.channel == channel]


def read(message: dict[str, Any]) -> Item:
    raw = payload(message)
    return intake.read(Message(message["topic"], raw, len(raw), 1))


def frozen_readings(messages: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Return what the code of version 1.0 makes of messages, in a process of its own."""
    lines = "".join(
        json.dumps({"topic": topic, "payload": base64.b64encode(raw).decode()}) + "\n" for topic, raw in messages
    )
    environment = {**os.environ, "PYTHONPATH": str(FROZEN / "code")}
    command = [sys.executable, str(FROZEN / "read.py")]
    done = subprocess.run(command, input=lines, env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_new_office_understands_everything_that_an_old_lab_says() -> None:
    batches = [item for item in map(read, heard("up")) if isinstance(item, ReceivedBatch)]
    assert len(batches) == len(heard("up")) > 0
    facts = [fact for batch in batches for fact in batch.facts]
    assert {fact.standing for fact in facts} == {Standing.UNDERSTOOD}
    assert {fact.type for fact in facts} == set(FROZEN_SCHEMAS)
    assert {batch.stream for batch in batches} == set(topics.STREAMS)
    # The hash is that which the old code gave: the chain goes on over a change of the office.
    old = frozen_readings([(message["topic"], payload(message)) for message in heard("up")])
    assert [batch.sha256.hex() for batch in batches] == [reading["sha256"] for reading in old]
    assert [message["content_type"] for message in heard("up")] == [CONTENT_TYPE] * len(batches)
    for message, batch in zip(heard("up"), batches, strict=True):
        user = dict(message["user"])
        assert (user["enc"], user["ep"], int(user["s0"])) == ("zstd", batch.epoch, batch.first)
        assert int(user["n"]) == len(batch.facts)


def test_the_new_office_understands_an_old_labs_presence() -> None:
    words = [item.presence for item in map(read, heard("presence")) if isinstance(item, ReceivedPresence)]
    assert [word.state for word in words] == ["online"] * (len(words) - 1) + ["offline"]
    for word in words[:-1]:
        assert (word.install, word.ordinal, word.key, word.health) == ("", 0, "", {})
        assert word.epoch in word.totals
        assert len(word.closed) == RUNS - 1


async def test_the_new_office_counts_what_an_old_lab_counted(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'office.sqlite3'}")
    try:
        items = [read(message) for message in MESSAGES if "/up/" in message["topic"] or "presence" in message["topic"]]
        done = await ledger.record(items)
        assert (done.rejected, done.duplicates) == (0, 0)
        again = await ledger.record(items)
        assert again.new == 0
        found = await ledger.read(totals)
        assert (found.reached, found.ledger) == (RUNS * 26, RUNS * 26)
        assert (await ledger.read(roles))["vet_trainer"] == RUNS
        heads = {(message["topic"].split("/")[-1], ack.epoch): ack.watermark for message, ack in old_acks()}
        acks = {(ack.stream, ack.epoch): ack.watermark for _, ack in again.acks}
        assert acks == heads
    finally:
        await ledger.close()


def old_acks() -> list[tuple[dict[str, Any], Ack]]:
    found = [(message, decode_ack(message["topic"].split("/")[-1], payload(message))) for message in heard("ack")]
    # The newest of each feed says most.
    return sorted(found, key=lambda pair: pair[1].watermark)


def test_the_new_lab_understands_the_old_office() -> None:
    acks = old_acks()
    assert len(acks) >= RUNS * len(topics.STREAMS)
    assert all(ack.watermark >= 1 and ack.office_ns > 0 for _, ack in acks)


NEW_BODIES: dict[str, dict[str, Scalar]] = {
    "visit.opened": {"school_type": "gymnasium"},
    "visit.headcount": {"entry": "e-1", "by": "office"},
    "lab.started": {"install": "card-1", "ordinal": 3, "previous": "e0", "boot": "b", "software": "0.2.0"},
    "clock.anchor": {
        "boot": "b",
        "source": "ntp",
        "at_boot_us": 5,
        "utc_us": 1_790_000_000_000_000,
        "uncertainty_us": 9,
    },
    "clock.quality": {"boot": "b", "quality": "synchronised", "stepped_us": -3_600_000_000},
    "stream.gap": {"stream": "metrics", "epoch": "e0", "first": 4, "last": 90, "reason": "rolled_up"},
    "survey.answered": {"card": "c1", "moment": "before", "band": "11_12", "language": "lt", "interest": 4},
    "machine.rollup": {
        "machine": "router",
        "period_s": 60,
        "began_boot_us": 5,
        "ended_boot_us": 60_000_005,
        "samples": 60,
        "active_s": 12.5,
    },
    "machine.gap": {"machine": "lathe", "reason": "the server fell silent", "seconds": 2.5, "parts": None},
    "parts.made": {"machine": "lathe", "count": 2, "total": 40},
    "program.loaded": {
        "machine": "lathe",
        "file": "SHAFT.MPF",
        "bytes": 10,
        "sha256": "0" * 64,
        "selected": True,
        "step": "LOADED",
    },
}
"""What came after 1.0: whole bodies of new types, and the new fields of old ones."""


def new_events() -> list[WireEvent]:
    """Return one fact of each type as a new lab writes it."""
    old = {
        fact.type: fact.body
        for item in map(read, heard("up"))
        if isinstance(item, ReceivedBatch)
        for fact in item.facts
    }
    bodies = {kind: {**old.get(kind, {}), **NEW_BODIES.get(kind, {})} for kind in BODIES}
    return [WireEvent(kind, body, 1, 2) for kind, body in bodies.items()]


def test_the_examples_of_a_new_lab_are_facts_of_today() -> None:
    for event in new_events():
        assert event.body, f"{event.type} came after 1.0: it needs an example here"
        (stream,) = (stream for stream, kinds in STREAM_OF.items() if event.type in kinds)
        assert intake.judge(stream, event.type, event.body) is Standing.UNDERSTOOD, event.type


def test_the_old_office_takes_everything_that_a_new_lab_says() -> None:
    events = new_events()
    batch = Batch("lab-1", "visits", "e1", "b", 1, None, tuple(events))
    raw, sha256 = encode_batch(batch)
    word = Presence(
        "lab-1",
        "online",
        "b",
        "e1",
        "0.2.0",
        "c0ffee",
        {"visits": 3},
        {"e0": {"visits": 9}},
        {"e1": {"people": 25, "corrected": 1, "sessions": 3}},
        4,
        "card-1",
        3,
        "ab" * 32,
        {"disk_free_mb": 900, "clock": "unset", "metrics_dropped": 0, "disk_state": None},
    )
    away = Presence("lab-1", "offline", epoch="e1")
    said = [
        (topics.up("lab-1", "visits"), raw),
        (topics.presence("lab-1"), encode_presence(word)),
        (topics.presence("lab-1"), encode_presence(away)),
        (topics.ack("lab-1", "visits"), encode_ack(Ack("visits", "e1", 7, ((9, 12),), 5, ((1, 3),)))),
    ]
    taken, online, offline, ack = frozen_readings(said)
    assert (taken["kind"], taken["sha256"]) == ("batch", sha256.hex())
    standings = {kind: standing for _, kind, standing, _ in taken["facts"]}
    assert {kind for kind, standing in standings.items() if standing == "understood"} == set(FROZEN_SCHEMAS)
    # Stored and not added up: an office that is brought up to date later reads them then.
    assert {kind for kind, standing in standings.items() if standing == "unknown"} == set(BODIES) - set(FROZEN_SCHEMAS)
    assert Counter(standings.values())["invalid"] == 0
    assert (online["state"], online["totals"]) == ("online", word.totals)
    assert offline["state"] == "offline"
    assert (ack["watermark"], ack["missing"]) == (7, [[9, 12]])


@pytest.mark.parametrize("kind", sorted(FROZEN_SCHEMAS))
def test_a_type_of_facts_changes_by_optional_fields_only(kind: str) -> None:
    old, new = FROZEN_SCHEMAS[kind], json.loads(schemas()[f"{kind}.json"])
    assert sorted(new.get("required", [])) == sorted(old.get("required", []))
    assert new["additionalProperties"] is True
    for name, schema in old["properties"].items():
        assert new["properties"].get(name) == schema, f"{kind}.{name} changed its meaning: that is a new type"


def test_the_frozen_code_is_the_one_that_reads() -> None:
    (reading,) = frozen_readings([(topics.up("lab-1", "visits"), b"no batch")])
    assert reading["kind"] == "rejected"
    environment = {**os.environ, "PYTHONPATH": str(FROZEN / "code")}
    command = [
        sys.executable,
        "-c",
        "import wire.batch, office.intake; print(wire.batch.__file__, office.intake.__file__)",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=FROZEN)
    assert all(Path(name).is_relative_to(FROZEN) for name in done.stdout.split())
