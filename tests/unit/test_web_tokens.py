# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of web/shared/tokens.css keep their contrast in every theme (WCAG 2.2, 1.4.3, 1.4.11)."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

TOKENS = (Path(__file__).parents[2] / "web" / "shared" / "tokens.css").read_text(encoding="utf-8")
SIGNALS = ("red", "amber", "green", "blue", "grey")
GROUNDS = ("ground", "surface", "sunken")
PICTURE = (
    ("plate-grid", "plate"),
    ("plate-ahead", "stock"),
    ("plate-path", "wood-cut"),
    ("stock", "plate"),
    ("stock-side", "plate"),
    ("stock-cut", "stock"),
    ("wood-cut", "wood"),
)
"""What must be told apart in the picture of a program: a line, and what it lies on."""
TEXT = 4.5
CONTROL = 3.0


def blocks() -> list[tuple[set[str], dict[str, str]]]:
    """Return each rule's selectors and its colours, outside of media queries, in the order of the file."""
    text = re.sub(r"/\*.*?\*/", "", TOKENS, flags=re.S)
    found: list[tuple[set[str], dict[str, str]]] = []
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text):
        colours = dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6});", body))
        if colours:
            found.append(({part.strip() for part in selectors.split(",")}, colours))
    return found


def theme(name: str, *, high: bool) -> dict[str, str]:
    """Return the colours that are in force, later rules over earlier ones (the file keeps them in rising weight)."""
    selectors = {":root", f':root[data-theme="{name}"]'}
    if high:
        selectors |= {':root[data-contrast="high"]', f':root[data-theme="{name}"][data-contrast="high"]'}
    colours: dict[str, str] = {}
    for weight in (1, 2, 3):
        for names, values in blocks():
            matching = names & selectors
            if matching and max(1 + part.count("[") for part in matching) == weight:
                colours |= values
    return colours


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def pairs() -> list[tuple[str, str, float]]:
    """Return (colour, what it lies on, least ratio) for every pair that the pages use."""
    text = [(ink, ground, TEXT) for ink, ground in itertools.product(("ink", "ink-2", "accent", *SIGNALS), GROUNDS)]
    edges = [(edge, ground, CONTROL) for edge, ground in itertools.product(("edge", "focus"), GROUNDS)]
    tinted = [(name, f"{name}-soft", TEXT) for name in ("accent", *SIGNALS)]
    ink_on_tint = [("ink", f"{name}-soft", TEXT) for name in ("accent", *SIGNALS)]
    filled = [(f"{name}-on", name, TEXT) for name in ("accent", *SIGNALS)]
    plate = [
        ("plate-ink", "plate", TEXT),
        ("plate-ink-2", "plate", TEXT),
        ("plate-ink-2", "plate-2", TEXT),
        ("plate-plan", "plate", CONTROL),
        ("plate-cut", "plate", TEXT),
        ("plate-tool", "plate", TEXT),
    ]
    path = [("plate-ahead", face, CONTROL) for face in ("stock", "stock-cut", "wood", "wood-cut")]
    path += [("plate-path", face, CONTROL) for face in ("stock-cut", "wood", "wood-cut")]
    material = [("stock", "plate", CONTROL), ("stock-cut", "stock", CONTROL), ("wood", "plate", CONTROL)]
    return path + material + text + edges + tinted + ink_on_tint + filled + plate


@pytest.mark.parametrize("high", [False, True], ids=["normal", "high-contrast"])
@pytest.mark.parametrize("name", ["light", "dark"])
def test_contrast(name: str, high: bool) -> None:
    colours = theme(name, high=high)
    weak = {
        f"{one} on {other}": round(contrast(colours[one], colours[other]), 2)
        for one, other, least in pairs()
        if contrast(colours[one], colours[other]) < least
    }
    assert weak == {}


def test_high_contrast_is_higher() -> None:
    for name in ("light", "dark"):
        usual, high = theme(name, high=False), theme(name, high=True)
        for ink in ("ink-2", "edge", *SIGNALS):
            assert contrast(high[ink], high["ground"]) > contrast(usual[ink], usual["ground"]), (name, ink)
        for one, other in PICTURE:
            assert contrast(high[one], high[other]) > contrast(usual[one], usual[other]), (name, one, other)


def test_dark_theme_names_every_colour() -> None:
    light, dark = (next(c for names, c in blocks() if f':root[data-theme="{n}"]' in names) for n in ("light", "dark"))
    assert set(light) == set(dark)
