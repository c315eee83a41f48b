# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server says in words, as screens, logs, files and other servers can take it.

A control may send any bytes as a text: the library decodes those that are no UTF-8 to surrogates, which nothing that
writes UTF-8 takes.
"""

from __future__ import annotations

LONGEST = 1000
"""Characters of a text that are kept."""

_CONTROLS = {code: "?" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"}


def clean(text: str) -> str:
    """Return the beginning of a text, with "?" for what is no character or steers a terminal."""
    text = text[:LONGEST]
    if text.isprintable():
        return text
    return text.translate(_CONTROLS).encode(errors="replace").decode()
