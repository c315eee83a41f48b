# SPDX-License-Identifier: GPL-3.0-or-later
"""How a visitor's choice becomes a toolpath. Pure: never a file, a port or a screen."""

from edge.design.errors import DesignRefused
from edge.design.toolpath import TEMPLATES, compile_piece

__all__ = ["TEMPLATES", "DesignRefused", "compile_piece"]
