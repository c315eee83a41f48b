# SPDX-License-Identifier: GPL-3.0-or-later
"""A server without a wire, for information models: children, types and values on a shelf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies

from edge.drivers.opcua.models.model import Reference

OBJECT = "i=58"
VARIABLE = "i=63"

ANYTHING = strategies.one_of(
    strategies.none(),
    strategies.booleans(),
    strategies.integers(),
    strategies.integers(min_value=-2, max_value=8),
    strategies.floats(),
    strategies.text(),
    strategies.binary(),
    strategies.lists(strategies.one_of(strategies.none(), strategies.integers(), strategies.text())),
    strategies.dictionaries(strategies.text(), strategies.integers()),
    strategies.just(object()),
)
"""Whatever a server may send."""


@dataclass(frozen=True)
class Child:
    """A child of a node; implements Reference."""

    name: str
    node_id: str
    type_id: str = OBJECT


@dataclass
class Shelf:
    """Children by node, supertypes by type, values by node; implements Browser and remembers what was browsed."""

    namespaces: tuple[str, ...] = ()
    children: dict[str, list[Child]] = field(default_factory=dict)
    supertypes: dict[str, str] = field(default_factory=dict)
    values: dict[str, object] = field(default_factory=dict)
    browsed: list[str] = field(default_factory=list)

    async def browse(self, node_id: str) -> Sequence[Reference]:
        """Return the children of a node."""
        self.browsed.append(node_id)
        return self.children.get(node_id, [])

    async def supertype(self, type_id: str) -> str | None:
        """Return the type that `type_id` is derived from."""
        return self.supertypes.get(type_id)

    async def read(self, node_ids: Sequence[str]) -> list[object]:
        """Return values, None where there is none."""
        return [self.values.get(node_id) for node_id in node_ids]

    def put(self, parent: str, name: str, type_id: str = OBJECT, node_id: str | None = None) -> str:
        """Put a child below `parent`; return its NodeId."""
        child = Child(name, node_id or f"{parent}/{name}", type_id)
        self.children.setdefault(parent, []).append(child)
        return child.node_id

    def fill(self, root: str, values: Mapping[str, object]) -> None:
        """Put variables with values below `root`, by their paths; what lies between are plain objects."""
        for path, value in values.items():
            node_id = root
            *parents, last = path.split("/")
            for name in parents:
                found = [one for one in self.children.get(node_id, []) if one.name == name]
                node_id = found[0].node_id if found else self.put(node_id, name)
            self.values[self.put(node_id, last, "i=17570")] = value
