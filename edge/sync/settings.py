# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set about the way to the office."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT_PORT, DEFAULT_TLS_PORT = 1883, 8883
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class SyncSettings(BaseModel):
    """The broker and how hard it is pressed. Times are seconds; secrets come by file path.

    TLS is used where ca_file is given; cert_file and key_file identify the lab to the broker. password_file holds the
    password alone. At most in_flight batches wait for the office at once, fewer where the line or the broker takes
    fewer; batches_per_s bounds the rate over time. A part-full batch of metrics is sent at most every
    metrics_linger_s: fewer, fuller messages for what nobody waits for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] = 0
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: Annotated[int, Field(ge=5, le=600)] = 30
    connect_timeout_s: Seconds = 10.0
    retry_min_s: Seconds = 1.0
    retry_max_s: Seconds = 60.0
    in_flight: Annotated[int, Field(ge=1, le=16)] = 16
    batches_per_s: Annotated[float, Field(gt=0, le=10_000)] = 60.0
    resend_min_s: Seconds = 1.0
    metrics_linger_s: Annotated[float, Field(ge=0, le=600)] = 2.0

    @model_validator(mode="before")
    @classmethod
    def _usual_port(cls, given: object) -> object:
        if isinstance(given, dict) and "port" not in given:
            return {**given, "port": DEFAULT_TLS_PORT if given.get("ca_file") else DEFAULT_PORT}
        return given

    @model_validator(mode="after")
    def _files_fit(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file come together")
        if self.cert_file is not None and self.ca_file is None:
            raise ValueError("cert_file needs ca_file: the broker proves itself first")
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs username")
        if self.retry_max_s < self.retry_min_s:
            raise ValueError("retry_max_s is less than retry_min_s")
        return self
