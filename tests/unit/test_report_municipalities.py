# SPDX-License-Identifier: GPL-3.0-or-later
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from office.reports.municipalities import SHORTEST_MISSPELT, _one_apart, municipalities

ALL = municipalities()


def test_there_are_sixty_with_a_code_and_a_tile_each():
    assert len(ALL.all) == len(ALL.by_code) == len({(item.column, item.row) for item in ALL.all}) == 60
    assert sum(item.kind == "city" for item in ALL.all) == 7
    assert {item.kind for item in ALL.all} == {"city", "district", ""}


def test_the_tiles_lie_together():
    """Every tile touches another: the country is in one piece."""
    tiles = {(item.column, item.row) for item in ALL.all}
    seen, edge = set(), [next(iter(tiles))]
    while edge:
        column, row = edge.pop()
        if (column, row) in tiles - seen:
            seen.add((column, row))
            edge += [(column + 1, row), (column - 1, row), (column, row + 1), (column, row - 1)]
    assert seen == tiles


@pytest.mark.parametrize("item", ALL.all, ids=lambda item: item.code)
def test_each_is_found_by_what_people_write(item):
    district = item.kind == "district"
    for name in (
        item.name,
        item.name.upper(),
        item.name.replace(" sav.", ""),
        item.name.replace("r. sav.", "rajonas").replace("m. sav.", "miestas"),
        item.name.replace("r. sav.", "rajono savivaldybė").replace("m. sav.", "miesto savivaldybė"),
        item.name.replace("r.", "raj."),
        f"  {item.name.replace(' ', '   ')} ",
    ):
        assert ALL.find(name) is item, name
    if not district or sum(other.place == item.place for other in ALL.all) == 1:
        assert ALL.find(item.place) is item


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Vilnius", "13"),
        ("vilnius", "13"),
        ("Vilniaus rajonas", "41"),
        ("Kauno raj. sav.", "52"),
        ("Kretinga", "56"),
        ("kretingos r", "56"),
        ("Kretingos m.", "56"),
        ("Siauliu m. sav", "29"),
        ("Šiauliai", "29"),
        ("Marijampolės r.", "18"),
        ("Kazlu Ruda", "58"),
        ("Kretignos r.", "56"),
        ("Anyksčių rajonas", "34"),
        ("Druskininkaii", "15"),
        ("Vilniaus", None),
        ("Kauno", None),
        ("Liepāja", None),
        ("Ryga", None),
        ("Traku", "79"),
        ("Trauk", None),
        ("", None),
        ("r. sav.", None),
        ("Москва", None),
    ],
)
def test_which_one_is_meant(name, code):
    found = ALL.find(name)
    assert (found.code if found is not None else None) == code


def test_no_two_names_are_one_letter_apart():
    """So that a wrong letter never makes one municipality of another."""
    spellings = {spelling: found[0].place for known in (ALL._stems, ALL._places) for spelling, found in known.items()}
    for one, other in combinations(spellings, 2):
        if len(one) >= SHORTEST_MISSPELT and spellings[one] != spellings[other]:
            assert not _one_apart(one, other), (one, other)


@given(st.text(max_size=30))
def test_any_text_is_answered(name):
    found = ALL.find(name)
    assert found is None or found in ALL.all
