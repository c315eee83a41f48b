# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue of a machine as the job management of OPC 40001-3 shows it: ISA-95 job orders with their states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.opcua_server.facts import JobFacts
from edge.opcua_server.stack import NodeId, ua

JOB_CONTROL = "MachineryBuildingBlocks/JobManagement/JobOrderControl"

# JobState of edge.domain.job -> the states of OPC 10031-4, 6.2.1; ended jobs have left the queue.
_STATES = {
    "REQUESTED": "NotAllowedToStart",
    "APPROVED": "AllowedToStart",
    "RUNNING": "Running",
    "HELD": "Interrupted",
    "INTERRUPTED": "Interrupted",
}


def job_list(jobs: Sequence[JobFacts], states: Mapping[str, tuple[NodeId, int]]) -> list[Any]:
    """Return the value of JobOrderList; `states` are those of ISA95JobOrderReceiverObjectType by name."""
    orders = []
    for job in jobs:
        name = _STATES[job.state]
        state = ua.ISA95StateDataType(StateText=ua.LocalizedText(name), StateNumber=states[name][1])
        order = ua.ISA95JobOrderDataType(JobOrderID=str(job.claim), Description=[ua.LocalizedText(job.program)])
        orders.append(ua.ISA95JobOrderAndStateDataType(JobOrder=order, State=[state]))
    return orders


_PLANNED = {
    "REQUESTED": "Initializing",
    "APPROVED": "Initializing",
    "RUNNING": "Running",
    "HELD": "Interrupted",
    "INTERRUPTED": "Interrupted",
}
PLAN = "Production/ProductionPlan"
JOB_TYPE = 29
JOB_STATES = 28
PROGRAM_TYPE = 59


def job_values(job: JobFacts, number: int, states: Mapping[str, tuple[NodeId, int]]) -> dict[str, Any]:
    """Return the values below a ProductionJobType (OPC 40501-1, 8.4.3); `states` are those of its state machine."""
    state, state_number = states[_PLANNED[job.state]]
    return {
        "Identifier": ua.Variant(str(job.claim)),
        "NumberInList": ua.Variant(number, ua.VariantType.UInt16),
        "RunsCompleted": ua.Variant(0, ua.VariantType.UInt32),
        "RunsPlanned": ua.Variant(1, ua.VariantType.UInt32),
        "RunsPlanned/IsValid": ua.Variant(True, ua.VariantType.Boolean),  # noqa: FBT003 - a value
        "State/CurrentState": ua.Variant(ua.LocalizedText(_PLANNED[job.state])),
        "State/CurrentState/Id": ua.Variant(state, ua.VariantType.NodeId),
        "State/CurrentState/Number": ua.Variant(state_number, ua.VariantType.UInt32),
        "ProductionPrograms/Program/Name": ua.Variant(job.program),
        "ProductionPrograms/Program/NumberInList": ua.Variant(0, ua.VariantType.UInt16),
    }


def settle_job_control(no_state: Any) -> dict[str, Any]:
    """Return what never changes: no job comes in this way, and one state cannot be that of many jobs."""
    texts = ("EquipmentID", "MaterialClassID", "MaterialDefinitionID", "PersonnelID", "PhysicalAssetID")
    return {
        **{f"{JOB_CONTROL}/{name}": ua.Variant([], ua.VariantType.String, is_array=True) for name in texts},
        f"{JOB_CONTROL}/WorkMaster": ua.Variant([], ua.VariantType.ExtensionObject, is_array=True),
        f"{JOB_CONTROL}/MaxDownloadableJobOrders": ua.Variant(0, ua.VariantType.UInt16),
        f"{JOB_CONTROL}/CurrentState": ua.DataValue(StatusCode=no_state),
        f"{JOB_CONTROL}/CurrentState/Id": ua.DataValue(StatusCode=no_state),
    }
