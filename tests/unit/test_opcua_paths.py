# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways through an address space."""

from __future__ import annotations

import pytest

from edge.drivers.opcua.models.paths import instances, resolve
from tests.support.opcua_shelf import Child, Shelf


@pytest.mark.parametrize(
    ("path", "node_id"),
    [
        ("Interlock/DoorClosed", "door"),
        ("Interlock", "il"),
        ("Interlock/Nothing", None),
        ("Nothing/DoorClosed", None),
        ("nsu=vendor;s=Door", "ns=2;s=Door"),
        ("nsu=vendor;s=/Plc/DB10.DBX106.1", "ns=2;s=/Plc/DB10.DBX106.1"),
        ("nsu=nobody;s=Door", None),
    ],
)
async def test_an_input_is_named_by_path_or_by_node_id(path: str, node_id: str | None) -> None:
    children = {"root": [Child("Interlock", "il")], "il": [Child("DoorClosed", "door")]}
    assert await resolve(Shelf(("ua", "app", "vendor"), children), "root", path) == node_id


async def test_objects_of_a_type_are_found_at_any_level_down_to_a_depth_and_not_inside_each_other() -> None:
    shelf = Shelf(supertypes={"ns=4;i=2": "ns=4;i=1"})
    shelf.put("i=85", "Server", "i=2004", "server")
    shelf.put("server", "Hidden", "ns=4;i=1")
    shelf.put("i=85", "Value", "i=63", "value")
    shelf.put("i=85", "Folder", "i=61", "folder")
    shelf.put("folder", "Near", "ns=4;i=1", "near")
    shelf.put("folder", "Again", "i=61", "folder")
    shelf.put("near", "Inner", "ns=4;i=1")
    shelf.put("folder", "Deep", "i=61", "deep")
    shelf.put("deep", "Derived", "ns=4;i=2")
    shelf.put("deep", "Deeper", "i=61", "deeper")
    shelf.put("deeper", "Far", "ns=4;i=1")
    found = await instances(shelf, "i=85", ["ns=4;i=1"], 3)
    assert [one.name for one in found] == ["Near", "Derived"]
    assert not {"server", "value"} & set(shelf.browsed)
