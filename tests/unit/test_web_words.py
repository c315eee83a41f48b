# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the pages are complete: no key missing, none unused, the plural forms that each grammar needs."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WORDS = ROOT / "content" / "i18n"
PAGES = {"kiosk": ("lt", "en", "lv", "et", "de"), "console": ("lt", "en"), "office": ("lt", "en")}
# Unicode CLDR, cardinal plural rules, for whole numbers.
PLURALS = {
    "lt": {"one", "few", "other"},
    "en": {"one", "other"},
    "lv": {"zero", "one", "other"},
    "et": {"one", "other"},
    "de": {"one", "other"},
}
SHOWN = [(page, language) for page, languages in PAGES.items() for language in languages]


def words(page: str, language: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WORDS / page / f"{language}.json").read_text(encoding="utf-8"))
    return loaded


def sentences(entry: str | dict[str, str]) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry.values())


def places(entry: str | dict[str, str]) -> set[str]:
    return {name for sentence in sentences(entry) for name in re.findall(r"\{(\w+)\}", sentence)}


def sources(page: str) -> str:
    rooms = [ROOT / "web" / page, ROOT / "web" / "shared"]
    files = sorted(file for room in rooms for kind in ("*.svelte", "*.ts") for file in room.rglob(kind))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize(("page", "language"), SHOWN)
def test_every_key_is_there(page: str, language: str) -> None:
    first, other = set(words(page, "lt")), set(words(page, language))
    assert {"missing": first - other, "not in lt": other - first} == {"missing": set(), "not in lt": set()}


@pytest.mark.parametrize(("page", "language"), SHOWN)
def test_no_key_is_written_twice(page: str, language: str) -> None:
    keys: list[str] = []
    text = (WORDS / page / f"{language}.json").read_text(encoding="utf-8")
    json.loads(text, object_pairs_hook=lambda pairs: keys.extend(key for key, _ in pairs if "." in key))
    assert [key for key, count in Counter(keys).items() if count > 1] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_key_is_used(page: str) -> None:
    text = sources(page)
    assert [key for key in words(page, "lt") if f'"{key}"' not in text and f"'{key}'" not in text] == []


@pytest.mark.parametrize(("page", "language"), SHOWN)
def test_plural_forms_and_places(page: str, language: str) -> None:
    first = words(page, "lt")
    for key, entry in words(page, language).items():
        assert isinstance(entry, dict) == isinstance(first[key], dict), key
        assert places(entry) == places(first[key]), key
        if isinstance(entry, dict):
            assert set(entry) == PLURALS[language], key


@pytest.mark.parametrize(("page", "language"), SHOWN)
def test_sentences_are_written(page: str, language: str) -> None:
    for key, entry in words(page, language).items():
        for sentence in sentences(entry):
            assert sentence == sentence.strip() != "", key
            assert "  " not in sentence, key


@pytest.mark.parametrize(("page", "language"), SHOWN)
def test_nothing_is_claimed_that_software_cannot_know(page: str, language: str) -> None:
    banned = r"emergency stop|\bPL\b|\bSIL\b|spindle stopped|guard locked|\bis safe\b|avarin\w* stabdym"
    for key, entry in words(page, language).items():
        for sentence in sentences(entry):
            assert not re.search(banned, sentence, re.IGNORECASE), key
