# SPDX-License-Identifier: GPL-3.0-or-later
"""Every sentence about a piece that is not what was approved has words on the console, and they are the right ones."""

from __future__ import annotations

import re

import pytest

from edge.domain.library import LeftOut
from tests.unit.test_web_codes import BARE, LANGUAGES, calls, sentence, table, words

SAID = {
    "library.folder": "The library /srv/content cannot be read: No such file or directory.",
    "library.link": "The folder cannot be read: it is a link to another place.",
    "library.unreadable": "The folder cannot be read: Permission denied.",
    "library.many": "The folder holds 40 files, more than the 32 of a piece.",
    "library.name": "No file of a piece has the name '.hidden'.",
    "library.unsigned": "The office has not signed it: there is no piece.sig.",
    "library.untrusted": "It is signed with the key 0a1b2c.., which is none of the office's.",
    "library.forged": "The signature in piece.sig does not hold.",
    "library.newer": "The office has approved another version since the service started.",
    "library.changed": "program.nc was changed after the piece was approved.",
    "library.added": "thumbs.db was added after the piece was approved.",
    "library.missing": "preview.svg is missing.",
    "library.plain": "program.nc is no plain file.",
    "library.large": "program.nc is over 2 MB.",
    "library.file": "program.nc cannot be read: Input/output error.",
    "library.other": "piece.sig is that of the piece gear.",
    "library.malformed": "piece.sig is not JSON.",
}

AT_THE_OFFICE = {"The name of the folder is no id: a-z, 0-9 and single dashes."}
"""Said to whoever signs, never by a van."""


def pattern(form: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w*\})", form)
    return re.compile("".join(".+" if part.startswith("{") else re.escape(part) for part in parts), re.DOTALL)


def sources() -> set[str]:
    """Return what the sources say is wrong with a piece, as sentences with empty places."""
    found = {
        sentence(call.args[position])
        for file, name, position in (("../wire/library.py", "BadPiece", 1), ("store/library.py", "LeftOut", 3))
        for called, call in calls(file)
        if called == name
    }
    return {LeftOut("", "", "{}", BARE.sub("{}", text)).sentence for text in found if text}


@pytest.mark.parametrize("key", SAID)
def test_a_sentence_is_known_by_its_own_form(key: str) -> None:
    tables = (("opcua-sentences.ts", "SAID_OPCUA"), ("sentences.ts", "SAID"), ("library-sentences.ts", "SAID_LIBRARY"))
    forms = [(form, keys) for file, name in tables for form, keys in table(file, name).items()]
    first = next(keys for form, keys in forms if pattern(form).fullmatch(SAID[key]))
    assert first == [key]
    assert all(key in words(language) for language in LANGUAGES)


def test_the_service_says_nothing_else_and_no_form_is_left_over() -> None:
    said = sources() - AT_THE_OFFICE
    assert "{} was changed after the piece was approved." in said
    assert {text for text in said if not any(pattern(text).fullmatch(example) for example in SAID.values())} == set()
    assert {keys[0] for keys in table("library-sentences.ts", "SAID_LIBRARY").values()} == set(SAID)
