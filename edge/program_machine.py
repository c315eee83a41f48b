# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a machine without asking it: a list of its settings, or what the lab has kept of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.config import NO_TOOLS, EdgeSettings, load_settings
from edge.domain.errors import InfoMobilError
from edge.domain.machine import Travel
from edge.domain.tool import Tool
from edge.drivers.grbl.identity import Identity
from edge.drivers.opcua.settings import OpcUaSettings
from edge.gcode import MotionSettings
from edge.services.profile import PROFILE_KEY
from edge.store.guest import GuestDatabase
from edge.store.sqlite_store import SqliteStore

CONFIG = Path("/etc/infomobil/edge.toml")
"""Where a van has its configuration."""
MOST_BYTES = 1_000_000
_SETTING = re.compile(r"\s*\$(\d{1,4})\s*=\s*([-+.\d]+)")
_LASER_MODE = 32


class DumpUnusable(InfoMobilError):
    """{path} is no list of settings as `$$` prints it: {reason}."""


class MachineNotKnown(InfoMobilError):
    """What the machine {machine} can do is not known here: {reason}."""


@dataclass(frozen=True, slots=True)
class Target:
    """A machine as far as a check needs it.

    tools is its table by T number, None where it cuts with no tool; tool_change says that a person changes tools at
    M6. The default is a machine of which nothing is known.
    """

    travel: Travel | None = None
    motion: MotionSettings = field(default_factory=MotionSettings)
    tools: Mapping[int, Tool] | None = field(default_factory=dict)
    tool_change: bool = False


def from_dump(path: Path) -> Target:
    """Return the machine with the settings in a file, in the form of GRBL's answer to `$$`. Raises DumpUnusable.

    Other lines of the file do not count; a setting that is missing has its usual value, or is not known.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("latin-1")
    except OSError as error:
        raise DumpUnusable(path=str(path), reason=error.strerror or "it cannot be read") from error
    found = [match for line in text.splitlines() if (match := _SETTING.match(line))]
    if not found:
        raise DumpUnusable(path=str(path), reason="it has no line like $110=3000.000")
    return _target({int(match[1]): match[2] for match in found})


def of_machine(config: Path, machine_id: str) -> Target:
    """Return a machine of the lab with the settings that the lab keeps as its profile, and its table of tools.

    The service may run or not. Raises MachineNotKnown, StoreUnavailable, and the errors of a configuration.
    """
    lab = load_settings(config)
    machine = next((one for one in lab.machine if one.id == machine_id), None)
    if machine is None:
        known = ", ".join(one.id for one in lab.machine) or "none"
        raise MachineNotKnown(machine=machine_id, reason=f"the lab's file has these machines: {known}")
    if isinstance(machine.connection, OpcUaSettings):
        raise MachineNotKnown(machine=machine_id, reason="a control on OPC UA does not tell how it plans")
    settings = asyncio.run(_profile(lab, machine_id))
    if not settings:
        why = "keep its settings once, on the console at the machine, or give them with --settings"
        raise MachineNotKnown(machine=machine_id, reason=why)
    tools = None if machine.kind in NO_TOOLS else machine.tools
    return _target(settings, tools, tool_change=tools is not None)


async def _profile(lab: EdgeSettings, machine_id: str) -> dict[int, str]:
    database = GuestDatabase.visit(lab.store.database(lab.lab.data_dir), lab.store)
    try:
        kept = (await SqliteStore(database).load(PROFILE_KEY + machine_id)).get(PROFILE_KEY + machine_id)
    finally:
        await asyncio.to_thread(database.close)
    return {row["number"]: row["value"] for row in json.loads(kept)} if kept is not None else {}


_NOT_DESCRIBED: Mapping[int, Tool] = {}


def _target(
    settings: Mapping[int, str], tools: Mapping[int, Tool] | None = _NOT_DESCRIBED, *, tool_change: bool = False
) -> Target:
    identity = Identity(settings=dict(settings))
    motion = MotionSettings.from_settings({f"${number}": value for number, value in settings.items()})
    # A laser takes nothing away that a tool could be too short for.
    is_laser = settings.get(_LASER_MODE, "0").strip().startswith("1")
    return Target(identity.travel(), motion, None if is_laser else tools, tool_change)
