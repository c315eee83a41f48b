# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence report as a workbook: a sheet for each section, every text written as a text and never as a formula."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from office.reports.evidence import Evidence
from office.reports.sections import Section, Table, sections
from office.reports.words import Language

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

MOST_TEXT = 32_000
"""Characters of a cell: the format allows 32,767."""
INK, RULE, SOFT = "#14202b", "#c6cfd8", "#e7e6fb"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class _Book:
    """A workbook that is being written, and its formats."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self.title = book.add_format({"bold": True, "font_size": 16, "font_color": INK})
        self.heading = book.add_format({"bold": True, "font_size": 12, "font_color": INK})
        self.header = book.add_format({"bold": True, "bg_color": SOFT, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.text = book.add_format({"text_wrap": True, "valign": "top", "bottom": 4, "bottom_color": RULE})
        self.whole = book.add_format({"num_format": "#,##0", "valign": "top", "bottom": 4, "bottom_color": RULE})
        self.real = book.add_format({"num_format": "#,##0.00", "valign": "top", "bottom": 4, "bottom_color": RULE})

    def add(self, section: Section) -> None:
        """Write a section on a sheet of its own."""
        # The format forbids these in the name of a sheet, and more than 31 characters.
        sheet = self._book.add_worksheet(re.sub(r"[\[\]:*?/\\]", " ", section.title)[:31])
        sheet.hide_gridlines(2)
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.write_string(0, 0, section.title, self.title)
        row = 2
        for sentence in section.sentences:
            sheet.write_string(row, 0, sentence)
            row += 1
        for heading, sentence in section.paragraphs:
            sheet.write_string(row, 0, heading, self.heading)
            sheet.write_string(row, 1, sentence, self.text)
            row += 1
        if section.paragraphs:
            sheet.set_column(0, 0, 24)
            sheet.set_column(1, 1, 110)
        if section.tables:
            self._widen(sheet, section)
        for table in section.tables:
            row = self._table(sheet, row + 1, table)

    def _widen(self, sheet: Worksheet, section: Section) -> None:
        for column in range(max(len(table.widths) for table in section.tables)):
            widths = [table.widths[column] for table in section.tables if column < len(table.widths)]
            sheet.set_column(column, column, min(70, 1.2 * max(widths)))

    def _table(self, sheet: Worksheet, row: int, table: Table) -> int:
        if table.title:
            sheet.write_string(row, 0, table.title, self.heading)
            row += 1
        for column, name in enumerate(table.header):
            sheet.write_string(row, column, name, self.header)
        for values in table.rows:
            row += 1
            for column, value in enumerate(values):
                self._cell(sheet, row, column, value)
        return row + 1

    def _cell(self, sheet: Worksheet, row: int, column: int, value: str | float | None) -> None:
        form: Format
        if value is None:
            sheet.write_blank(row, column, None, self.text)
        elif isinstance(value, str):
            # write_string, never write: that one would make a formula of =1+1 and a link of http://.
            sheet.write_string(row, column, _CONTROL.sub(" ", value)[:MOST_TEXT], self.text)
        else:
            form = self.real if isinstance(value, float) else self.whole
            sheet.write_number(row, column, value, form)


def workbook(evidence: Evidence, language: Language) -> bytes:
    """Return the report as the bytes of an XLSX file."""
    # Loaded here: an office that makes no workbook shall not carry the library.
    from xlsxwriter.workbook import Workbook

    target = io.BytesIO()
    book = Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    parts = sections(evidence, language)
    book.set_properties({"title": parts[0].title, "created": evidence.made.replace(tzinfo=None)})
    writer = _Book(book)
    for section in parts:
        writer.add(section)
    book.close()
    return target.getvalue()
