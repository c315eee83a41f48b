# SPDX-License-Identifier: GPL-3.0-or-later
"""What the authority has issued and revoked: a small JSON file beside its key, written whole after each change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from office.broker.errors import AuthorityUnusable
from office.broker.files import SECRET, write_whole

SOON = timedelta(days=60)


class Kind(StrEnum):
    """What a certificate is for."""

    LAB = "lab"
    OFFICE = "office"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate as the register knows it. Times are UTC; revoked is when it was revoked, None while it is not."""

    name: str
    kind: Kind
    serial: int
    issued: datetime
    ends: datetime
    revoked: datetime | None = None
    reason: str = ""

    def good(self, now: datetime) -> bool:
        """Return whether the broker takes it at `now`."""
        return self.revoked is None and now < self.ends

    def state(self, now: datetime) -> str:
        """Return in a word or two how it stands at `now`."""
        if self.revoked is not None:
            return "revoked"
        if now >= self.ends:
            return "expired"
        return "ends soon" if now >= self.ends - SOON else "in force"


@dataclass(slots=True)
class Register:
    """All certificates in the order in which they were issued, and how many revocation lists were made."""

    hosts: tuple[str, ...] = ()
    lists: int = 0
    issued: list[Issued] = field(default_factory=list)

    def good(self, name: str, now: datetime) -> list[Issued]:
        """Return the certificates of `name` that are in force."""
        return [one for one in self.issued if one.name == name and one.good(now)]

    def shut_out(self, now: datetime) -> list[str]:
        """Return the names of which a certificate was revoked and none is in force, sorted."""
        revoked = {one.name for one in self.issued if one.revoked is not None}
        return sorted(name for name in revoked if not self.good(name, now))


def read(path: Path) -> Register:
    """Return the register in the file `path`; raises AuthorityUnusable, OSError."""
    try:
        found = json.loads(path.read_bytes())
        return Register(tuple(found["hosts"]), found["lists"], [_issued(one) for one in found["issued"]])
    except (ValueError, KeyError, TypeError) as error:
        raise AuthorityUnusable(folder=path.parent, reason=f"{path.name} is damaged ({error!r})") from error


def write(path: Path, register: Register) -> None:
    """Write `register` to the file `path`; raises OSError."""
    facts = {"hosts": register.hosts, "lists": register.lists, "issued": [_facts(one) for one in register.issued]}
    write_whole(path, json.dumps(facts, indent=1).encode() + b"\n", SECRET)


def _issued(facts: dict[str, Any]) -> Issued:
    return Issued(
        str(facts["name"]),
        Kind(facts["kind"]),
        int(facts["serial"], 16),
        _time(facts["issued"]),
        _time(facts["ends"]),
        _time(facts["revoked"]) if facts["revoked"] is not None else None,
        str(facts["reason"]),
    )


def _facts(one: Issued) -> dict[str, str | None]:
    return {
        "name": one.name,
        "kind": one.kind.value,
        "serial": f"{one.serial:x}",
        "issued": one.issued.isoformat(),
        "ends": one.ends.isoformat(),
        "revoked": one.revoked.isoformat() if one.revoked is not None else None,
        "reason": one.reason,
    }


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} says no time zone")
    return time.astimezone(UTC)
