# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the typeface of the reports is. It comes with the built pages (web/fonts.mjs) and inside of the wheel."""

from __future__ import annotations

from pathlib import Path

from office.errors import OfficeError

PACKAGED = Path(__file__).resolve().parent / "fonts"
CHECKOUT = Path(__file__).resolve().parents[2] / "web" / "dist" / "fonts"

FILES = tuple(f"{part}-{weight}.woff" for part in ("latin", "latin-ext") for weight in (400, 700))


class FontsMissing(OfficeError):
    """The typeface of the reports is not in {folder}: build it with the pages (make web)."""


def fonts_dir() -> Path:
    """Return the folder of the typeface, of the installed package or of the checkout; raises FontsMissing."""
    for folder in (PACKAGED, CHECKOUT):
        if all((folder / name).is_file() for name in FILES):
            return folder
    raise FontsMissing(folder=CHECKOUT)
