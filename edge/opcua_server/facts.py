# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service tells its OPC UA server, and what that tells back: one JSON line each.

To the server, first `Plan`, then `MachineFacts` of a machine whenever something of it changed, always whole, so that a
line may be left out for a newer one; an empty line is a sign of life. From the server `Report`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Nameplate:
    """Who a machine is, as far as anybody has told; empty where nobody has."""

    machine_id: str
    name: str
    kind: str
    driver: str
    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""
    product_instance_uri: str = ""
    year_of_construction: int | None = None
    location: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where and for whom the server serves which machines; paths are absolute."""

    lab_id: str
    lab_name: str
    version: str
    host: str
    port: int
    pki: str
    anonymous: bool = False
    users: tuple[tuple[str, str], ...] = ()
    sessions: int = 32
    publishing_min_ms: int = 100
    niceness: int = 10
    machines: tuple[Nameplate, ...] = ()

    @property
    def endpoint(self) -> str:
        """Return the server's address for clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"opc.tcp://{host}:{self.port}/infomobil"


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """Something for which a person has to look at the machine."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job of the machine's queue: state as edge.domain.job.JobState says it."""

    job_id: str
    claim: int
    program: str
    state: str


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """One machine at one moment, in the words of edge.domain.machine; None is not known.

    available says that the machine is heard now; overrides are per cent; part_count is the machine's own counter;
    blocked that a person has to look at it before anything moves, alarms say why. taken_ns is when this was read, UTC
    nanoseconds since 1970 by this computer's clock.
    """

    machine_id: str
    taken_ns: int
    available: bool = False
    execution: str = "UNAVAILABLE"
    mode: str = "UNAVAILABLE"
    blocked: bool = False
    feed_override: int | None = None
    rapid_override: int | None = None
    spindle_override: int | None = None
    program: str | None = None
    part_count: int | None = None
    alarms: tuple[AlarmFacts, ...] = ()
    job: JobFacts | None = None
    queue: tuple[JobFacts, ...] = ()
    controller: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What the server says of itself: whether it listens, how many clients are in, what went wrong."""

    listening: bool
    clients: int = 0
    error: str = ""


def to_line(facts: Plan | MachineFacts | Report) -> bytes:
    """Return the line of `facts`, with its end."""
    return json.dumps(asdict(facts), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def plan_of(line: bytes) -> Plan:
    """Return the plan of a line. Raises ValueError."""
    raw = _object(line, Plan)
    return Plan(
        **{
            **raw,
            "users": tuple((str(name), str(path)) for name, path in raw["users"]),
            "machines": tuple(Nameplate(**one) for one in raw["machines"]),
        }
    )


def machine_of(line: bytes) -> MachineFacts:
    """Return the facts of a line. Raises ValueError."""
    raw = _object(line, MachineFacts)
    return MachineFacts(
        **{
            **raw,
            "alarms": tuple(AlarmFacts(**one) for one in raw["alarms"]),
            "job": None if raw["job"] is None else JobFacts(**raw["job"]),
            "queue": tuple(JobFacts(**one) for one in raw["queue"]),
        }
    )


def report_of(line: bytes) -> Report:
    """Return the report of a line. Raises ValueError."""
    return Report(**_object(line, Report))


def _object(line: bytes, kind: type[Any]) -> Mapping[str, Any]:
    raw = json.loads(line)
    if not isinstance(raw, dict) or raw.keys() != {one.name for one in fields(kind)}:
        raise ValueError(f"this line is no {kind.__name__}")
    return raw
