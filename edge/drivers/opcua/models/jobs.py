# SPDX-License-Identifier: GPL-3.0-or-later
"""Job orders of OPC 10031-4 (ISA-95 Job Control 2.0), as OPC 40001-3 (Machinery Jobs 1.0) builds them into machines.

A JobOrderList is an array of ISA95JobOrderAndStateDataType: a job order, and the path of its states from the top one
down. State numbers are those of ISA95JobOrderReceiverObjectType in the published node set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.domain.machine import Execution
from edge.drivers.opcua.models.model import MOST_ORDERS
from edge.drivers.opcua.models.values import text, word_of
from edge.drivers.opcua.texts import clean

ORDER_LIST = "JobOrderList"
METHODS = (
    *("Store", "StoreAndStart", "Update", "Start", "RevokeStart"),
    *("Stop", "Pause", "Resume", "Abort", "Cancel", "Clear"),
)

_EXECUTIONS = {
    1: Execution.READY,
    2: Execution.READY,
    3: Execution.ACTIVE,
    4: Execution.INTERRUPTED,
    5: Execution.PROGRAM_COMPLETED,
    6: Execution.STOPPED,
}
_BEGUN = (Execution.ACTIVE, Execution.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Job:
    """A job order: program is its work master, else its own identifier."""

    program: str | None
    execution: Execution


def active(order_list: object) -> Job | None:
    """Return the job that runs or is interrupted; without one, the last of the list. None where nothing is known.

    Structures are objects or mappings with the fields of their types, or extension objects in their binary encoding.
    """
    found = [job for job in map(_job, items(order_list)[-MOST_ORDERS:]) if job is not None]
    for execution in _BEGUN:
        for job in found:
            if job.execution is execution:
                return job
    # What does not run is the program of nobody.
    return Job(None, found[-1].execution) if found else None


def _job(entry: object) -> Job | None:
    if isinstance(body := part(entry, "Body"), bytes):
        return _listed(body)
    order, states = part(entry, "JobOrder"), items(part(entry, "State"))
    execution = word_of(_EXECUTIONS, part(states[0], "StateNumber")) if states else None
    if execution is None:
        return None
    masters = items(part(order, "WorkMasterID"))
    master = text(part(masters[0], "ID")) if masters else None
    return Job(master or text(part(order, "JobOrderID")), execution)


def _listed(body: bytes) -> Job | None:
    # Here: who has such a body has asyncua loaded, a van without such a machine need not.
    from edge.drivers.opcua.isa95 import listed

    one = listed(body)
    execution = None if one is None else word_of(_EXECUTIONS, one.state)
    if one is None or execution is None:
        return None
    return Job(text(shown(one.work_master)) or text(shown(one.job_id)), execution)


def shown(name: str | None) -> str:
    """Return a name as screens and files can take it: a machine's bytes may be no UTF-8."""
    return clean(name or "")


def part(structure: object, name: str) -> object:
    """Return a field of a structure, None where it has none."""
    if isinstance(structure, Mapping):
        return structure.get(name)
    return getattr(structure, name, None)


def items(value: object) -> Sequence[object]:
    """Return the elements of an array, none of anything else."""
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()
