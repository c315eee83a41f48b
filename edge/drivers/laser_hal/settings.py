# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set for a laser engraver on grblHAL."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.drivers.grbl.settings import GrblSettings


class LaserSettings(BaseModel):
    """The driver's part of a machine's table in the TOML of the van. Times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    driver: Literal["grblhal-laser"] = "grblhal-laser"
    host: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$", description="Name or IPv4 address.")
    port: int = Field(default=23, ge=1, le=65535)
    welcome_s: float = Field(default=1.0, gt=0, le=10.0, description="Wait for a welcome before asking who is there.")
    retry_s: float = Field(default=5.0, gt=0, le=60.0, description="Longest pause between attempts to connect.")
    door_pin: bool = Field(default=True, description="The lid's switch is wired to the controller's door input.")
    stop_pin: bool = Field(default=False, description="The stop input copies the hard-wired stop circuit.")

    @property
    def grbl(self) -> GrblSettings:
        """Return what the GRBL room is to know."""
        return GrblSettings(
            port=f"socket://{self.host}:{self.port}",
            welcome_s=self.welcome_s,
            retry_s=self.retry_s,
            door_pin=self.door_pin,
            stop_pin=self.stop_pin,
        )
