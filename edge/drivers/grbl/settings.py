# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set for a machine on GRBL."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class GrblSettings(BaseModel):
    """The driver's part of a machine's table in the TOML of the van. Times are seconds, rates hertz."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    driver: Literal["grbl"] = "grbl"
    port: str = Field(min_length=1, description="Serial device, by /dev/serial/by-id, or socket://HOST:PORT.")
    baud: int = Field(default=115200, ge=9600, le=2_000_000)
    poll_hz: float = Field(default=5.0, ge=1.0, le=10.0, description="Status reports while nothing moves.")
    poll_moving_hz: float = Field(default=10.0, ge=1.0, le=10.0, description="Status reports in motion; GRBL's limit.")
    welcome_s: float = Field(default=2.0, gt=0, le=10.0, description="Wait for a welcome before asking who is there.")
    reply_s: float = Field(default=2.0, gt=0, le=10.0, description="Wait for the answer to a single command.")
    homing_s: float = Field(default=120.0, gt=0, le=600.0, description="Wait for homing to end.")
    stale_s: float = Field(default=1.0, gt=0.2, le=5.0, description="Age at which a status report counts as unknown.")
    stall_s: float = Field(default=5.0, ge=1.0, le=60.0, description="Stillness without an ok that fails a job.")
    stand_s: float = Field(default=1.0, ge=0.5, le=1.0, description="Wait for axes to stand between hold and reset.")
    retry_s: float = Field(default=5.0, gt=0, le=60.0, description="Longest pause between attempts to open the port.")
    door_pin: bool = Field(default=False, description="The controller's door input is built in and wired.")
    stop_pin: bool = Field(default=False, description="The reset input copies the hard-wired stop circuit.")
    jog_lease_s: float = Field(default=0.25, ge=0.1, le=0.5, description="Silence that ends continuous motion by hand.")
    setup_feed: float = Field(default=2000.0, ge=1.0, le=2000.0, description="Fastest motion by hand, mm/min.")
    unhomed_mm: float = Field(default=10.0, gt=0, le=50.0, description="Longest motion by hand before homing, mm.")
    probe_feed: float = Field(default=200.0, ge=1.0, le=1000.0, description="Fastest probing, mm/min.")
    probe_mm: float = Field(default=50.0, gt=0, le=200.0, description="Longest way of one probing move, mm.")
    override_s: float = Field(default=10.0, ge=1.0, le=60.0, description="Wait for overrides to be confirmed.")
