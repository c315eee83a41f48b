# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a visitor's wish cannot be made. `key` is what the screens translate; the text of a wish is never in here."""

from __future__ import annotations

from typing import ClassVar

from edge.domain.errors import InfoMobilError


class DesignRefused(InfoMobilError):
    """The piece cannot be made."""

    key: ClassVar[str] = "design.refused"


class TextMissing(DesignRefused):
    """Write at least one letter."""

    key: ClassVar[str] = "design.text_missing"


class TextTooLong(DesignRefused):
    """The text has {length} letters; at most {limit} fit."""

    key: ClassVar[str] = "design.text_too_long"


class LetterUnknown(DesignRefused):
    """The character {letter!r} cannot be engraved: letters, digits, space, hyphen and dot can."""

    key: ClassVar[str] = "design.letter_unknown"


class DepthUnknown(DesignRefused):
    """The depth has to be one of: {choices}."""

    key: ClassVar[str] = "design.depth_unknown"


class TemplateUnknown(DesignRefused):
    """There is no design with this name: {template!r}."""

    key: ClassVar[str] = "design.template_unknown"


class ParameterUnknown(DesignRefused):
    """The design does not know the field {name!r}, or its value is not a text."""

    key: ClassVar[str] = "design.parameter_unknown"
