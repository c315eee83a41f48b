# SPDX-License-Identifier: GPL-3.0-or-later
"""Both sides and the papers agree: types of facts, JSON Schemas, topics and the AsyncAPI document."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.events import EventType, Stream
from edge.domain.visit import Language, Role
from tests.support.facts import fault, gap, headcount, loaded, metric, parts, session
from wire import topics
from wire.events import BODIES, REACHED_ROLES, Headcount, KioskSession
from wire.schema_files import FOLDER, schemas, write

# A busy computer is slow, not wrong.
patient = settings(deadline=None)


def test_the_lab_and_the_wire_know_the_same_types_of_facts() -> None:
    assert {kind.value for kind in EventType} == set(BODIES)
    assert tuple(stream.value for stream in Stream) == topics.STREAMS


def test_the_lab_and_the_wire_know_the_same_roles_and_languages() -> None:
    def allowed(model: type, key: str) -> set[str]:
        return set(model.model_json_schema()["properties"][key]["enum"])  # type: ignore[attr-defined]

    assert allowed(Headcount, "role") == {role.value for role in Role}
    assert allowed(KioskSession, "language") == {language.value for language in Language}
    assert set(REACHED_ROLES) < allowed(Headcount, "role")


def test_the_schema_files_are_current() -> None:
    on_disk = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert on_disk == schemas(), "run python -m wire.schema_files"


def test_writing_the_schema_files_changes_what_differs_only(tmp_path: Path) -> None:
    assert write(tmp_path) == sorted(schemas())
    (tmp_path / "old.type.json").write_text("{}")
    (tmp_path / "visit.closed.json").write_text("{}")
    assert write(tmp_path) == ["old.type.json", "visit.closed.json"]
    assert write(tmp_path) == []
    done = subprocess.run([sys.executable, "-m", "wire.schema_files"], capture_output=True, text=True, check=True)
    assert done.stdout == ""


@pytest.mark.parametrize(
    "event",
    [
        *(session(1), headcount(25), headcount(-1, reason="left"), metric(1), fault("x")),
        *(gap(12.5, 3), gap(None), parts(1, 12), parts(40, 52, after_gap=True), loaded(), loaded(reason="cut off")),
    ],
)
def test_typical_facts_fit_their_schema_and_model(event: object) -> None:
    kind, body = event.type.value, dict(event.body)  # type: ignore[attr-defined]
    schema = json.loads((FOLDER / f"{kind}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(body, schema)
    BODIES[kind].model_validate(body)


def test_no_schema_has_room_for_a_name_of_a_person() -> None:
    fields = {key for body in BODIES.values() for key in body.model_fields}
    assert fields.isdisjoint({"name", "first_name", "last_name", "text", "email", "phone", "age", "birth"})


labs = st.from_regex(topics.LAB_ID, fullmatch=True)
words = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1)


@patient
@given(labs, st.sampled_from(topics.STREAMS), words)
def test_topics_come_apart_as_they_were_put_together(lab: str, stream: str, machine: str) -> None:
    assert topics.parse(topics.up(lab, stream)) == topics.Topic(lab, "up", stream)
    assert topics.parse(topics.ack(lab, stream)) == topics.Topic(lab, "ack", stream)
    assert topics.parse(topics.live(lab, machine)) == topics.Topic(lab, "live", machine)
    assert topics.parse(topics.presence(lab)) == topics.Topic(lab, "presence", "")


@patient
@given(st.text())
def test_any_other_text_is_no_topic(text: str) -> None:
    assert topics.parse(text) is None
    assert topics.parse(f"im/v1/{text}") is None or text.split("/")[1] in ("up", "ack", "live", "cmd", "presence")


@pytest.mark.parametrize(
    "topic",
    [
        "im/v1/Lab/presence",
        "im/v1/-a/presence",
        f"im/v1/{'a' * 33}/presence",
        "im/v1/a/up/other",
        "im/v1/a/live/",
        "im/v2/a/presence",
        "im/v1/a/up/visits/x",
        "im/v1/a\n/presence",
    ],
)
def test_what_looks_like_a_topic_and_is_none(topic: str) -> None:
    assert topics.parse(topic) is None
