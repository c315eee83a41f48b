# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of OPC 40501-1: what its enumerations and states are called in MTConnect.

Enumerations are those of 12.1 (ChannelState), 12.2 (ChannelMode) and 12.5 (MachineOperationMode); states those of 8.4.8
(ProductionStateMachineType and its subtype for programs), of OPC 40001-1, 12.2 (MachineryItemState) and 12.3
(MachineryOperationMode), with the numeric ids and StateNumbers of the published node sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge.domain.machine import ControllerMode, Execution
from edge.drivers.opcua.models.values import text, word_of

Word = TypeVar("Word")

CHANNEL_STATES = {0: Execution.ACTIVE, 1: Execution.INTERRUPTED, 2: Execution.READY}
CHANNEL_MODES = {
    0: ControllerMode.AUTOMATIC,
    1: ControllerMode.MANUAL_DATA_INPUT,
    2: ControllerMode.MANUAL,
    3: ControllerMode.MANUAL,
    4: ControllerMode.MANUAL,
    5: ControllerMode.AUTOMATIC,
    6: ControllerMode.MANUAL,
}
OPERATION_MODES = {
    0: ControllerMode.MANUAL,
    1: ControllerMode.AUTOMATIC,
    2: ControllerMode.MANUAL,
    3: ControllerMode.AUTOMATIC,
    4: ControllerMode.MANUAL,
}


@dataclass(frozen=True, slots=True)
class States(Generic[Word]):
    """The states of a state machine: by the number of the state's NodeId, by StateNumber, by name."""

    ids: Mapping[int, Word]
    numbers: Mapping[int, Word]
    names: Mapping[str, Word]

    def of(self, values: Mapping[str, object], path: str, namespace: int) -> Word | None:
        """Return the word for the CurrentState below `path`: by its Id, else by its Number, else by its name.

        A maker's own subtype has state nodes of its own, which keep the number and the name.
        """
        node_id = values.get(f"{path}/CurrentState/Id")
        for number, word in self.ids.items():
            if node_id == f"ns={namespace};i={number}":
                return word
        found = word_of(self.numbers, values.get(f"{path}/CurrentState/Number"))
        if found is not None:
            return found
        name = text(values.get(f"{path}/CurrentState"))
        return None if name is None else self.names.get(name.replace(" ", "").lower())

    @staticmethod
    def nodes(path: str) -> tuple[str, ...]:
        """Return the paths that `of` looks at."""
        return f"{path}/CurrentState/Id", f"{path}/CurrentState/Number", f"{path}/CurrentState"


ITEM_STATES = States(
    ids={
        5005: Execution.UNAVAILABLE,
        5004: Execution.UNAVAILABLE,
        5007: Execution.READY,
        5006: Execution.ACTIVE,
    },
    numbers={0: Execution.UNAVAILABLE, 1: Execution.UNAVAILABLE, 2: Execution.READY, 3: Execution.ACTIVE},
    names={
        "notavailable": Execution.UNAVAILABLE,
        "outofservice": Execution.UNAVAILABLE,
        "notexecuting": Execution.READY,
        "executing": Execution.ACTIVE,
    },
)

# MachineToolType's own subtype of the Machinery state machine (5058 to 5061), and Machinery's (5024 to 5027).
TOOL_MODES = States(
    ids={5058: ControllerMode.MANUAL, 5060: ControllerMode.AUTOMATIC, 5061: ControllerMode.MANUAL},
    numbers={1: ControllerMode.MANUAL, 2: ControllerMode.MANUAL, 3: ControllerMode.AUTOMATIC},
    names={
        "maintenance": ControllerMode.MANUAL,
        "setup": ControllerMode.MANUAL,
        "processing": ControllerMode.AUTOMATIC,
    },
)
MACHINERY_MODES = States(
    ids={5025: ControllerMode.MANUAL, 5026: ControllerMode.AUTOMATIC, 5027: ControllerMode.MANUAL},
    numbers={},
    names={},
)

PROGRAM_STATES = States(
    ids={
        **{135: Execution.READY, 138: Execution.ACTIVE, 140: Execution.PROGRAM_COMPLETED},
        **{139: Execution.INTERRUPTED, 141: Execution.STOPPED},
        **{5039: Execution.READY, 5041: Execution.ACTIVE, 5038: Execution.PROGRAM_COMPLETED},
        **{5040: Execution.INTERRUPTED, 5037: Execution.STOPPED},
    },
    numbers={
        0: Execution.READY,
        1: Execution.ACTIVE,
        2: Execution.PROGRAM_COMPLETED,
        3: Execution.INTERRUPTED,
        4: Execution.STOPPED,
    },
    names={
        "initializing": Execution.READY,
        "running": Execution.ACTIVE,
        "ended": Execution.PROGRAM_COMPLETED,
        "interrupted": Execution.INTERRUPTED,
        "aborted": Execution.STOPPED,
    },
)
