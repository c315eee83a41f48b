# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about the motions of a program: one a line, or one for all that are alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge.gcode.diagnostics import Diagnostic, Severity
from edge.gcode.model import Bools, Command, Ints, Program


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
) -> list[Diagnostic]:
    """Return one finding for each line that has a wrong segment, at most `limit`; sentence tells of a segment."""
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    lines, first = np.unique(program.segment_lines[rows], return_index=True)
    return [
        Diagnostic(severity, int(line), 0, code, sentence(int(rows[at])), remedy)
        for line, at in zip(lines[:limit].tolist(), first[:limit].tolist(), strict=True)
    ]


def first_of(program: Program, rows: Ints, severity: Severity, code: str, text: str, remedy: str) -> list[Diagnostic]:
    """Return one finding at the first of the segments `rows`, which says how many lines are like it."""
    if not len(rows):
        return []
    lines = np.unique(program.segment_lines[rows])
    others = len(lines) - 1
    more = f" {others} more {'line is' if others == 1 else 'lines are'} like it." if others else ""
    return [Diagnostic(severity, int(lines[0]), 0, code, text + more, remedy)]
