# SPDX-License-Identifier: GPL-3.0-or-later
"""From a visitor's choice to G-code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from edge.design.errors import TemplateUnknown
from edge.design.templates.name_tag import compile_name_tag

TEMPLATES: Final[Mapping[str, Callable[[Mapping[str, object]], str]]] = {"name-tag": compile_name_tag}


def compile_piece(template: str, params: Mapping[str, object]) -> str:
    """Return the G-code of a design with a visitor's choices; the same choices give the same text.

    Raises TemplateUnknown and what the design refuses (edge.design.errors). Nothing of `params` is kept.
    """
    if template not in TEMPLATES:
        raise TemplateUnknown(template=template)
    return TEMPLATES[template](params)
