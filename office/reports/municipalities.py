# SPDX-License-Identifier: GPL-3.0-or-later
"""The municipalities of Lithuania with a tile each, and which of them a name means that somebody typed.

An operator writes "Kretingos r.", "Kretinga", "kretingos rajonas" or "Kretingos rajono savivaldybė" and means one. Six
places name a city and the district around it: their nominative ("Kaunas") means the city, the word for a district means
the district, and the bare genitive ("Kauno") could be either and is taken for neither.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

FILE = Path(__file__).resolve().parent.parent / "data" / "municipalities.toml"

Kind = Literal["city", "district", ""]

SHORTEST_MISSPELT = 6
"""Letters of a name in which one wrong letter is forgiven: shorter names are too alike."""

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("m", "miestas", "miesto", "mieste"), "city"),
    **dict.fromkeys(("r", "raj", "rajonas", "rajono", "rajone"), "district"),
}
_IDLE = {"sav", "savivaldybe", "savivaldybes", "savivaldybeje"}


@dataclass(frozen=True, slots=True)
class Municipality:
    """A municipality: the state's code, its name, the place it is named after, and its tile from the north-west."""

    code: str
    name: str
    place: str
    column: int
    row: int

    @property
    def kind(self) -> Kind:
        """Return whether it is a city, a district, or neither by name."""
        return _words(self.name)[1]

    @property
    def stem(self) -> str:
        """Return the genitive of the place as it stands in the name, folded."""
        return _words(self.name)[0]


class Municipalities:
    """All municipalities, found by name."""

    def __init__(self, rows: Sequence[Municipality]) -> None:
        self.all = tuple(rows)
        self.by_code = {row.code: row for row in self.all}
        self._stems: dict[str, list[Municipality]] = defaultdict(list)
        self._places: dict[str, list[Municipality]] = defaultdict(list)
        for row in self.all:
            self._stems[row.stem].append(row)
            self._places[_words(row.place)[0]].append(row)

    def find(self, name: str) -> Municipality | None:
        """Return the municipality that `name` means, None where it means none or could mean two."""
        stem, kind = _words(name)
        if not stem:
            return None
        spelled = self._spelled(stem)
        if spelled is None:
            return None
        found = self._places.get(spelled) or self._stems.get(spelled, [])
        if len(found) == 1:
            return found[0]
        wanted: Kind = kind or ("city" if spelled in self._places else "")
        return next((row for row in found if row.kind == wanted), None)

    def _spelled(self, stem: str) -> str | None:
        """Return `stem` as it is spelled in a name, where no more than one letter of a long one is wrong."""
        if stem in self._places or stem in self._stems:
            return stem
        if len(stem) < SHORTEST_MISSPELT:
            return None
        near = [known for known in {*self._places, *self._stems} if _one_apart(stem, known)]
        return near[0] if len(near) == 1 else None


@cache
def municipalities() -> Municipalities:
    """Return the municipalities of the file that comes with the program."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["municipality"]
    return Municipalities([Municipality(**row) for row in rows])


def _words(name: str) -> tuple[str, Kind]:
    """Return the folded place in `name` and what kind of municipality the other words say it is."""
    plain = "".join(mark for mark in unicodedata.normalize("NFD", name.lower()) if not unicodedata.combining(mark))
    kind: Kind = ""
    stem = []
    for word in re.findall(r"[a-z]+", plain):
        if word in _KINDS:
            kind = _KINDS[word]
        elif word not in _IDLE:
            stem.append(word)
    return " ".join(stem), kind


def _one_apart(one: str, other: str) -> bool:
    """Return whether one letter is wrong, missing or too many, or two neighbours are in each other's place."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[at:], other[at:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
