# SPDX-License-Identifier: GPL-3.0-or-later
"""The structures of OPC 10031-4 (ISA-95 job control, version 2) that the lathe reads and writes.

Field names and their order are those of the published model; the library encodes and decodes them. What the lathe does
not look at (personnel, equipment, assets, material) it refuses to read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

JOB_ORDER = 3008
JOB_ORDER_BINARY = 5014
ORDER_AND_STATE = 3015
ORDER_AND_STATE_BINARY = 5032


@dataclass
class Parameter:
    """ISA95ParameterDataType, i=3003."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=False)
    ID: ua.String = ""
    Value: ua.Variant = field(default_factory=ua.Variant)
    Description: list[ua.LocalizedText] | None = None
    EngineeringUnits: ua.EUInformation | None = None
    Subparameters: list[Parameter] | None = None


@dataclass
class WorkMaster:
    """ISA95WorkMasterDataType, i=3007."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=False)
    ID: ua.String = ""
    Description: ua.LocalizedText | None = None
    Parameters: list[Parameter] | None = None


@dataclass
class JobOrder:
    """ISA95JobOrderDataType, i=3008, up to its parameters."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=False)
    JobOrderID: ua.String = ""
    Description: list[ua.LocalizedText] | None = None
    WorkMasterID: list[WorkMaster] | None = None
    StartTime: ua.DateTime | None = None
    EndTime: ua.DateTime | None = None
    Priority: ua.Int16 | None = None
    JobOrderParameters: list[Parameter] | None = None


@dataclass
class State:
    """ISA95StateDataType, i=3006."""

    BrowsePath: ua.RelativePath = field(default_factory=ua.RelativePath)
    StateText: ua.LocalizedText = field(default_factory=ua.LocalizedText)
    StateNumber: ua.UInt32 = 0


@dataclass
class OrderAndState:
    """ISA95JobOrderAndStateDataType, i=3015."""

    JobOrder: JobOrder = field(default_factory=JobOrder)
    State: list[State] = field(default_factory=list)


def read_order(value: Any, namespace: int) -> JobOrder:
    """Return the job order in an ExtensionObject. Raises ValueError."""
    if not isinstance(value, ua.ExtensionObject) or value.TypeId != ua.NodeId(JOB_ORDER_BINARY, namespace):
        raise ValueError("not a job order")
    buffer = Buffer(value.Body)
    order: JobOrder = struct_from_binary(JobOrder, buffer)
    if len(buffer):
        raise ValueError("a job order with more than the lathe reads")
    return order


def order_and_state(order: JobOrder, number: int, text: str, namespace: int) -> ua.ExtensionObject:
    """Return an entry of the job order list."""
    entry = OrderAndState(order, [State(StateText=ua.LocalizedText(text), StateNumber=number)])
    return ua.ExtensionObject(TypeId=ua.NodeId(ORDER_AND_STATE_BINARY, namespace), Body=struct_to_binary(entry))
