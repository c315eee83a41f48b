# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes instances of the published types: what is mandatory, and of the optional what is asked for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from edge.opcua_server.space import HAS_TYPE, MANDATORY, OPTIONAL, AttributeIds, Declared, Space
from edge.opcua_server.stack import NodeId, QualifiedName, node_id, status, ua

_WAITING = status("BadWaitingForInitialData")
_READ = 1
HAS_COMPONENT = node_id(ua.ObjectIds.HasComponent)


@dataclass
class Instances:
    """Adds instances in one namespace; NodeIds are texts: the path of browse names from the root that was named.

    nodes keeps every node made, by its path.
    """

    space: Space
    namespace: int
    nodes: dict[str, NodeId] = field(default_factory=dict)

    def add(
        self,
        path: str,
        parent: NodeId,
        kind: NodeId,
        name: QualifiedName,
        optional: Collection[str] = (),
        *,
        reference: NodeId = HAS_COMPONENT,
        display: str = "",
    ) -> NodeId:
        """Add an object of the type `kind` below `parent`; optional names paths from it. Return its id."""
        attributes = ua.ObjectAttributes(DisplayName=ua.LocalizedText(display or name.Name), EventNotifier=0)
        item = self._item(path, parent, reference, name, ua.NodeClass.Object, attributes)
        item.TypeDefinition = kind
        self.space.add([item])
        wanted = frozenset(f"{path}/{one}" for one in optional)
        self._fill(path, kind, wanted, {})
        return self.nodes[path]

    async def remove(self, path: str, parent: NodeId) -> None:
        """Take an object that was added below `parent` away, with everything below it."""
        paths = [one for one in self.nodes if one == path or one.startswith(f"{path}/")]
        await self.space.remove(parent, [self.nodes.pop(one) for one in paths])

    def _fill(
        self, path: str, declaration: NodeId, wanted: frozenset[str], shared: dict[NodeId, NodeId] | None
    ) -> None:
        """Add the children that a type or a declared node declares.

        shared are the nodes made so far for those that the root's type itself declares: what it declares once and hangs
        at two places, as the state machines of OPC 40501-1, is one node in an instance as well. None: this node is
        declared by the type of a part.
        """
        for one in self.space.declared(declaration):
            below = f"{path}/{one.name.Name}"
            if one.rule != MANDATORY and not (one.rule == OPTIONAL and below in wanted):
                continue
            if shared is not None and one.own:
                if one.node_id in shared:
                    self.space.refer(self.nodes[path], one.reference, shared[one.node_id])
                    continue
                shared[one.node_id] = node_id(below, self.namespace)
            self._declare(below, self.nodes[path], one)
            self._fill(below, one.node_id, wanted, shared if one.own else None)

    def _declare(self, path: str, parent: NodeId, one: Declared) -> None:
        node_class = self.space.attribute(one.node_id, AttributeIds.NodeClass)
        display = self.space.attribute(one.node_id, AttributeIds.DisplayName)
        attributes: Any
        match node_class:
            case ua.NodeClass.Variable:
                attributes = self._variable(one.node_id)
            case ua.NodeClass.Method:
                attributes = ua.MethodAttributes(Executable=False, UserExecutable=False)
            case _:
                notifier = self.space.attribute(one.node_id, AttributeIds.EventNotifier)
                attributes = ua.ObjectAttributes(EventNotifier=notifier or 0)
        attributes.DisplayName = display
        item = self._item(path, parent, one.reference, one.name, node_class, attributes)
        kind = next(self.space.targets(one.node_id, HAS_TYPE), None)
        if kind is not None:
            item.TypeDefinition = kind
        self.space.add([item])
        if node_class == ua.NodeClass.Variable:
            value = self.space.copy(one.node_id, AttributeIds.Value)
            known = value is not None and value.Value is not None
            unknown = ua.DataValue(StatusCode=_WAITING)
            self.space.put(self.nodes[path], AttributeIds.Value, ua.DataValue(value) if known else unknown)

    def _variable(self, declared: NodeId) -> Any:
        attributes = ua.VariableAttributes(
            DataType=self.space.attribute(declared, AttributeIds.DataType),
            ValueRank=self.space.attribute(declared, AttributeIds.ValueRank),
            AccessLevel=_READ,
            UserAccessLevel=_READ,
        )
        dimensions = self.space.attribute(declared, AttributeIds.ArrayDimensions)
        if dimensions:
            attributes.ArrayDimensions = list(dimensions)
        return attributes

    def _item(
        self,
        path: str,
        parent: NodeId,
        reference: NodeId,
        name: QualifiedName,
        node_class: int,
        attributes: object,
    ) -> Any:
        self.nodes[path] = node_id(path, self.namespace)
        return ua.AddNodesItem(
            ParentNodeId=parent,
            ReferenceTypeId=reference,
            RequestedNewNodeId=self.nodes[path],
            BrowseName=name,
            NodeClass=node_class,
            NodeAttributes=attributes,
        )
