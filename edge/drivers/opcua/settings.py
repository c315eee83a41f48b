# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set about a machine on OPC UA."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

KEEP_ALIVE_COUNT = 10


def is_loopback(endpoint: str) -> bool:
    """Return whether an endpoint's URL names this computer itself."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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

    endpoint is the server's URL. model is the information model that the machine is read by; "mapping" takes it from
    mapping_file. machine is the browse name below the `Machines` folder; it may be left out where the server has one
    machine. channel is the one in which a Sinumerik selects a program (its Select method counts from 1).

    security and policy name the endpoint exactly as the server has to offer it; there is no falling back to a weaker
    one. A person is user with password_file, or user_certificate_file (DER or PEM) with user_key_file (PEM), or nobody.
    Without a secured channel a password crosses the network readable: that is refused but on this computer itself, or
    with password_in_clear = true, for a machine on a cable of its own.

    write permits programs to be put into program_folder, a path below the machine's file system; job_control permits
    its own job control to be used besides, and with that the starting of what was loaded.

    publishing_ms and sampling_ms are milliseconds; watchdog_s is the silence after which nothing is known any more;
    timeout_s bounds each answer; refresh_s is the period in which the state, input_refresh_s that in which inputs are
    read besides being reported on change. Both keep a quiet machine's readings younger than safety's maximum ages:
    1.5 s of a state, and twice input_refresh_s has to fit into that of an input. retry_min_s is the first pause between
    two connections, retry_max_s the longest, which only a refusal reaches: an absent machine is looked for every 1.5 s.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    driver: Literal["opcua"]
    endpoint: str
    model: Literal["umati", "cnc", "sinumerik", "mapping"] = "umati"
    mapping_file: Path | None = None
    machine: str | None = None
    channel: int = Field(default=1, ge=1, le=30)
    security: Literal["sign_and_encrypt", "sign", "none"] = "sign_and_encrypt"
    policy: Literal["basic256sha256", "aes128_sha256_rsaoaep"] = "basic256sha256"
    user: str | None = Field(default=None, min_length=1)
    password_file: Path | None = None
    password_in_clear: bool = False
    user_certificate_file: Path | None = None
    user_key_file: Path | None = None
    write: bool = False
    job_control: bool = False
    program_folder: str = ""
    publishing_ms: int = Field(default=250, ge=50, le=5000)
    sampling_ms: int = Field(default=100, ge=20, le=5000)
    watchdog_s: float = Field(default=6.0, ge=1.0, le=60.0)
    timeout_s: float = Field(default=4.0, ge=0.2, le=30.0)
    retry_min_s: float = Field(default=0.5, ge=0.05, le=60.0)
    retry_max_s: float = Field(default=20.0, ge=0.1, le=600.0)
    refresh_s: float = Field(default=1.0, ge=0.05, le=1.2)
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

    @field_validator("program_folder")
    @classmethod
    def _is_below(cls, folder: str) -> str:
        if folder and any(part in ("", ".", "..") for part in folder.split("/")):
            raise ValueError("a program folder looks like Programs/Van: below the machine's file system, without `..`")
        return folder

    @model_validator(mode="after")
    def _identity_fits(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("`user` and `password_file` go together: set both or none")
        if (self.user_certificate_file is None) != (self.user_key_file is None):
            raise ValueError("`user_certificate_file` and `user_key_file` go together: set both or none")
        if self.user is not None and self.user_certificate_file is not None:
            raise ValueError("a person is `user` with a password or `user_certificate_file`, not both")
        if self.security == "none":
            if self.user_certificate_file is not None:
                raise ValueError("a user certificate needs `security` to be sign_and_encrypt or sign")
            if self.user is not None and not (self.password_in_clear or is_loopback(self.endpoint)):
                raise ValueError(
                    "with `security` none the password would cross the network readable: set sign_and_encrypt, or"
                    " `password_in_clear` = true where the machine has a cable of its own"
                )
        elif self.password_in_clear:
            raise ValueError("`password_in_clear` goes with `security` none only: the channel is secured")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.model == "mapping") != (self.mapping_file is not None):
            raise ValueError("`mapping_file` goes with `model` mapping: set both or none")
        if self.job_control and not self.write:
            raise ValueError("`job_control` needs `write` = true")
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
