# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set about a machine on OPC UA."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

KEEP_ALIVE_COUNT = 10


class OpcUaInputSettings(BaseModel):
    """A Boolean node whose value interlocks look at.

    name is the input's name in the interlock rules. node is a browse path from the machine object, its parts
    separated by "/" and without namespaces (`Interlock/DoorClosed`), or a NodeId with its namespace as a URI
    (`nsu=urn:vendor:model;s=DoorClosed`). healthy_when is the value that permits motion. shows says which word of
    the machine's state the node is a copy of, where it is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    node: str = Field(min_length=1)
    healthy_when: bool = True
    shows: Literal["door", "emergency_stop"] | None = None


class OpcUaSettings(BaseModel):
    """A machine that an OPC UA server describes.

    endpoint is the server's URL. machine is the browse name below the `Machines` folder; it may be left out where the
    server has one machine. user and password_file go together; without a secured channel the password crosses the
    network readable, so use that on a machine's own cable only. publishing_ms and sampling_ms are milliseconds;
    watchdog_s is the silence after which nothing is known any more; timeout_s bounds each answer; input_refresh_s is
    the period in which inputs are read besides being reported on change: at most half of an input's maximum age.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    driver: Literal["opcua"]
    endpoint: str
    model: Literal["umati"] = "umati"
    machine: str | None = None
    user: str | None = None
    password_file: Path | None = None
    publishing_ms: int = Field(default=250, ge=50, le=5000)
    sampling_ms: int = Field(default=100, ge=20, le=5000)
    watchdog_s: float = Field(default=6.0, ge=1.0, le=60.0)
    timeout_s: float = Field(default=4.0, ge=0.2, le=30.0)
    retry_min_s: float = Field(default=0.5, ge=0.05, le=60.0)
    retry_max_s: float = Field(default=20.0, ge=0.1, le=600.0)
    input_refresh_s: float = Field(default=0.5, ge=0.05, le=5.0)
    inputs: tuple[OpcUaInputSettings, ...] = ()

    @field_validator("endpoint")
    @classmethod
    def _is_opc_tcp(cls, endpoint: str) -> str:
        try:
            parts = urlsplit(endpoint)
            complete = parts.scheme == "opc.tcp" and bool(parts.hostname) and parts.port is not None
        except ValueError:
            complete = False
        if not complete:
            raise ValueError("an endpoint looks like opc.tcp://192.0.2.7:4840/path, with its port")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the endpoint carries a user: set `user` and `password_file` instead")
        return endpoint

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("`user` and `password_file` go together: set both or none")
        keep_alive_s = KEEP_ALIVE_COUNT * self.publishing_ms / 1000
        if self.watchdog_s < 2 * keep_alive_s:
            raise ValueError(
                f"`watchdog_s` has to be at least {2 * keep_alive_s:g}: a server with nothing to report"
                f" speaks every {keep_alive_s:g} s ({KEEP_ALIVE_COUNT} times publishing_ms)"
            )
        if self.retry_max_s < self.retry_min_s:
            raise ValueError("`retry_max_s` is shorter than `retry_min_s`")
        names = [one.name for one in self.inputs]
        if len(set(names)) != len(names):
            raise ValueError("two inputs have the same name")
        return self
