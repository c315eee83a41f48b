# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the GPIO inputs."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class GpioInputSettings(BaseModel):
    """One contact of a safety relay. pin is the BCM number; a closed contact pulls it low where active_low is true."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    pin: Annotated[int, Field(ge=0, le=53)]
    active_low: bool = True


class GpioSettings(BaseModel):
    """All GPIO inputs; sample_ms is the longest time between two samples of one input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: tuple[GpioInputSettings, ...] = ()
    sample_ms: Annotated[int, Field(ge=5, le=500)] = 50
