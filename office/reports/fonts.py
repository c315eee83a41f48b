# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the typeface of the reports is. It comes with the built pages (web/fonts.mjs) and inside of the wheel."""

from __future__ import annotations

import logging
from pathlib import Path

from office.errors import OfficeError

PACKAGED = Path(__file__).resolve().parent / "fonts"
CHECKOUT = Path(__file__).resolve().parents[2] / "web" / "dist" / "fonts"

WEIGHTS = (400, 700)
PARTS = ("latin", "latin-ext")
FILES = tuple(f"{part}-{weight}.woff" for part in PARTS for weight in WEIGHTS)


class FontsMissing(OfficeError):
    """The typeface of the reports is not in {folder}: build it with the pages (make web)."""


def fonts_dir() -> Path:
    """Return the folder of the typeface, of the installed package or of the checkout; raises FontsMissing."""
    for folder in (PACKAGED, CHECKOUT):
        if all((folder / name).is_file() for name in FILES):
            return folder
    raise FontsMissing(folder=CHECKOUT)


def whole(target: Path) -> dict[int, Path]:
    """Put the parts of each weight together to one font file in the folder `target`; raises FontsMissing.

    Letters that sit in two files cannot be set as one text without seams.
    """
    from fontTools.merge import Merger, Options

    logging.getLogger("fontTools").setLevel(logging.WARNING)
    folder, found = fonts_dir(), {}
    for weight in WEIGHTS:
        merger = Merger(Options(drop_tables=["GPOS", "GSUB", "GDEF", "gasp"]))
        font = merger.merge([str(folder / f"{part}-{weight}.woff") for part in PARTS])
        font.flavor = None
        found[weight] = target / f"{weight}.ttf"
        font.save(found[weight])
        font.close()
    return found
