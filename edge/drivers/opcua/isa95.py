# SPDX-License-Identifier: GPL-3.0-or-later
"""The structures of OPC 10031-4 (ISA-95 job control, version 2) in their binary encoding.

They are encoded here and not by classes that asyncua makes from a server's type descriptions: it keeps those by NodeId
for the whole process, and two machines give the same NodeId to different types. Fields, their order and which of them
are optional are those of the published model; a structure with optional fields begins with the mask of those present.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import from_binary, nodeid_from_binary, to_binary, unpack_uatype

from edge.drivers.opcua.models.model import MOST_ORDERS
from edge.drivers.opcua.translate import FOREIGN, ua

URI = "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/"
_JOB_ORDER_BINARY = 5014
# OPC 10000-6, 5.2.2.16: the first byte of a Variant.
_TYPE_MASK, _HAS_DIMENSIONS, _IS_ARRAY = 0x3F, 0x40, 0x80

NOT_ALLOWED_TO_START, ALLOWED_TO_START, RUNNING, INTERRUPTED, ENDED, ABORTED = range(1, 7)
"""The state numbers of ISA95JobOrderReceiverObjectType."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: str
    is_list: bool = False
    optional: bool = False


def _fields(*words: str) -> tuple[_Field, ...]:
    """Return fields of `name: kind`; a kind ends in [] for a list, and then in ? where it is optional."""
    found = []
    for name, kind in (word.split(": ") for word in words):
        plain = kind.removesuffix("?")
        found.append(_Field(name, plain.removesuffix("[]"), plain.endswith("[]"), kind.endswith("?")))
    return tuple(found)


_RESOURCE = ("Quantity: String?", "EngineeringUnits: EUInformation?", "Properties: Property[]?")
_STRUCTURES: Mapping[str, tuple[_Field, ...]] = {
    "Property": _fields(
        "ID: String",
        "Value: Variant",
        "Description: LocalizedText[]?",
        "EngineeringUnits: EUInformation?",
        "Subproperties: Property[]?",
    ),
    "Parameter": _fields(
        "ID: String",
        "Value: Variant",
        "Description: LocalizedText[]?",
        "EngineeringUnits: EUInformation?",
        "Subparameters: Parameter[]?",
    ),
    "WorkMaster": _fields("ID: String", "Description: LocalizedText?", "Parameters: Parameter[]?"),
    "Personnel": _fields("ID: String", "Description: LocalizedText[]?", "PersonnelUse: String?", *_RESOURCE),
    "Equipment": _fields("ID: String", "Description: LocalizedText[]?", "EquipmentUse: String?", *_RESOURCE),
    "PhysicalAsset": _fields("ID: String", "Description: LocalizedText[]?", "PhysicalAssetUse: String?", *_RESOURCE),
    "Material": _fields(
        "MaterialClassID: String?",
        "MaterialDefinitionID: String?",
        "MaterialLotID: String?",
        "MaterialSublotID: String?",
        "Description: LocalizedText[]?",
        "MaterialUse: String?",
        *_RESOURCE,
    ),
    "JobOrder": _fields(
        "JobOrderID: String",
        "Description: LocalizedText[]?",
        "WorkMasterID: WorkMaster[]?",
        "StartTime: DateTime?",
        "EndTime: DateTime?",
        "Priority: Int16?",
        "JobOrderParameters: Parameter[]?",
        "PersonnelRequirements: Personnel[]?",
        "EquipmentRequirements: Equipment[]?",
        "PhysicalAssetRequirements: PhysicalAsset[]?",
        "MaterialRequirements: Material[]?",
    ),
    "State": _fields("BrowsePath: RelativePath", "StateText: LocalizedText", "StateNumber: UInt32"),
    "JobOrderAndState": _fields("JobOrder: JobOrder", "State: State[]"),
}


def encode(kind: str, value: Mapping[str, Any]) -> bytes:
    """Return the binary encoding of a structure given as its fields."""
    fields = _STRUCTURES[kind]
    optional = [one for one in fields if one.optional]
    parts = []
    if optional:
        mask = sum(1 << index for index, one in enumerate(optional) if value.get(one.name) is not None)
        parts.append(to_binary(ua.UInt32, mask))
    for one in fields:
        content = value.get(one.name)
        if content is None and one.optional:
            continue
        if one.is_list:
            parts.append(to_binary(ua.Int32, len(content or ())))
            parts.extend(_encode_one(one.kind, item) for item in content or ())
        else:
            parts.append(_encode_one(one.kind, content))
    return b"".join(parts)


def decode(kind: str, body: bytes) -> dict[str, Any]:
    """Return the fields of a structure. Raises ValueError where `body` is no such structure."""
    try:
        return _decode(kind, Buffer(body))
    except FOREIGN as error:
        raise ValueError(f"not a structure {kind}") from error


def _encode_one(kind: str, value: Any) -> bytes:
    if kind in _STRUCTURES:
        return encode(kind, value)
    encoded: bytes = to_binary(getattr(ua, kind), value)
    return encoded


def _decode(kind: str, data: Buffer) -> dict[str, Any]:
    fields = _STRUCTURES[kind]
    optional = [one.name for one in fields if one.optional]
    mask = from_binary(ua.UInt32, data) if optional else 0
    value: dict[str, Any] = {}
    for one in fields:
        if one.optional and not mask & 1 << optional.index(one.name):
            continue
        if one.is_list:
            value[one.name] = [_decode_one(one.kind, data) for _ in range(_count(data))]
        else:
            value[one.name] = _decode_one(one.kind, data)
    return value


def _decode_one(kind: str, data: Buffer) -> Any:
    if kind == "Variant":
        return _variant(data)
    return _decode(kind, data) if kind in _STRUCTURES else from_binary(getattr(ua, kind), data)


def _count(data: Buffer) -> int:
    count: int = from_binary(ua.Int32, data)
    if count > len(data):
        raise ValueError("more entries than bytes")
    return count


def _variant(data: Buffer) -> Any:
    # The library's own reading of a Variant takes any number of Nulls for an array, two thousand million, too.
    encoding = data.read(1)[0]
    kind = ua.VariantType(encoding & _TYPE_MASK)
    if not encoding & _IS_ARRAY:
        return ua.Variant(_scalar(kind, data), kind)
    values = [_scalar(kind, data) for _ in range(_count(data))]
    if encoding & _HAS_DIMENSIONS:
        for _ in range(_count(data)):
            from_binary(ua.Int32, data)
    return ua.Variant(values, kind, is_array=True)


def _scalar(kind: Any, data: Buffer) -> Any:
    match kind:
        case ua.VariantType.Variant:
            return _variant(data)
        case ua.VariantType.ExtensionObject:
            type_id, has_body = nodeid_from_binary(data), data.read(1)[0]
            return ua.ExtensionObject(TypeId=type_id, Body=from_binary(ua.ByteString, data) if has_body else None)
        case ua.VariantType.DataValue:
            raise ValueError("a DataValue is no value of a parameter")
        case _:
            return unpack_uatype(kind, data)


def job_order(namespaces: Sequence[str], job_id: str, program: str, local_path: str, description: str) -> Any:
    """Return the argument of Store: a job order whose work master is a program.

    The work master's id is the program's name; its parameter LocalPath is the path of the file below the machine's file
    system, as OPC 40504-1, 8.2 and OPC 40301, 7.1.3.2 tie the two. Raises ValueError where the server lacks the model.
    """
    order = {
        "JobOrderID": job_id,
        "Description": [ua.LocalizedText(description)],
        "WorkMasterID": [
            {"ID": program, "Parameters": [{"ID": "LocalPath", "Value": ua.Variant(local_path)}]},
        ],
    }
    type_id = ua.NodeId(_JOB_ORDER_BINARY, namespaces.index(URI))
    return ua.ExtensionObject(TypeId=type_id, Body=encode("JobOrder", order))


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of a job order list: the order's id, the id of its first work master, and its top state (7.3.3).

    Texts are as the machine wrote them, by which alone it knows them: they may be no Unicode.
    """

    job_id: str | None
    work_master: str | None
    state: int | None


@lru_cache(maxsize=10 * MOST_ORDERS)
def listed(body: bytes) -> Listed | None:
    """Return what an entry of a job order list says, None where it makes no sense.

    Remembered, because a list is looked at with each report of any value and by two, and seldom changes.
    """
    try:
        fields = decode("JobOrderAndState", body)
    except ValueError:
        return None
    order, states = fields["JobOrder"], fields["State"]
    masters = order.get("WorkMasterID")
    return Listed(
        order["JobOrderID"],
        masters[0]["ID"] if masters else None,
        int(states[0]["StateNumber"]) if states else None,
    )


def job_states(value: object) -> dict[str, int]:
    """Return the states of the newest MOST_ORDERS job orders of a JobOrderList by their ids.

    Entries that make no sense are left out.
    """
    states: dict[str, int] = {}
    for entry in value[-MOST_ORDERS:] if isinstance(value, list) else ():
        body = getattr(entry, "Body", None)
        one = listed(body) if isinstance(body, bytes) else None
        if one is not None and one.state is not None:
            states[str(one.job_id)] = one.state
    return states
