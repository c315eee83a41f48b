# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set of the van's own OPC UA server: the table [opcua_server] of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from edge.opcua_server.facts import Nameplate, Plan


class UserSettings(BaseModel):
    """A user who may read: the password stands in a file of its own, on its first line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password_file: Path


class IdentificationSettings(BaseModel):
    """What a machine's nameplate says: the optional table [machine.identification].

    What is not told here is not claimed to anybody. product_instance_uri is the maker's own worldwide name of this one
    machine; without it the lab's own name of the machine stands there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    manufacturer: Annotated[str, Field(max_length=80)] = ""
    model: Annotated[str, Field(max_length=80)] = ""
    serial_number: Annotated[str, Field(max_length=80)] = ""
    product_instance_uri: Annotated[str, Field(max_length=255)] = ""
    year_of_construction: Annotated[int, Field(ge=1900, le=2200)] | None = None
    location: Annotated[str, Field(max_length=200)] = ""

    def nameplate(self, machine_id: str, name: str, kind: str, driver: str) -> Nameplate:
        """Return the whole nameplate of a machine."""
        return Nameplate(machine_id, name, kind, driver, **self.model_dump())


class OpcUaServerSettings(BaseModel):
    """Where the server listens and who may read.

    anonymous opens an endpoint without security, at which everybody reads without saying who they are. users are asked
    for a name and a password at the encrypted endpoints; without users a trusted client certificate is enough. sessions
    is how many clients are let in at once; none is told of changes more often than every publishing_min_ms. niceness is
    how far the process stands behind everything else on the computer, as nice(1) counts it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 4840
    anonymous: bool = False
    users: tuple[UserSettings, ...] = ()
    sessions: Annotated[int, Field(ge=1, le=100)] = 32
    publishing_min_ms: Annotated[int, Field(ge=50, le=10_000)] = 100
    niceness: Annotated[int, Field(ge=0, le=19)] = 10

    def plan(self, lab_id: str, lab_name: str, version: str, pki: Path, machines: Sequence[Nameplate]) -> Plan:
        """Return what the server's process is told at its start; `pki` is the lab's folder of certificates."""
        return Plan(
            lab_id=lab_id,
            lab_name=lab_name,
            version=version,
            host=self.host,
            port=self.port,
            pki=str(pki.resolve()),
            anonymous=self.anonymous,
            users=tuple((user.name, str(user.password_file.resolve())) for user in self.users),
            sessions=self.sessions,
            publishing_min_ms=self.publishing_min_ms,
            niceness=self.niceness,
            machines=tuple(machines),
        )
