# SPDX-License-Identifier: GPL-3.0-or-later
"""A4 paper in the office's typeface: headings, sentences, tables, tiles and bars. Lengths are in millimetres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout, TableCellFillMode, TextEmphasis, VAlign
from fpdf.fonts import TTFFont

from office.reports.sections import Table, Voice

Colour = tuple[int, int, int]
INK: Colour = (20, 32, 43)
QUIET: Colour = (74, 90, 105)
RULE: Colour = (198, 207, 216)
ACCENT: Colour = (75, 69, 229)
SOFT: Colour = (231, 230, 251)
GROUND: Colour = (236, 232, 223)

MARGIN = 18.0
WIDTH = 210.0 - 2 * MARGIN
TILE = 13.2
LINE = 1.38
"""Height of a line in sizes of its letters."""
POINT = 25.4 / 72


class Paper(FPDF):
    """Pages with a foot that names the report, its digest and the page."""

    def __init__(self, voice: Voice, fonts: Mapping[int, Path], foot: str, made: datetime) -> None:
        super().__init__(format="A4")
        self.voice = voice
        self._foot = foot
        for style, weight in (("", 400), ("B", 700)):
            self.add_font("text", style, fonts[weight])
        self._letters = self._known_letters()
        self.set_margin(MARGIN)
        self.c_margin = 0.0
        self.set_auto_page_break(auto=True, margin=MARGIN + 6)
        self.set_creation_date(made)
        self.set_lang(voice.language)
        self.set_draw_color(*RULE)
        self.set_line_width(0.2)

    def footer(self) -> None:
        """Write the foot of a page."""
        self.set_y(-MARGIN + 2)
        self.pen(7.5, colour=QUIET)
        self.cell(WIDTH * 0.8, 4, self.plain(self._foot))
        page = self.voice.text("page", n=self.page_no(), all="{nb}")
        self.cell(WIDTH * 0.2, 4, page, align="R")

    def pen(self, size: float, *, bold: bool = False, colour: Colour = INK) -> None:
        """Write on in letters of `size` points."""
        self.set_font("text", "B" if bold else "", size)
        self.set_text_color(*colour)

    def plain(self, text: str) -> str:
        """Return `text` with a question mark for every character that the typeface has not."""
        return "".join(mark if ord(mark) in self._letters else "?" for mark in " ".join(text.split(" ")))

    def lines(
        self, text: str, size: float = 9.5, *, bold: bool = False, colour: Colour = INK, after: float = 1.5
    ) -> None:
        """Write `text` over the whole width, on as many lines as it takes."""
        self.pen(size, bold=bold, colour=colour)
        self.multi_cell(WIDTH, size * POINT * LINE, self.plain(text), align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(after)

    def heading(self, text: str, *, room: float = 40.0) -> None:
        """Begin a section, on a new page where less than `room` is left."""
        if self.get_y() + room > self.h - self.b_margin:
            self.add_page()
        elif self.get_y() > MARGIN + 1:
            self.ln(6)
        self.start_section(self.plain(text))
        self.lines(text, 16, bold=True, after=1)

    def table_of(self, table: Table) -> None:
        """Write a table; one without rows is said to have none."""
        if table.title:
            if self.get_y() + 24 > self.h - self.b_margin:
                self.add_page()
            self.ln(2.5)
            self.lines(table.title, 10.5, bold=True, after=0.5)
        if not table.rows:
            self.lines(self.voice.text("none"), colour=QUIET)
            return
        size = 8.5 if len(table.header) < 8 else 7.2
        self.pen(size)
        self.set_fill_color(255, 255, 255)
        numbers = [_numbers([row[column] for row in table.rows]) for column in range(len(table.header))]
        with self.table(
            col_widths=table.widths,
            width=WIDTH,
            text_align=["RIGHT" if number else "LEFT" for number in numbers],
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            headings_style=FontFace(emphasis=TextEmphasis.B, size_pt=size - 1, color=INK, fill_color=SOFT),
            cell_fill_mode=TableCellFillMode.NONE,
            line_height=size * POINT * LINE,
            padding=(0.9, 1.6, 0.9, 1.6),
            v_align=VAlign.T,
        ) as drawn:
            drawn.row([self.plain(name) for name in table.header])
            for values in table.rows:
                drawn.row([self.plain(self._said(value)) for value in values])
        self.ln(2)

    def _said(self, value: str | float | None) -> str:
        if isinstance(value, str):
            return value
        return self.voice.number(value, 2 if isinstance(value, float) else 0)

    def bar(self, share: float, height: float = 4.0) -> None:
        """Draw how much of the whole width is reached."""
        top = self.get_y()
        self.set_fill_color(*GROUND)
        self.rect(MARGIN, top, WIDTH, height, style="F", round_corners=True, corner_radius=height / 2)
        if share > 0:
            self.set_fill_color(*ACCENT)
            width = max(height, WIDTH * min(share, 1.0))
            self.rect(MARGIN, top, width, height, style="F", round_corners=True, corner_radius=height / 2)
        self.set_y(top + height + 2)

    def tile(self, x: float, y: float, name: str, people: int, most: int) -> None:
        """Draw a municipality: the fuller, the more of its people were reached."""
        share = (people / most) ** 0.5 if most else 0.0
        fill: Colour = GROUND if not people else _between(SOFT, ACCENT, share)
        ink: Colour = (255, 255, 255) if people and share > 0.45 else INK if people else QUIET
        self.set_fill_color(*fill)
        self.rect(x, y, TILE - 0.8, TILE - 0.8, style="F", round_corners=True, corner_radius=1.4)
        self.pen(5.6, colour=ink)
        self.set_xy(x, y + 1.3)
        self.cell(TILE - 0.8, 2.6, self.plain(name), align="C")
        if people:
            self.pen(7.5, bold=True, colour=ink)
            self.set_xy(x, y + 5)
            self.cell(TILE - 0.8, 4, self.voice.number(people), align="C")

    def _known_letters(self) -> set[int]:
        fonts = [font for font in self.fonts.values() if isinstance(font, TTFFont)]
        return {10, *(letter for font in fonts for letter in font.cmap)}


def _numbers(values: Sequence[object]) -> bool:
    """Return whether a column holds numbers, and perhaps blanks."""
    return all(value is None or not isinstance(value, str) for value in values)


def _between(low: Colour, high: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return (red, green, blue)
