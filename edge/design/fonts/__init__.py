# SPDX-License-Identifier: GPL-3.0-or-later
"""Single-line letters for engraving."""

from edge.design.fonts.compose import Glyph, glyph, layout

__all__ = ["Glyph", "glyph", "layout"]
