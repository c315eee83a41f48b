# SPDX-License-Identifier: GPL-3.0-or-later
"""Structures of OPC 10031-4 in their binary encoding: ours, and the library's from the published fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given, strategies

from edge.domain.machine import Execution
from edge.drivers.opcua import isa95
from edge.drivers.opcua.models import jobs
from edge.drivers.opcua.models.model import MOST_ORDERS
from tests.hardware_sim.opcua_lathe import isa95 as library
from tests.support.opcua_shelf import ANYTHING

NAMESPACES = ("http://opcfoundation.org/UA/", "urn:server", isa95.URI)
WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def test_an_order_is_what_the_library_reads() -> None:
    argument = isa95.job_order(NAMESPACES, "infomobil-1", "PART-7.NC", "/Van/PART-7.NC", "InfoMobil: PART-7.NC")
    assert argument.TypeId == ua.NodeId(5014, 2)
    order = library.read_order(argument, 2)
    assert order.JobOrderID == "infomobil-1"
    assert order.WorkMasterID is not None
    (master,) = order.WorkMasterID
    assert master.ID == "PART-7.NC"
    assert master.Parameters is not None
    assert [(one.ID, one.Value.Value) for one in master.Parameters] == [("LocalPath", "/Van/PART-7.NC")]


def test_a_server_without_the_model_gets_no_order() -> None:
    with pytest.raises(ValueError, match="not in"):
        isa95.job_order(NAMESPACES[:2], "infomobil-1", "A.NC", "/A.NC", "")


def full_order() -> library.JobOrder:
    """Return an order with everything that the library's classes know."""
    parameter = library.Parameter(
        ID="Depth",
        Value=ua.Variant([1.5, 2.5], ua.VariantType.Double),
        Description=[ua.LocalizedText("how deep", "en")],
        EngineeringUnits=ua.EUInformation("http://www.opcfoundation.org/UA/units/un/cefact", 5066068),
        Subparameters=[library.Parameter(ID="Step", Value=ua.Variant(3))],
    )
    master = library.WorkMaster(ID="W", Description=ua.LocalizedText("master"), Parameters=[parameter])
    return library.JobOrder(
        JobOrderID="J",
        Description=[ua.LocalizedText("a"), ua.LocalizedText("b")],
        WorkMasterID=[master, library.WorkMaster(ID="V")],
        StartTime=WHEN,
        EndTime=WHEN,
        Priority=-3,
        JobOrderParameters=[parameter],
    )


def entry(order: library.JobOrder, *states: int) -> ua.ExtensionObject:
    """Return an entry of a job order list."""
    told = library.OrderAndState(order, [library.State(StateNumber=one) for one in states])
    return ua.ExtensionObject(TypeId=ua.NodeId(library.ORDER_AND_STATE_BINARY, 2), Body=struct_to_binary(told))


def test_what_the_library_writes_is_read_and_written_again() -> None:
    body = struct_to_binary(full_order())
    fields = isa95.decode("JobOrder", body)
    assert fields["Priority"] == -3
    assert fields["StartTime"] == WHEN
    assert fields["WorkMasterID"][0]["Parameters"][0]["Subparameters"][0]["ID"] == "Step"
    assert isa95.encode("JobOrder", fields) == body


@pytest.mark.parametrize(
    ("requirement", "kind", "name"),
    [
        ("PersonnelRequirements", "Personnel", "ID"),
        ("EquipmentRequirements", "Equipment", "ID"),
        ("PhysicalAssetRequirements", "PhysicalAsset", "ID"),
        ("MaterialRequirements", "Material", "MaterialLotID"),
    ],
)
def test_resources_of_an_order_are_read(requirement: str, kind: str, name: str) -> None:
    resource = {name: "X", "Quantity": "2.5", "Properties": [{"ID": "P", "Value": ua.Variant(1)}]}
    fields = isa95.decode("JobOrder", isa95.encode("JobOrder", {"JobOrderID": "J", requirement: [resource]}))
    assert fields[requirement][0] | resource == fields[requirement][0]
    assert isa95.encode(kind, fields[requirement][0]) == isa95.encode(kind, resource)


def test_the_first_state_is_the_top_one() -> None:
    listed = [entry(full_order(), isa95.INTERRUPTED, 2), entry(library.JobOrder(JobOrderID="K"), isa95.RUNNING)]
    assert isa95.job_states(listed) == {"J": isa95.INTERRUPTED, "K": isa95.RUNNING}
    assert isa95.job_states([entry(library.JobOrder(JobOrderID="L"))]) == {}


@given(ANYTHING)
def test_a_list_that_makes_no_sense_has_no_orders(value: Any) -> None:
    assert isa95.job_states(value) == {}
    assert isa95.job_states([value, ua.ExtensionObject(Body=None)]) == {}


@given(strategies.data())
def test_a_body_that_is_cut_or_changed_is_refused_or_read(data: strategies.DataObject) -> None:
    body = bytearray(entry(full_order(), isa95.RUNNING).Body)
    cut = data.draw(strategies.integers(0, len(body) - 1))
    with pytest.raises(ValueError, match="not a structure"):
        isa95.decode("JobOrderAndState", bytes(body[:cut]))
    body[data.draw(strategies.integers(0, len(body) - 1))] = data.draw(strategies.integers(0, 255))
    isa95.job_states([ua.ExtensionObject(Body=bytes(body))])


def job_orders(*states: int) -> list[Any]:
    """Return a list with an order in each of these states, as it comes off the wire: nothing is the same object."""
    return [entry(library.JobOrder(JobOrderID=f"J{index}"), state) for index, state in enumerate(states)]


def test_what_both_look_at_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    decode = isa95.decode

    def counted(kind: str, body: bytes) -> dict[str, Any]:
        decoded.append(body)
        return decode(kind, body)

    monkeypatch.setattr(isa95, "decode", counted)
    isa95.listed.cache_clear()
    states = [isa95.ENDED] * (MOST_ORDERS - 1) + [isa95.RUNNING]
    for _ in range(3):
        isa95.job_states(job_orders(*states))
        assert jobs.active(job_orders(*states)) == jobs.Job(f"J{MOST_ORDERS - 1}", Execution.ACTIVE)
    assert len(decoded) == MOST_ORDERS
    isa95.job_states(job_orders(*states[:-1], isa95.ENDED))
    assert len(decoded) == MOST_ORDERS + 1


def test_of_a_long_list_only_the_last_are_looked_at() -> None:
    listed = job_orders(isa95.RUNNING, *[isa95.ENDED] * MOST_ORDERS)
    assert len(isa95.job_states(listed)) == MOST_ORDERS
    assert "J0" not in isa95.job_states(listed)
    assert jobs.active(listed) == jobs.Job(None, Execution.PROGRAM_COMPLETED)


def test_a_name_that_is_no_unicode_is_shown_and_stays_what_the_machine_calls_it() -> None:
    name = b"WELLE_\xd820".decode(errors="surrogateescape")
    order = library.JobOrder(JobOrderID=name, WorkMasterID=[library.WorkMaster(ID=name)])
    listed = [entry(order, isa95.RUNNING)]
    assert isa95.job_states(listed) == {name: isa95.RUNNING}
    assert jobs.active(listed) == jobs.Job("WELLE_?20", Execution.ACTIVE)
