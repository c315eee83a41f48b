# SPDX-License-Identifier: GPL-3.0-or-later
"""The specification of IM-1 is current, complete, and true of what is really sent."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import zstandard

from edge.domain.events import EventType
from edge.domain.machine import MachineState
from wire import topics
from wire.asyncapi import LIVE, STREAM_OF, document
from wire.asyncapi_files import PAGE, ROOT, YAML, page_text, write, yaml_lines, yaml_text
from wire.batch import Ack, Batch, Presence, WireEvent
from wire.codec import batch_json, encode_ack, encode_presence
from wire.events import BODIES

FROZEN = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "data/im1_v1.0/messages.jsonl").read_text().splitlines()
]
MESSAGE_OF = {"up": "batch", "ack": "acknowledgement", "presence": "presence", "live": "machineState"}


def check(message: str, payload: object) -> None:
    """Raise ValidationError where `payload` is not what the document says of `message`."""
    jsonschema.validate(payload, document()["components"]["messages"][message]["payload"])


def test_both_files_are_current() -> None:
    assert (ROOT / YAML).read_text(encoding="utf-8") == yaml_text(), "run python -m wire.asyncapi_files"
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page_text(), "run python -m wire.asyncapi_files"


def test_writing_changes_what_differs_only(tmp_path: Path) -> None:
    assert write(tmp_path) == [str(YAML), str(PAGE)]
    (tmp_path / PAGE).write_text("edited by hand")
    assert write(tmp_path) == [str(PAGE)]
    assert write(tmp_path) == []
    done = subprocess.run([sys.executable, "-m", "wire.asyncapi_files"], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_the_topics_are_those_of_the_code() -> None:
    addresses = {name: channel["address"] for name, channel in document()["channels"].items()}
    assert addresses == {
        "batches": topics.up("{lab}", "{stream}"),
        "acknowledgements": topics.ack("{lab}", "{stream}"),
        "presence": topics.presence("{lab}"),
        "live": topics.live("{lab}", "{machine}"),
    }


def test_every_type_of_facts_is_on_the_stream_that_the_lab_puts_it_on() -> None:
    assert {kind: stream for stream, kinds in STREAM_OF.items() for kind in kinds} == {
        kind.value: kind.stream.value for kind in EventType
    }
    assert set(document()["components"]["schemas"]) == set(BODIES)
    for kind in BODIES:
        assert f"\n#### {kind}\n" in page_text()
        assert (ROOT / "wire" / document()["components"]["schemas"][kind]["$ref"]).is_file()


def test_the_live_state_has_the_fields_of_a_reading() -> None:
    assert set(LIVE) == {field.name for field in fields(MachineState)}


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_the_document_refers_to_what_it_defines() -> None:
    spec = document()
    found = {reference for reference in references(spec) if reference.startswith("#/")}
    assert len(found) > 10
    for reference in found:
        place: Any = spec
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_what_a_lab_and_an_office_of_version_one_say_is_as_documented() -> None:
    seen = set()
    for said in FROZEN:
        topic = topics.parse(said["topic"])
        assert topic is not None
        message, payload = MESSAGE_OF[topic.channel], base64.b64decode(said["payload"])
        check(message, json.loads(zstandard.decompress(payload) if message == "batch" else payload))
        if message == "batch":
            headers = document()["components"]["messages"]["batch"]["headers"]
            jsonschema.validate(dict(said["user"]), headers)
        seen.add(message)
    assert seen == set(MESSAGE_OF.values())


def test_what_a_lab_and_an_office_of_today_say_is_as_documented() -> None:
    word = Presence("lab-1", "online", "b", "e1", "0.2", "c", {"visits": 3}, install="card", ordinal=2, key="ab" * 32)
    check("presence", json.loads(encode_presence(word)))
    check("presence", json.loads(encode_presence(Presence("lab-1", "offline", epoch="e1"))))
    check("acknowledgement", json.loads(encode_ack(Ack("visits", "e1", 7, ((9, 12),), 5))))
    check("acknowledgement", json.loads(encode_ack(Ack("visits", "e1", 7, ((9, 12),), 5, ((1, 3),)))))
    event = WireEvent("visit.closed", {"visit": "v"}, 1, 1)
    check("batch", json.loads(batch_json(Batch("lab-1", "visits", "e1", "b", 1, b"h" * 32, (event, event)))))


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ("acknowledgement", {"v": 1, "epoch": "e", "w": -1, "missing": [], "time": 0}),
        ("acknowledgement", {"v": 1, "epoch": "e", "w": 1, "missing": [], "time": 0, "explained": [[0, 1]]}),
        ("acknowledgement", {"v": 1, "epoch": "e", "w": 1, "missing": [], "time": 0, "explained": [[1, 1]] * 101}),
        ("acknowledgement", {"v": 2, "epoch": "e", "w": 1, "missing": [], "time": 0}),
        ("presence", {"v": 1, "state": "asleep"}),
        ("presence", {"v": 1, "state": "online", "health": {str(n): n for n in range(51)}}),
        ("batch", {"v": 1}),
    ],
)
def test_what_is_not_im_1_is_not_as_documented(message: str, payload: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(message, payload)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": [True, None, "x"]}, "a: 1\nb: [true, null, x]"),
        ({"a": {"b": {}}, "c": []}, "a:\n  b: {}\nc: []"),
        ({"a": [{"b": 1}, {"c": 2}]}, "a:\n  -\n    b: 1\n  -\n    c: 2"),
        ({"no": "yes", "5": "1.0", "k": "a: b", "m": "#x"}, '"no": "yes"\n"5": "1.0"\nk: "a: b"\nm: "#x"'),
        ({"t": "one\n\n  two\n"}, "t: |\n  one\n\n    two"),
        ({"a": "-x", "b": "", "c": "ž"}, 'a: "-x"\nb: ""\nc: "ž"'),
        ("word", "word"),
    ],
)
def test_yaml_is_written_so_that_every_reader_reads_the_same(value: object, text: str) -> None:
    assert "\n".join(yaml_lines(value)) == text
