# SPDX-License-Identifier: GPL-3.0-or-later
"""What the check tells a person: where, what, and what to do about it.

Codes are stable keys for translation. Where the controller itself would answer `error:N` (GRBL 1.1 interface
manual, error codes; recorded in the trace error_codes), `grbl` carries that N.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """ERROR refuses the program, WARNING asks a person to look, NOTE explains what was done to the text."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    line and column count from 1 in the text as the person sees it; 0 means the whole program or the whole line. words
    are those of the line that it is about, as they stand there.
    """

    severity: Severity
    line: int
    column: int
    code: str
    text: str
    remedy: str
    grbl: int | None = None
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the finding as one line for a log or a terminal."""
        place = f"line {self.line}" if self.line else "program"
        if self.column:
            place += f", column {self.column}"
        number = f" (error:{self.grbl})" if self.grbl is not None else ""
        return f"{place}: {self.text} {self.remedy}{number}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error of the controller means to a person."""

    code: str
    text: str
    remedy: str


GRBL_ERRORS: dict[int, Meaning] = {
    1: Meaning("letter-expected", "A word has to begin with a letter.", "Correct or remove the character."),
    2: Meaning("number-expected", "A number is missing or not finished.", "Write the number after its letter."),
    4: Meaning("negative", "This word takes no negative number.", "Remove the minus sign."),
    11: Meaning(
        "line-too-long",
        "The line is longer than 79 characters without spaces and comments.",
        "Split it into two lines.",
    ),
    20: Meaning("unsupported", "The controller does not know this word.", "Remove it or use another post-processor."),
    21: Meaning("modal-group", "Two words of the line exclude each other.", "Keep one of them."),
    22: Meaning("no-feed", "The move has no feed.", "Write F with the feed in the line or before it."),
    23: Meaning("integer-expected", "The number has to be a whole one.", "Remove the decimals."),
    24: Meaning("two-axis-commands", "Two commands of the line want the same axes.", "Write them on two lines."),
    25: Meaning("repeated-word", "A letter is repeated in the line.", "Keep one of them."),
    26: Meaning("no-axis", "The command needs an axis and has none.", "Write X, Y or Z with the command."),
    27: Meaning("line-number-range", "The N number is over 10000000.", "Use smaller line numbers or none."),
    28: Meaning("missing-word", "The command needs one more word (P or L).", "Write the missing word."),
    29: Meaning("no-such-zero", "There are only the zeros G54 to G59.", "Use P0 to P6."),
    30: Meaning("g53-motion", "G53 works with G0 and G1 only.", "Write G0 or G1 in the line."),
    31: Meaning("axis-unused", "The line names an axis, but no motion is chosen.", "Write G0 or G1 in the line."),
    32: Meaning("arc-no-axis", "The arc has no end point in its plane.", "Write the end point of the arc."),
    33: Meaning(
        "arc-end",
        "The end point does not lie on the arc, or start and end are the same point.",
        "Check end point, centre (I, J, K) and G90 or G91.",
    ),
    34: Meaning("arc-radius", "The radius is too small to reach the end point.", "Use a larger R."),
    35: Meaning("arc-no-centre", "The arc has neither radius nor centre.", "Write R, or I and J."),
    36: Meaning("word-unused", "The line has a word that nothing in it uses.", "Remove the word."),
    37: Meaning("tool-length-axis", "G43.1 takes Z and no other axis.", "Write G43.1 with Z."),
    38: Meaning("tool-number", "The tool number is over 255.", "Use a smaller tool number."),
}
"""Errors of GRBL that a line of G-code can give; numbers as in the GRBL 1.1 interface manual."""


def grbl_error(number: int, line: int, column: int, words: tuple[str, ...] = ()) -> Diagnostic:
    """Return the finding for GRBL's `error:number` at a place of the source, about `words` of the line."""
    meaning = GRBL_ERRORS[number]
    return Diagnostic(Severity.ERROR, line, column, meaning.code, meaning.text, meaning.remedy, number, words)
