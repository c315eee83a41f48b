# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence report on paper: the figure of the pledge first, then what it rests on, and how to check it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from office.reports.evidence import Evidence
from office.reports.fonts import whole
from office.reports.municipalities import municipalities
from office.reports.paper import ACCENT, MARGIN, QUIET, TILE, WIDTH, Paper
from office.reports.sections import Section, Voice, grouped, period, sections
from office.reports.words import Language


def paper(evidence: Evidence, language: Language) -> bytes:
    """Return the report as the bytes of a PDF file; raises FontsMissing."""
    voice = Voice(language)
    made = evidence.made.strftime("%Y-%m-%d %H:%M")
    digest = evidence.seal.digest.hex()
    foot = f"{voice.text('title')} · {made} UTC · {voice.text('digest')} {digest[:16]}…"
    with TemporaryDirectory(prefix="infomobil-fonts-") as folder:
        pages = Paper(voice, whole(Path(folder)), foot, evidence.made)
        pages.set_title(f"{voice.text('title')}, {voice.text('subtitle')}, {made} UTC")
        pages.add_page()
        _first(pages, evidence)
        for section in sections(evidence, language):
            _section(pages, evidence, section)
        return bytes(pages.output())


def _first(pages: Paper, evidence: Evidence) -> None:
    voice, people = pages.voice, next(item for item in evidence.indicators if item["counts"] == "reached")
    pages.lines(voice.text("subtitle"), 10, colour=QUIET, after=0)
    pages.lines(voice.text("title"), 26, bold=True, after=0)
    pages.lines(
        f"{period(evidence, voice)} · {voice.text('made', time=evidence.made.strftime('%Y-%m-%d %H:%M'))}",
        10,
        colour=QUIET,
        after=12,
    )
    pages.lines(voice.number(people["value"]), 76, bold=True, colour=ACCENT, after=0)
    pages.lines(voice.text("hero", target=voice.number(people["target"])), 16, after=3)
    pages.bar(people["value"] / people["target"])
    if people["not_yet_received"]:
        pages.lines(voice.text("hero_waiting", n=voice.number(people["not_yet_received"])), colour=QUIET, after=0)
    forecast = people["forecast"]
    if forecast is not None:
        pages.lines(voice.text("hero_forecast", **forecast), colour=QUIET, after=0)
        if forecast["by_due"] is not None:
            band = {name: voice.number(value) for name, value in forecast["by_due"].items()}
            pages.lines(voice.text("hero_by_due", due=people["due"], **band), colour=QUIET, after=0)
    pages.ln(4)
    for name, value in (
        (voice.text("digest"), grouped(evidence.seal.digest.hex())),
        (voice.text("audit_head"), grouped(evidence.audit_head.hex())),
    ):
        pages.lines(name, 8, bold=True, after=0)
        pages.lines(value, 8, colour=QUIET, after=1)


def _section(pages: Paper, evidence: Evidence, section: Section) -> None:
    # What an auditor types off shall stand on one page.
    pages.heading(section.title, room=110.0 if section.name == "check" else 40.0)
    for sentence in section.sentences:
        pages.lines(sentence, colour=QUIET)
    for heading, sentence in section.paragraphs:
        pages.lines(heading, 10.5, bold=True, after=0)
        pages.lines(sentence)
    for table in section.tables:
        if section.name == "breakdowns" and table is section.tables[0]:
            _map(pages, evidence)
        pages.table_of(table)


def _map(pages: Paper, evidence: Evidence) -> None:
    voice, known = pages.voice, municipalities().by_code
    tiled = [tile for tile in evidence.tiles if tile["code"] is not None]
    rows, columns = max(tile["row"] for tile in tiled) + 1, max(tile["column"] for tile in tiled) + 1
    if pages.get_y() + rows * TILE + 20 > pages.h - pages.b_margin:
        pages.add_page()
    pages.lines(voice.text("map"), 10.5, bold=True, after=1)
    left, top = MARGIN + (WIDTH - columns * TILE) / 2, pages.get_y()
    most = max(tile["people"] for tile in tiled)
    for tile in tiled:
        item = known[tile["code"]]
        name = f"{item.place} r." if item.kind == "district" and _twice(item.place) else item.place
        pages.tile(left + tile["column"] * TILE, top + tile["row"] * TILE, name, tile["people"], most)
    pages.set_y(top + rows * TILE + 1)
    others = [tile for tile in evidence.tiles if tile["code"] is None and tile["people"]]
    if others:
        names = ", ".join(tile["name"] for tile in others)
        people = voice.number(sum(tile["people"] for tile in others))
        pages.lines(voice.text("map_more", people=people, names=names), 8.5, colour=QUIET, after=0)
    pages.lines(voice.text("map_note"), 8.5, colour=QUIET)


def _twice(place: str) -> bool:
    return sum(item.place == place for item in municipalities().all) == 2
