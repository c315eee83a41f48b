# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways through an address space: namespaces by their URIs, browse paths, types and what is derived from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge.drivers.opcua.errors import LinkError, NeedsPerson
from edge.drivers.opcua.models.model import Browser, Reference
from edge.drivers.opcua.together import together

_SUPERTYPE_DEPTH = 8
_AT_ONCE = 16
_WIDEST_LEVEL = 200
# A machine of many channels has some hundreds of nodes that a model looks at.
_MOST_NODES = 5_000
_MOST_ON_A_LEVEL = 50_000
_SERVER_TYPE = "i=2004"
# Methods and properties: nothing is below them. Makers hang properties below variables of any type.
_LEAVES = frozenset(("i=0", "i=68"))
_NO_OBJECTS = _LEAVES | {"i=63"}


def namespace_index(namespaces: Sequence[str], uri: str, what: str = "machine tools") -> int:
    """Return the index of `uri` on this connection. Raises LinkError."""
    try:
        return namespaces.index(uri)
    except ValueError:
        raise LinkError(reason=f"the server does not describe {what}: it lacks the namespace {uri}") from None


async def resolve(browser: Browser, root: str, path: str) -> str | None:
    """Return the NodeId of a browse path from `root`, or of `nsu=URI;...` or `ns=0;...`; None where there is none.

    Raises LinkError.
    """
    if path.startswith("nsu="):
        uri, _, rest = path.removeprefix("nsu=").partition(";")
        return f"ns={browser.namespaces.index(uri)};{rest}" if uri in browser.namespaces else None
    node_id = root
    for name in path.split("/"):
        for one in await browser.browse(node_id):
            if one.name == name:
                node_id = one.node_id
                break
        else:
            return None
    return node_id


async def instances(browser: Browser, root: str, type_ids: Sequence[str], depth: int) -> list[Reference]:
    """Return the objects of types, or of what is derived from one, up to `depth` levels below `root`.

    Raises LinkError.
    """
    known: dict[str, bool] = {}
    found: list[Reference] = []
    seen = {root}
    parents = [("", root)]
    for _ in range(depth):
        deeper: list[tuple[str, str]] = []
        for path, one in await children_of(browser, parents):
            if one.node_id in seen or one.type_id in _NO_OBJECTS:
                continue
            seen.add(one.node_id)
            if one.type_id not in known:
                known[one.type_id] = any([await is_a(browser, one.type_id, wanted) for wanted in type_ids])
            if known[one.type_id]:
                found.append(one)
            elif one.type_id != _SERVER_TYPE:
                deeper.append((path, one.node_id))
        parents = deeper[:_WIDEST_LEVEL]
    return found


def chosen(found: Sequence[Reference], machine: str | None, what: str, where: str) -> Reference:
    """Return the one called `machine`, or the only one. Raises LinkError."""
    names = ", ".join(sorted(one.name for one in found))
    if machine is not None:
        found = [one for one in found if one.name == machine]
        if not found:
            raise LinkError(reason=f"the server has no {what} {machine!r}, it has: {names or 'none'}")
    if not found:
        raise LinkError(reason=f"the server has no {what} {where}")
    if len(found) > 1:
        raise LinkError(reason=f"the server has several {what}s, set `machine` to one of: {names}")
    return found[0]


async def methods_of(browser: Browser, node_id: str, names: Sequence[str]) -> dict[str, str]:
    """Return the NodeIds of those of an object's methods that are called so. Raises LinkError."""
    return {one.name: one.node_id for one in await browser.browse(node_id) if one.name in names}


async def is_a(browser: Browser, type_id: str, wanted: str) -> bool:
    """Tell whether a type is `wanted` or derived from it. Raises LinkError."""
    current: str | None = type_id
    for _ in range(_SUPERTYPE_DEPTH):
        if current is None or current == wanted:
            break
        current = await browser.supertype(current)
    return current == wanted


async def walk(browser: Browser, root: str, is_worth_a_look: Callable[[str], bool]) -> dict[str, Reference]:
    """Return the nodes below `root` by their browse paths, those that are worth a look. Raises LinkError."""
    found: dict[str, Reference] = {}
    seen = {root}
    level = await children_of(browser, [("", root)])
    while True:
        # Nodes may be reached by several ways, and ways may run in circles: the first one counts.
        fresh: dict[str, Reference] = {}
        for path, one in level:
            if one.node_id not in seen and path not in fresh and is_worth_a_look(path):
                seen.add(one.node_id)
                fresh[path] = one
        if not fresh:
            return found
        found |= fresh
        if len(found) > _MOST_NODES:
            raise NeedsPerson(reason=f"the server names more than {_MOST_NODES} nodes of the machine")
        level = await children_of(
            browser, [(path, one.node_id) for path, one in fresh.items() if one.type_id not in _LEAVES]
        )


async def children_of(browser: Browser, parents: Sequence[tuple[str, str]]) -> list[tuple[str, Reference]]:
    """Return the children of nodes, given as path and NodeId, with the paths of the children. Raises LinkError."""
    found: list[tuple[str, Reference]] = []
    for start in range(0, len(parents), _AT_ONCE):
        asked = [_children(browser, path, node_id) for path, node_id in parents[start : start + _AT_ONCE]]
        found.extend(pair for pairs in await together(*asked, name="opcua-browse") for pair in pairs)
        if len(found) > _MOST_ON_A_LEVEL:
            raise NeedsPerson(reason=f"the server names more than {_MOST_ON_A_LEVEL} nodes on one level of its tree")
    return found


async def _children(browser: Browser, path: str, node_id: str) -> list[tuple[str, Reference]]:
    return [(f"{path}/{one.name}".lstrip("/"), one) for one in await browser.browse(node_id)]
