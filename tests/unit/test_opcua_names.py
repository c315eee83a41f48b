# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names are looked up without standing in anybody's way, whatever the resolver does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from edge.drivers.opcua.connection import open_connection
from edge.drivers.opcua.errors import LinkLost
from edge.drivers.opcua.names import Names
from tests.support.opcua import settings


class Resolver:
    """A resolver that answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.answers = threading.Event()
        self.fails: Exception | None = None

    def getaddrinfo(self, host: object, _port: object, **_options: Any) -> list[Any]:
        self.asked.append(host)
        assert self.answers.wait(20)
        if self.fails is not None:
            raise self.fails
        return []


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    yield found
    found.answers.set()


async def test_a_resolver_that_does_not_answer_keeps_one_thread_of_its_own(resolver: Resolver) -> None:
    names = Names()
    quick = settings("opc.tcp://lathe:4840").model_copy(update={"timeout_s": 0.01})
    for _ in range(40):
        with pytest.raises(LinkLost, match=r"no answer in time \(looking up its name\)"):
            async with open_connection(quick, None, names=names):
                raise AssertionError("not reached")
    assert resolver.asked == ["lathe"]
    assert sum(one.name == "look up lathe" for one in threading.enumerate()) == 1
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(asyncio.to_thread(int, "7") for _ in range(10))) == [7] * 10
        resolver.answers.set()
        await names.look_up("lathe", 4840)
        await names.look_up("lathe", 4840)
    assert len(resolver.asked) in (2, 3)


@pytest.mark.parametrize("address", ["192.0.2.7", "fd00::7"])
async def test_an_address_is_not_looked_up(resolver: Resolver, address: str) -> None:
    await Names().look_up(address, 4840)
    assert resolver.asked == []


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
async def test_a_lookup_that_fails_is_tried_again(resolver: Resolver, failure: Exception) -> None:
    names = Names()
    resolver.fails = failure
    resolver.answers.set()
    for _ in range(2):
        with pytest.raises(type(failure)):
            await names.look_up("lathe", 4840)
    resolver.fails = None
    await names.look_up("lathe", 4840)
    assert len(resolver.asked) == 3
