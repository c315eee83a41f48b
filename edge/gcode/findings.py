# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about the motions of a program: one a line, or one for all that are alike; and where their words stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from edge.gcode.diagnostics import Diagnostic, Severity
from edge.gcode.model import Bools, Command, Ints, Program
from edge.gcode.words import WordError, clean, source_column, split_words, unify_line_ends

PLACE_UNKNOWN = frozenset({"G28", "G30", "G10", "G92.1", "G55", "G56", "G57", "G58", "G59"})
"""Words that use a place which is kept in the controller."""
AND = {"XY": "X and Y", "XZ": "X and Z", "YZ": "Y and Z", "XYZ": "X, Y and Z", "X": "X", "Y": "Y", "Z": "Z"}


def at_word(command: Command, severity: Severity, code: str, text: str, remedy: str, shown: str = "") -> Diagnostic:
    """Return the finding about one word; shown is the word as it stands there, by default its name."""
    return Diagnostic(severity, command.line, command.column, code, text, remedy, words=(shown or command.name,))


def per_line(
    program: Program,
    wrong: Bools,
    limit: int,
    severity: Severity,
    code: str,
    sentence: Callable[[int], str],
    remedy: str,
    letters: Callable[[int], str],
) -> list[Diagnostic]:
    """Return one finding for each line that has a wrong segment, at most `limit`.

    sentence tells of a segment, letters which words of its line are concerned.
    """
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    lines, first = np.unique(program.segment_lines[rows], return_index=True)
    return [
        Diagnostic(severity, line, 0, code, sentence(row), remedy, words=words_of(program, row, letters(row)))
        for line, row in zip(lines[:limit].tolist(), rows[first[:limit]].tolist(), strict=True)
    ]


def first_of(
    program: Program, rows: Ints, severity: Severity, code: str, text: str, remedy: str, letters: str
) -> list[Diagnostic]:
    """Return one finding at the first of the segments `rows`, which says how many lines are like it."""
    if not len(rows):
        return []
    lines = np.unique(program.segment_lines[rows])
    others = len(lines) - 1
    more = f" {others} more {'line is' if others == 1 else 'lines are'} like it." if others else ""
    words = words_of(program, int(rows[0]), letters)
    return [Diagnostic(severity, int(lines[0]), 0, code, text + more, remedy, words=words)]


def words_of(program: Program, row: int, letters: str) -> tuple[str, ...]:
    """Return the words of a segment's line that begin with `letters`, in the order of the letters."""
    line = program.text.lines[int(program.segments.wire[row])]
    found = list(split_words(line.encode("ascii")))
    ends = [at for _, _, at in found[1:]] + [len(line)]
    words = {letter: line[at:end] for (letter, _, at), end in zip(found, ends, strict=True)}
    return tuple(words[letter] for letter in letters if letter in words)


def with_columns(findings: Iterable[Diagnostic], source: bytes) -> list[Diagnostic]:
    """Return the findings, with the column of its first word where one names words and no column."""
    findings = list(findings)
    if not any(_lacks_column(finding) for finding in findings):
        return findings
    unified = unify_line_ends(source)
    feeds = np.flatnonzero(np.frombuffer(unified, dtype=np.uint8) == ord("\n"))
    begins = np.concatenate([[0], feeds + 1])
    return [
        replace(finding, column=_column(unified, int(begins[finding.line - 1]), finding.words[0]))
        if _lacks_column(finding) and finding.line <= len(begins)
        else finding
        for finding in findings
    ]


def _lacks_column(finding: Diagnostic) -> bool:
    return finding.line > 0 and finding.column == 0 and bool(finding.words)


def _column(unified: bytes, begin: int, word: str) -> int:
    """Return the column (1-based) of a word in the line that begins at `begin`; 0 where it does not stand there."""
    end = unified.find(b"\n", begin)
    line = unified[begin : end if end >= 0 else len(unified)]
    try:
        places = [at for letter, _, at in split_words(clean(line)) if letter == word[0]]
    except WordError:
        return 0
    return source_column(line, places[0]) if places else 0
