# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways through an address space: namespaces by their URIs, browse paths, types and what is derived from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models.model import Browser, Reference

_SUPERTYPE_DEPTH = 8


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
    level = await _children(browser, "", root)
    while True:
        # Nodes may be reached by several ways, and ways may run in circles: the first one counts.
        fresh: dict[str, Reference] = {}
        for path, one in level:
            if one.node_id not in seen and is_worth_a_look(path):
                seen.add(one.node_id)
                fresh[path] = one
        if not fresh:
            return found
        found |= fresh
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_children(browser, path, one.node_id)) for path, one in fresh.items()]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        level = [pair for task in tasks for pair in task.result()]


async def _children(browser: Browser, path: str, node_id: str) -> list[tuple[str, Reference]]:
    return [(f"{path}/{one.name}".lstrip("/"), one) for one in await browser.browse(node_id)]
