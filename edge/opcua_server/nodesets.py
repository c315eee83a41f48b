# SPDX-License-Identifier: GPL-3.0-or-later
"""The information models that the OPC Foundation published, as they stand in its nodeset files.

The files come with the built pages (web/nodesets.mjs) and inside of the wheel; nothing of them is in the repository.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from edge.domain.errors import InfoMobilError
from edge.opcua_server.space import HAS_INTERFACE, AttributeIds, Space
from edge.opcua_server.stack import Server, node_id, ua

DI = "http://opcfoundation.org/UA/DI/"
IA = "http://opcfoundation.org/UA/IA/"
MACHINERY = "http://opcfoundation.org/UA/Machinery/"
JOB_CONTROL_URI = "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/"
MACHINERY_JOBS = "http://opcfoundation.org/UA/Machinery/Jobs/"
MACHINE_TOOL = "http://opcfoundation.org/UA/MachineTool/"

FILES = {
    DI: "Opc.Ua.Di.NodeSet2.xml",
    IA: "Opc.Ua.IA.NodeSet2.xml",
    MACHINERY: "Opc.Ua.Machinery.NodeSet2.xml",
    JOB_CONTROL_URI: "opc.ua.isa95-jobcontrol.nodeset2.xml",
    MACHINERY_JOBS: "Opc.Ua.Machinery.Jobs.Nodeset2.xml",
    MACHINE_TOOL: "Opc.Ua.MachineTool.NodeSet2.xml",
}
"""Each model after those that it requires."""

PACKAGED = Path(__file__).parent / "nodesets"
CHECKOUT = Path(__file__).parents[2] / "web" / "dist" / "nodesets"

_XML = {"ua": "http://opcfoundation.org/UA/2011/03/UANodeSet.xsd"}
_ANY_TYPE = node_id(ua.ObjectIds.BaseDataType)
_VARIABLES = (ua.NodeClass.Variable, ua.NodeClass.VariableType)


class NodesetsMissing(InfoMobilError):
    """The nodesets of the OPC UA server are not in {folder}: build them with the pages (make web)."""


def nodesets_dir() -> Path:
    """Return the folder of the files: of the installed wheel, or of the checkout. Raises NodesetsMissing."""
    folder = PACKAGED if PACKAGED.is_dir() else CHECKOUT
    if not all((folder / name).is_file() for name in FILES.values()):
        raise NodesetsMissing(folder=folder)
    return folder


async def load_nodesets(server: Server) -> None:
    """Bring all models into a server that was initialised, some 2 s of computing. Raises NodesetsMissing.

    Nodes that a file keeps for design tools only (`DesignToolOnly`) are no part of a server and stay out.
    """
    folder = nodesets_dir()
    # The importer tells at length of what is put right below, and of bit fields in structures that nobody writes here.
    noisy = logging.getLogger("asyncua")
    level = noisy.level
    noisy.setLevel(logging.CRITICAL)
    try:
        for name in FILES.values():
            await server.import_xml(str(folder / name), strict_mode=False)
    finally:
        noisy.setLevel(level)
    namespaces = {uri: index for index, uri in enumerate(await server.get_namespace_array())}
    space = Space(server)
    for uri, name in FILES.items():
        for identifier, definition in _definitions(folder / name):
            value = ua.DataValue(ua.Variant(definition, ua.VariantType.ExtensionObject))
            space.put(node_id(identifier, namespaces[uri]), AttributeIds.DataTypeDefinition, value)
    _put_right(space)


def _definitions(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the definitions of data types that the importer leaves out, by numeric id.

    These are bit fields over unsigned integers (OPC 10000-3, 8.40), and structures without a field of their own.
    """
    for node in ElementTree.parse(path).getroot().iterfind("ua:UADataType", _XML):
        found = re.fullmatch(r"ns=1;i=(\d+)", node.get("NodeId", ""))
        definition = node.find("ua:Definition", _XML)
        if found is None or definition is None:
            continue
        rows = [
            ua.EnumField(
                Name=row.get("Name"),
                DisplayName=ua.LocalizedText(row.get("Name")),
                Description=ua.LocalizedText(row.findtext("ua:Description", namespaces=_XML)),
                Value=int(row.get("Value", "0")),
            )
            for row in definition.iterfind("ua:Field", _XML)
            if definition.get("IsOptionSet") == "true"
        ]
        if rows:
            yield int(found[1]), ua.EnumDefinition(rows)
        elif definition.find("ua:Field", _XML) is None:
            yield int(found[1]), ua.StructureDefinition(BaseDataType=node_id(ua.ObjectIds.Structure))


def _put_right(space: Space) -> None:
    """Give variables without a data type the one that the file's schema means, and interfaces their way back."""
    for one in space.ids():
        if one.NamespaceIndex and space.attribute(one, AttributeIds.NodeClass) in _VARIABLES:
            if space.attribute(one, AttributeIds.DataType).is_null():
                space.put(one, AttributeIds.DataType, ua.DataValue(ua.Variant(_ANY_TYPE, ua.VariantType.NodeId)))
        for interface in list(space.targets(one, HAS_INTERFACE)):
            space.refer(one, HAS_INTERFACE, interface)
