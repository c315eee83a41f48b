# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cutting tool is written down: in a machine's table of tools, and as the cutter of a piece."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge.domain.tool import Tool, ToolShape

Size = Annotated[float, Field(gt=0, le=500)]
Number = Annotated[int, Field(ge=0, le=255)]
Name = Annotated[str, Field(min_length=1, max_length=60)]

DEFAULT_TIP_ANGLE = 90.0
"""Degrees: what a Tool that is no V has, and nothing reads."""


class CutterSettings(BaseModel):
    """The shape of a tool, lengths in mm.

    diameter_mm is the cutting diameter, of a V the widest; flute_mm how deep the tool may go into material. A V has
    tip_angle_deg, the whole angle, and tip_diameter_mm, the flat of its point; a turning tool has nose_radius_mm and no
    diameter. max_plunge is the fastest feed straight down into material, mm/min.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: ToolShape
    diameter_mm: Size | None = None
    flute_mm: Size
    tip_angle_deg: Annotated[float, Field(ge=1, lt=180)] | None = None
    tip_diameter_mm: Annotated[float, Field(ge=0, le=500)] | None = None
    nose_radius_mm: Annotated[float, Field(ge=0, le=500)] | None = None
    max_plunge: Annotated[float, Field(gt=0, le=20_000)] | None = None

    @model_validator(mode="after")
    def _fits_its_shape(self) -> Self:
        wanted = {
            "diameter_mm": self.shape is not ToolShape.TURNING,
            "tip_angle_deg": self.shape is ToolShape.V,
            "nose_radius_mm": self.shape is ToolShape.TURNING,
        }
        for key, is_wanted in wanted.items():
            if is_wanted and getattr(self, key) is None:
                raise ValueError(f"{key} is missing: a tool of the shape {self.shape.value!r} has one")
            if not is_wanted and getattr(self, key) is not None:
                raise ValueError(f"{key} does not belong to a tool of the shape {self.shape.value!r}")
        if self.tip_diameter_mm is not None:
            if self.shape is not ToolShape.V:
                raise ValueError(f"tip_diameter_mm does not belong to a tool of the shape {self.shape.value!r}")
            if self.diameter_mm is not None and self.tip_diameter_mm >= self.diameter_mm:
                raise ValueError("tip_diameter_mm is not under diameter_mm")
        return self

    def tool_named(self, number: int, name: str) -> Tool:
        """Return the tool of this shape with a number and a name."""
        nose = self.nose_radius_mm or 0.0
        return Tool(
            number=number,
            name=name,
            shape=self.shape,
            diameter=2 * nose if self.diameter_mm is None else self.diameter_mm,
            flute_length=self.flute_mm,
            tip_angle=self.tip_angle_deg or DEFAULT_TIP_ANGLE,
            tip_diameter=self.tip_diameter_mm or 0.0,
            nose_radius=nose,
            max_plunge=self.max_plunge,
        )


class ToolSettings(CutterSettings):
    """One row of a machine's table: number is its T word, 0 the tool of a program that names none."""

    number: Number
    name: Name

    def tool(self) -> Tool:
        """Return the tool."""
        return self.tool_named(self.number, self.name)
