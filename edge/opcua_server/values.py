# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of a machine tool say for the facts of a machine: pure, by the path from the machine's node.

The words are those of OPC 40501-1 (ChannelState 12.1, ChannelMode 12.2, MachineOperationMode 12.5, program states
8.4.8) and of OPC 40001-1 (MachineryItemState 12.2, MachineryOperationMode 13.2). Whether a spindle turns is known to no
software here, so IsRotating never has a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from edge.opcua_server.facts import MachineFacts


class Quality(Enum):
    """Why a node has no value."""

    UNKNOWN = "the machine is heard and does not tell this"
    TOO_LARGE = "the machine tells more than the node can hold"
    UNHEARD = "the machine is not heard"
    SILENT = "the service that feeds the server is not heard"


@dataclass(frozen=True, slots=True)
class State:
    """A state of a state machine by its browse name."""

    name: str


Value = bool | int | float | str | State | Quality

FEED = "Monitoring/Channel/FeedOverride"
ITEM_STATE = "MachineryBuildingBlocks/MachineryItemState"
OPERATION_MODE = "MachineryBuildingBlocks/MachineryOperationMode"
PROGRAM_STATE = "Production/ActiveProgram/State"
PARTS = "Production/Statistics/PartsProducedInLifetime"
LAMPS = ("Red", "Yellow", "Green")

_UINT32 = 2**32 - 1
_CHANNEL_STATE = {"ACTIVE": 0, "INTERRUPTED": 1, "FEED_HOLD": 1, "READY": 2, "STOPPED": 2, "PROGRAM_COMPLETED": 2}
_CHANNEL_MODE = {"AUTOMATIC": 0, "MANUAL_DATA_INPUT": 1, "MANUAL": 2}
_OPERATION_MODE = {"AUTOMATIC": 1, "MANUAL_DATA_INPUT": 0, "MANUAL": 0}
_MACHINERY_MODE = {"AUTOMATIC": "Processing", "MANUAL_DATA_INPUT": "Setup", "MANUAL": "Setup"}
_PROGRAM_STATE = {
    "ACTIVE": "Running",
    "INTERRUPTED": "Interrupted",
    "FEED_HOLD": "Interrupted",
    "PROGRAM_COMPLETED": "Ended",
    "READY": "Initializing",
    "STOPPED": "Aborted",
}


def values_of(facts: MachineFacts) -> dict[str, Value]:
    """Return what each node says now; nodes that a machine has not are told all the same."""
    return dict(_told(facts)) if facts.available else dict.fromkeys(PATHS, Quality.UNHEARD)


def silence() -> dict[str, Value]:
    """Return what each node says when the service has fallen silent."""
    return dict.fromkeys(PATHS, Quality.SILENT)


def _told(facts: MachineFacts) -> Iterator[tuple[str, Value]]:
    execution, mode = facts.execution, facts.mode
    yield "Monitoring/MachineTool/OperationMode", _OPERATION_MODE.get(mode, Quality.UNKNOWN)
    yield "Monitoring/MachineTool/FeedOverride", _per_cent(facts.feed_override)
    yield ITEM_STATE, _item_state(facts)
    yield OPERATION_MODE, _state(_MACHINERY_MODE, mode)
    yield "Monitoring/Channel/ChannelState", _CHANNEL_STATE.get(execution, Quality.UNKNOWN)
    yield "Monitoring/Channel/ChannelMode", _CHANNEL_MODE.get(mode, Quality.UNKNOWN)
    yield FEED, _per_cent(facts.feed_override)
    yield "Monitoring/Channel/RapidOverride", _per_cent(facts.rapid_override)
    yield "Monitoring/Spindle/IsRotating", Quality.UNKNOWN
    yield "Monitoring/Spindle/Override", _per_cent(facts.spindle_override)
    for lamp, lit in zip(LAMPS, _lit(facts), strict=True):
        yield f"Monitoring/Stacklight/{lamp}/SignalOn", Quality.UNKNOWN if lit is None else lit
    yield from _production(facts)


def _production(facts: MachineFacts) -> Iterator[tuple[str, Value]]:
    job = facts.job
    named = job.program if job is not None else facts.program
    yield "Production/ActiveProgram/Name", named or ""
    yield "Production/ActiveProgram/NumberInList", 0
    yield "Production/ActiveProgram/JobIdentifier", "" if job is None else str(job.claim)
    yield PROGRAM_STATE, Quality.UNKNOWN if named is None else _state(_PROGRAM_STATE, facts.execution)
    yield PARTS, _count(facts.part_count)
    yield "Identification/SoftwareRevision", facts.controller or Quality.UNKNOWN


def _state(words: Mapping[str, str], word: str) -> Value:
    return State(words[word]) if word in words else Quality.UNKNOWN


def _per_cent(override: int | None) -> Value:
    return Quality.UNKNOWN if override is None else float(override)


def _count(parts: int | None) -> Value:
    """Return a counter as OPC 40501-1, 8.4.12 has it: UInt32."""
    if parts is None:
        return Quality.UNKNOWN
    return parts if 0 <= parts <= _UINT32 else Quality.TOO_LARGE


def _item_state(facts: MachineFacts) -> Value:
    """Return OPC 40001-1's state: what executes does so also while something is wrong, and only what stands is blocked.

    Both OutOfService and NotExecuting say that nothing is being done; the latter, that a person's action is enough.
    """
    match _CHANNEL_STATE.get(facts.execution):
        case None:
            return Quality.UNKNOWN
        case 0:
            return State("Executing")
        case _:
            return State("OutOfService" if facts.blocked else "NotExecuting")


def _lit(facts: MachineFacts) -> tuple[bool | None, bool | None, bool | None]:
    """Return which of LAMPS are lit, None for not known.

    Red: a person has to look. Green: it executes, also where red is lit. Yellow: it stands or is held, and nothing is
    in the way of going on.
    """
    match _CHANNEL_STATE.get(facts.execution):
        case None:
            # What is wrong is known; that nothing is wrong is not, of a machine that does not tell what it does.
            return facts.blocked or None, None, None
        case 0:
            return facts.blocked, False, True
        case _:
            return facts.blocked, not facts.blocked, False


PATHS = tuple(path for path, _ in _told(MachineFacts("", 0)))
