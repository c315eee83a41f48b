# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set for motion by hand at one machine. Lengths mm, feeds mm/min, places machine coordinates."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FASTEST = 2_000.0
"""Setup moves are hold-to-run at 2 m/min at most (ISO 23125, ISO 16090-1)."""

Feed = Annotated[float, Field(gt=0, le=FASTEST, allow_inf_nan=False)]
Place = Annotated[float, Field(ge=-5_000, le=5_000, allow_inf_nan=False)]
Thickness = Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
Travel = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class Frozen(BaseModel):
    """Base of these settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProbeSettings(Frozen):
    """How a probing cycle moves.

    fast finds, slow measures; retract is the way back between the two; down, bore and setter are the longest ways on
    which contact is looked for; clearance is the height above a plate at which the tool goes sideways.
    """

    fast: Annotated[float, Field(gt=0, le=500, allow_inf_nan=False)] = 100.0
    slow: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 25.0
    retract: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 1.0
    clearance: Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)] = 5.0
    down: Travel = 25.0
    bore: Travel = 40.0
    setter: Annotated[float, Field(gt=0, le=200, allow_inf_nan=False)] = 50.0

    @model_validator(mode="after")
    def _slow_is_slower(self) -> Self:
        if self.slow > self.fast:
            raise ValueError("slow is faster than fast")
        return self


class CornerSettings(Frozen):
    """A corner plate, laid over the front left corner of the stock.

    x and y are the thickness of its walls, which stand outside the stock; z that of its top; length is its outer side;
    depth is how far below the top its walls are touched.
    """

    x: Thickness
    y: Thickness
    z: Thickness
    length: Travel = 40.0
    depth: Annotated[float, Field(gt=0, le=30, allow_inf_nan=False)] = 5.0


class HandSettings(Frozen):
    """The table `[machine.hand]`.

    max_feed bounds every setup move, max_step a single one; plate is the thickness of the touch plate; park and
    tool_setter are places in machine coordinates, the setter is approached at the parking height.
    """

    max_feed: Feed = 1_000.0
    max_step: Travel = 50.0
    park: tuple[Place, Place, Place] | None = None
    plate: Thickness | None = None
    corner: CornerSettings | None = None
    tool_setter: tuple[Place, Place] | None = None
    probe: ProbeSettings = ProbeSettings()

    @property
    def longest_probe(self) -> float:
        """Return the longest way on which any cycle of this machine looks for contact."""
        ways = [self.probe.down, self.probe.bore]
        if self.tool_setter is not None:
            ways.append(self.probe.setter)
        if self.corner is not None:
            ways.append(self.corner.length + self.probe.retract)
        return max(ways)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tool_setter is not None and self.park is None:
            raise ValueError("tool_setter is approached at the parking height: set park too")
        if self.corner is not None and self.corner.depth >= self.probe.clearance + self.probe.down:
            raise ValueError("corner.depth is more than the probe may go down")
        return self
