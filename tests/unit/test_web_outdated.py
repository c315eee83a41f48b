# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can have changed since a check has words on the console, and they are the right ones."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from edge.domain.block import Block
from edge.domain.machine import Motion, Position, Travel
from edge.domain.tool import Tool, ToolShape
from edge.safety.permissives import Refusal
from edge.services.checking import PERMISSIVE, Basis, Checked, Shown, outdated, unconfirmed
from tests.unit.test_web_codes import LANGUAGES, LIB, table, words
from tests.unit.test_web_library import pattern

TOOL = Tool(1, "Mill", ToolShape.FLAT, diameter=3.0, flute_length=12.0)
BEFORE = Basis(
    controller="Grbl 1.1h",
    travel=Travel(Position(-200, -200, -60), Position(0, 0, 0), 3000, 12000),
    motion=Motion(Position(3000, 3000, 1500), Position(200, 200, 200)),
    offset=Position(-150, -150, -40),
    tools=(TOOL,),
    block=None,
    banned=frozenset({"$"}),
    tool_change=False,
    settings=((20, "1"), (22, "1")),
)
NOW = Basis(
    controller="Grbl 1.1f",
    travel=Travel(Position(-201, -202, -63), Position(1, 2, 3), 2000, 10000, min_spindle=500),
    motion=Motion(
        Position(3001, 3002, 1503),
        Position(201, 202, 203),
        junction_deviation=0.02,
        arc_tolerance=0.003,
        stop_delay_s=0.5,
        steps_per_mm=Position(1, 2, 3),
        laser=True,
    ),
    offset=Position(-151, -152, -43),
    tools=(replace(TOOL, diameter=4.0), replace(TOOL, number=2)),
    block=Block.behind_zero((1, 2, 3)),
    banned=frozenset({"$", "M6"}),
    tool_change=True,
    settings=((20, "0"), (21, "1")),
)
BLANK = replace(BEFORE, travel=None, motion=None, offset=None, tools=None, settings=())


def said() -> set[str]:
    pairs = ((BEFORE, NOW), (NOW, BEFORE), (BEFORE, BLANK), (BLANK, BEFORE))
    found = [reason for before, now in pairs for reason in outdated(Checked("a", before), now, "b")]
    found += [*outdated(None, NOW), *Shown().differs("", Checked("a", NOW))]
    assert {reason.permissive for reason in found} == {PERMISSIVE}
    assert outdated(Checked("a", NOW), NOW, "a") == ()
    return {reason.why for reason in found}


def test_each_sentence_is_known_by_one_form_and_no_form_is_left_over() -> None:
    forms = {form: pattern(form) for form in table("check-sentences.ts", "SAID_CHECK")}
    used: set[str] = set()
    for text in said():
        fits = [form for form, known in forms.items() if known.fullmatch(text)]
        assert len(fits) == 1, (text, fits)
        used |= set(fits)
    assert used == set(forms)


def test_each_form_is_told_in_both_languages_with_its_own_numbers() -> None:
    for form, keys in table("check-sentences.ts", "SAID_CHECK").items():
        given = set(re.findall(r"\{(\w+)\}", form))
        for language in LANGUAGES:
            assert set(re.findall(r"\{(\w+)\}", words(language)[keys[0]])) <= given, (language, form)


@pytest.mark.parametrize("name", ["PERMISSIVE", "SOURCE"])
@pytest.mark.parametrize("reason", [*outdated(None, NOW), *unconfirmed(["The zero is another one."], ())])
def test_the_page_knows_the_permissive_and_its_source(name: str, reason: Refusal) -> None:
    key = reason.permissive if name == "PERMISSIVE" else reason.source
    rows = re.search(rf"export const {name} = \{{\n(.*?)\n\}} as const", (LIB / "keys.ts").read_text(), re.DOTALL)
    assert rows is not None
    assert f"  {key}:" in rows[1] or f"  {json.dumps(key)}:" in rows[1]
