# SPDX-License-Identifier: GPL-3.0-or-later
"""What must never be streamed, looked for in every line before the first is sent.

Many lines are looked at together: what is plainly harmless costs a few passes over its bytes. Only where one of those
finds something are the lines looked at one by one, and that says which it is and why.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import repeat
from operator import sub

from edge.domain.errors import ProgramRejected
from edge.domain.lines import Lines
from edge.domain.ports import ProgramText
from edge.drivers.grbl.protocol import LINE_LIMIT

_BLOCK = 500
_SLICE = 500
"""Lines looked at before other tasks get their turn: less than a millisecond."""
_HARMLESS = bytes(byte for byte in range(0x20, 0x7F) if byte not in b"!?~$(;/") + b"\n"
"""What can be in a line that GRBL takes as it stands, blanks apart."""
_ACTS = re.compile(r"[^\x20-\x7e]|[!?~]")
_DROPPED = re.compile(r"\([^)]*\)?|;.*|[ /]")
"""What GRBL leaves out before it reads a line: `G1(a)0` is G10."""
_MEMORY = re.compile(r"G\+?0*(?:10(?!\d)|(?:28|30)\.\d*[1-9])")
_MEMORY_BYTES = re.compile(_MEMORY.pattern.encode("ascii"))
_WHY = {
    "acts": "a character in it acts at once on the controller or is not plain text",
    "setting": "$ commands are not part of a program",
    "memory": "it writes to the controller's settings memory, which loses bytes while a program streams",
}


_LENGTH = re.compile(r"G\+?0*43")


async def sets_tool_length(program: ProgramText) -> bool:
    """Return whether a line sets a tool length (G43.1)."""
    for first in range(0, len(program.lines), _BLOCK):
        lines = program.lines[first : first + _BLOCK]
        if any(_LENGTH.search(_DROPPED.sub("", line).upper()) for line in lines if "43" in line or "(" in line):
            return True
        await asyncio.sleep(0)
    return False


async def screen(program: ProgramText, window: int) -> None:
    """Look at every line before the first is sent; `window` is what the receive buffer takes, bytes.

    Raises ProgramRejected.
    """
    for number, reason in enumerate(refusals(program)):
        if reason is not None:
            raise ProgramRejected(program_id=program.program_id, reason=reason)
        if number % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
    if window <= LINE_LIMIT and any(len(line) >= window for line in program.lines):
        # A line that never fits would never be sent, and the program would stand still without a reason.
        reason = f"a line is longer than the controller's receive buffer, which takes {window} bytes"
        raise ProgramRejected(program_id=program.program_id, reason=reason)


def refusals(program: ProgramText) -> Iterator[str | None]:
    """Check each line for what must never be streamed; yield None, or the reason at the first line that fails."""
    if not program.lines:
        yield "it has no lines"
    for first in range(0, len(program.lines), _BLOCK):
        last = min(first + _BLOCK, len(program.lines))
        if isinstance(program.lines, Lines) and _harmless(program.lines, first, last):
            yield from repeat(None, last - first)
        else:
            yield from (_refusal(program, index) for index in range(first, last))


def _harmless(lines: Lines, first: int, last: int) -> bool:
    """Whether nothing in lines[first:last] can be a reason to refuse one; False says nothing."""
    block, starts = lines.block(first, last), lines.starts
    framed = b"\n" + block
    return (
        not block.translate(None, _HARMLESS)
        and block.count(b"\n") == last - first
        and max(map(sub, starts[first + 1 : last + 1], starts[first:last])) <= LINE_LIMIT + 1
        and not (b"\n\n" in framed or b"\n " in framed or b" \n" in framed)
        and not _MEMORY_BYTES.search(block.upper().translate(None, b" "))
    )


def _refusal(program: ProgramText, index: int) -> str | None:
    """Return why one line must not be streamed, or None."""
    text, source = program.lines[index], program.source_lines[index]
    read = _DROPPED.sub("", text).upper()
    if _ACTS.search(text):
        return f"line {source} {text!r}: {_WHY['acts']}"
    if read.startswith("$"):
        return f"line {source} {text!r}: {_WHY['setting']}"
    if _MEMORY.search(read):
        return f"line {source} {text!r}: {_WHY['memory']}"
    if not text or text != text.strip():
        return f"line {source} {text!r}: it is blank or begins or ends with a blank"
    if len(text) > LINE_LIMIT:
        return f"line {source} has {len(text)} characters, the controller takes {LINE_LIMIT}"
    return None
