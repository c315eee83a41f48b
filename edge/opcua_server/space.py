# SPDX-License-Identifier: GPL-3.0-or-later
"""The address space of the server as a graph: read it, and add nodes that are instances of types.

Works below asyncua's services, on the loop's thread, before or between requests: nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge.opcua_server.stack import DataValue, NodeId, QualifiedName, Server, Variant, node_id, status, ua

AttributeIds = ua.AttributeIds

HIERARCHY = node_id(ua.ObjectIds.HierarchicalReferences)
HAS_SUBTYPE = node_id(ua.ObjectIds.HasSubtype)
HAS_TYPE = node_id(ua.ObjectIds.HasTypeDefinition)
HAS_RULE = node_id(ua.ObjectIds.HasModellingRule)
HAS_INTERFACE = node_id(ua.ObjectIds.HasInterface)
MANDATORY = node_id(ua.ObjectIds.ModellingRule_Mandatory)
OPTIONAL = node_id(ua.ObjectIds.ModellingRule_Optional)

_TYPES = (ua.NodeClass.ObjectType, ua.NodeClass.VariableType)


@dataclass(frozen=True, slots=True)
class Declared:
    """A node that a type declares for its instances: how it hangs there, and whether every instance must have it.

    own is False where not the node that was asked declares it but that node's type.
    """

    node_id: NodeId
    name: QualifiedName
    reference: NodeId
    rule: NodeId | None
    own: bool


class Space:
    """Reads and writes nodes of a server by their ids."""

    def __init__(self, server: Server) -> None:
        self._space = server.iserver.aspace
        self._service = server.iserver.node_mgt_service
        self._hierarchical = {HIERARCHY, *self._subtypes(HIERARCHY)} - {HAS_SUBTYPE}

    def __contains__(self, node: NodeId) -> bool:
        return node in self._space

    def ids(self) -> list[NodeId]:
        """Return the ids of all nodes."""
        return list(self._space.keys())

    def attribute(self, node: NodeId, attribute: int) -> Any:
        """Return the value of an attribute, None where the node has none."""
        found = self._space.read_attribute_value(node, attribute).Value
        return None if found is None else found.Value

    def copy(self, node: NodeId, attribute: int) -> Variant | None:
        """Return the value of an attribute with its type."""
        found = self._space.read_attribute_value(node, attribute).Value
        return found if isinstance(found, Variant) else None

    def put(self, node: NodeId, attribute: int, value: DataValue) -> None:
        """Replace the value of an attribute without telling subscribers: for nodes that are being made."""
        self._space[node].attributes[attribute].value = value

    def name(self, node: NodeId) -> QualifiedName:
        """Return the browse name."""
        name: QualifiedName = self.attribute(node, AttributeIds.BrowseName)
        return name

    def targets(self, node: NodeId, reference: NodeId, *, forward: bool = True) -> Iterator[NodeId]:
        """Yield where references of exactly this type lead."""
        for one in self._space[node].references:
            if one.ReferenceTypeId == reference and one.IsForward == forward:
                yield one.NodeId

    def children(self, node: NodeId) -> Iterator[tuple[NodeId, NodeId]]:
        """Yield what hangs below a node: the id, and by which reference."""
        for one in self._space[node].references:
            if one.IsForward and one.ReferenceTypeId in self._hierarchical:
                yield one.NodeId, one.ReferenceTypeId

    def declared(self, node: NodeId) -> list[Declared]:
        """Return what a type, or a node that a type declares, declares of its instances (OPC 10000-3, 6.2 and 6.3).

        What a subtype declares again stands before what its supertype and its interfaces say.
        """
        found: dict[tuple[int, str], Declared] = {}
        is_type = self.attribute(node, AttributeIds.NodeClass) in _TYPES
        for origin in self._origins(node):
            for child, reference in self.children(origin):
                name = self.name(child)
                rule = next(self.targets(child, HAS_RULE), None)
                one = Declared(child, name, reference, rule, is_type or origin == node)
                found.setdefault((name.NamespaceIndex, name.Name), one)
        return list(found.values())

    def states(self, machine_type: NodeId) -> dict[str, tuple[NodeId, int]]:
        """Return the states of a state machine's type by name: the state's id and number."""
        found: dict[str, tuple[NodeId, int]] = {}
        state_types = (node_id(ua.ObjectIds.StateType), node_id(ua.ObjectIds.InitialStateType))
        for one in self.declared(machine_type):
            if next(self.targets(one.node_id, HAS_TYPE), None) in state_types:
                numbers = [child for child, _ in self.children(one.node_id) if self.name(child).Name == "StateNumber"]
                number = self.attribute(numbers[0], AttributeIds.Value) if numbers else 0
                found[one.name.Name] = (one.node_id, int(number or 0))
        return found

    def add(self, items: Sequence[Any]) -> None:
        """Add nodes. Raises the status code's error where one is refused."""
        for result in self._service.add_nodes(list(items)):
            result.StatusCode.check()

    def refer(self, source: NodeId, reference: NodeId, target: NodeId) -> None:
        """Add a reference in both directions."""
        there = ua.AddReferencesItem(
            SourceNodeId=source, ReferenceTypeId=reference, IsForward=True, TargetNodeId=target
        )
        back = ua.AddReferencesItem(
            SourceNodeId=target, ReferenceTypeId=reference, IsForward=False, TargetNodeId=source
        )
        for result in self._service.add_references([there, back]):
            result.check()

    async def remove(self, parent: NodeId, nodes: Sequence[NodeId]) -> None:
        """Take nodes that hang below `parent` away; whoever subscribed to one is told that it is no more."""
        gone = set(nodes)
        for one in nodes:
            if self.attribute(one, AttributeIds.NodeClass) == ua.NodeClass.Variable:
                ended = ua.DataValue(StatusCode=status("BadNodeIdUnknown"))
                await self._space.write_attribute_value(one, AttributeIds.Value, ended)
            for attribute in self._space[one].attributes.values():
                for handle in list(attribute.datachange_callbacks):
                    self._space.delete_datachange_callback(handle)
            del self._space[one]
        above = self._space[parent]
        above.references = [one for one in above.references if one.NodeId not in gone]

    def _origins(self, node: NodeId) -> Iterator[NodeId]:
        if self.attribute(node, AttributeIds.NodeClass) not in _TYPES:
            yield node
            kind = next(self.targets(node, HAS_TYPE), None)
            if kind is None:
                return
            node = kind
        current: NodeId | None = node
        while current is not None:
            yield current
            for interface in self.targets(current, HAS_INTERFACE):
                yield from self._origins(interface)
            current = next(self.targets(current, HAS_SUBTYPE, forward=False), None)

    def _subtypes(self, node: NodeId) -> Iterator[NodeId]:
        for one in self.targets(node, HAS_SUBTYPE):
            yield one
            yield from self._subtypes(one)
