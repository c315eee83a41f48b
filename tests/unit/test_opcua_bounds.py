# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that name nodes without an end, by mistake or on purpose: a clear sentence instead of all the memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua

from edge.drivers.opcua.connection import Connection
from edge.drivers.opcua.errors import LinkError, NeedsPerson
from edge.drivers.opcua.leftover import Leftover
from edge.drivers.opcua.models import find as models
from edge.drivers.opcua.models import paths
from edge.drivers.opcua.models.model import Reference
from edge.drivers.opcua.models.paths import walk
from edge.drivers.opcua.names import Names
from tests.support.opcua import settings
from tests.support.opcua_shelf import Child, Shelf

SETTINGS = settings("opc.tcp://127.0.0.1:4840")


class Pages:
    """A server that answers each browsing with a page, and says that there are more, so many times."""

    def __init__(self, names: Sequence[str], more: float) -> None:
        self.pages = 0
        self._names = names
        self._more = more

    async def browse(self, _parameters: Any) -> list[Any]:
        self.pages += 1
        references = [
            SimpleNamespace(BrowseName=ua.QualifiedName(name), NodeId=ua.NodeId(7), TypeDefinition=ua.NodeId(58))
            for name in self._names
        ]
        return [SimpleNamespace(References=references, ContinuationPoint=b"x" if self.pages <= self._more else None)]

    async def browse_next(self, parameters: Any) -> list[Any]:
        assert parameters.ContinuationPoints == [b"x"]
        return await self.browse(parameters)


def connected(pages: Pages) -> Connection:
    connection = Connection(SETTINGS, None, Leftover(), Names())
    connection._client = SimpleNamespace(uaclient=pages)
    return connection


async def test_all_pages_are_read_and_names_are_clean() -> None:
    found = await connected(Pages(["WELLE_\udcd8", "e" * 2_000], more=3)).browse("i=85")
    assert [one.name for one in found] == ["WELLE_?", "e" * 1_000] * 4


@pytest.mark.parametrize("page", [[], ["one"], ["many"] * 500])
async def test_a_node_without_an_end_is_given_up(page: list[str]) -> None:
    pages = Pages(page, more=float("inf"))
    with pytest.raises(NeedsPerson, match=r"the server goes on naming nodes below ns=2;s=\?20 without an end"):
        await connected(pages).browse("ns=2;s=\udcd820")
    assert pages.pages <= 1_000
    assert pages.pages * len(page) < 11_000


class Deep(Shelf):
    """A server below each of whose nodes there are further ones, for ever."""

    async def browse(self, node_id: str) -> Sequence[Reference]:
        self.browsed.append(node_id)
        return [Child(f"n{number}", f"{node_id}/{number}") for number in range(20)]


async def test_a_machine_without_an_end_is_given_up() -> None:
    deep = Deep()
    with pytest.raises(NeedsPerson, match="the server names more than 5000 nodes of the machine"):
        await walk(deep, "root", lambda _: True)
    assert len(deep.browsed) < 10_000


async def test_a_level_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_MOST_ON_A_LEVEL", 1_000)
    with pytest.raises(NeedsPerson, match="the server names more than 1000 nodes on one level of its tree"):
        await walk(Deep(), "root", lambda path: path.count("/") < 3)


async def test_a_search_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Shelf):
        async def browse(self, node_id: str) -> Sequence[Reference]:
            await asyncio.Event().wait()
            raise AssertionError(node_id)

    monkeypatch.setattr(models, "FIND_S", 0.05)
    with pytest.raises(LinkError, match=r"the machine was not found on the server within 0\.05 s"):
        await models.find(Slow((models.umati.MACHINE_TOOL_URI, models.umati.MACHINERY_URI)), SETTINGS)
