# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to a controller: bounded in time, off the loop, and noticed when the other end is gone."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest

from edge.drivers.grbl import opening
from edge.drivers.grbl.link import Link
from edge.drivers.grbl.opening import LinkError, open_port
from edge.drivers.grbl.protocol import RealTime
from tests.support.grbl import eventually


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server, f"socket://127.0.0.1:{server.getsockname()[1]}"


class Peer:
    """A connected controller that is the test, and what the link told."""

    def __init__(self, link: Link, controller: socket.socket, lines: list[str], lost: list[str]) -> None:
        self.link, self.controller, self.lines, self.lost = link, controller, lines, lost


@asynccontextmanager
async def connected() -> AsyncIterator[Peer]:
    lines: list[str] = []
    lost: list[str] = []
    with listening() as (server, url):
        link = Link(await open_port(url, 115200), lines.append, lost.append)
        controller, _ = server.accept()
    with controller:
        yield Peer(link, controller, lines, lost)
        link.close()
        link.close()


class Loop:
    """How long the loop was kept from its turns at most, seconds."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> Loop:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        while True:
            begin = time.monotonic()
            await asyncio.sleep(0.005)
            self.longest = max(self.longest, time.monotonic() - begin)


async def test_bytes_cross_both_ways_at_once() -> None:
    async with connected() as peer:
        peer.controller.sendall(b"\r\nGrblHAL 1.1f\r\nok\r\n")
        await eventually(lambda: peer.lines == ["GrblHAL 1.1f", "ok"])
        peer.link.now(RealTime.HOLD)
        assert peer.controller.recv(10) == b"!"
        peer.link.send(b"$G\n")
        assert peer.controller.recv(10) == b"$G\n"


async def test_each_byte_goes_by_itself_and_nothing_blocks() -> None:
    with listening() as (_, url):
        opened = await open_port(url, 115200)
        assert isinstance(opened, socket.socket)
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == opening.UNHEARD_S * 1000
        assert not opened.getblocking()
        assert not opened.get_inheritable()
        opened.close()


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_connection_that_the_controller_closes(*, abruptly: bool) -> None:
    async with connected() as peer:
        if abruptly:
            # No lingering: a reset instead of an orderly end, as after a restart.
            peer.controller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        peer.controller.close()
        await eventually(lambda: peer.lost)
        assert peer.lost == ["the controller closed the connection"]
        with pytest.raises(LinkError):
            peer.link.now(RealTime.HOLD)


async def test_a_network_that_carries_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that nobody acknowledges: the peer's window stays shut, as it would with its cable pulled."""
    monkeypatch.setattr(opening, "UNHEARD_S", 1)
    async with connected() as peer:
        with suppress(BlockingIOError):
            while True:
                peer.link.send(b"G1X1\n" * 20_000)
                if peer.link._unsent:
                    break
        await eventually(lambda: peer.lost, "the connection is given up")
        assert peer.lost == ["the network does not reach the controller any more"]


async def test_nothing_listens() -> None:
    with listening() as (_, url):
        pass
    with pytest.raises(LinkError, match=r"nothing listens at 127\.0\.0\.1:"):
        await open_port(url, 115200)


async def test_a_silent_host_is_given_up_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "CONNECT_S", 0.4)
    waiting: list[socket.socket] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(8):
            # The queue of a host that accepts nobody is full soon: further attempts get no answer at all.
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(server.getsockname())
        async with Loop() as loop:
            with pytest.raises(LinkError, match="does not answer"):
                await open_port(f"socket://127.0.0.1:{server.getsockname()[1]}", 115200)
        assert loop.longest < 0.2
        for one in waiting:
            one.close()


async def test_a_name_service_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "CONNECT_S", 0.4)
    answer = threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *arguments: object, **options: object) -> object:
        if options.get("flags"):
            return real(host, *arguments, **options)  # type: ignore[arg-type]
        answer.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(opening.socket, "getaddrinfo", slow)
    async with Loop() as loop:
        with pytest.raises(LinkError, match="does not answer"):
            await open_port("socket://laser.example:23", 115200)
        with pytest.raises(LinkError, match=r"laser\.example is still being looked up"):
            await open_port("socket://laser.example:23", 115200)
    assert loop.longest < 0.2
    assert threading.active_count() < 5
    answer.set()
    await eventually(lambda: not opening._under_way)


async def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(opening.socket, "getaddrinfo", unknown)
    with pytest.raises(LinkError, match=r"the name laser\.example is not known on this network"):
        await open_port("socket://laser.example:23", 115200)


async def test_a_name_is_looked_up() -> None:
    with listening() as (_, url):
        (await open_port(url.replace("127.0.0.1", "localhost"), 115200)).close()


async def test_a_cancelled_attempt_leaves_nothing_open() -> None:
    with listening() as (_, url):
        attempt = asyncio.create_task(open_port(url, 115200))
        await asyncio.sleep(0)
        attempt.cancel()
        # An open socket that nobody closed would be a ResourceWarning, which is an error here.
        with pytest.raises(asyncio.CancelledError):
            await attempt


@pytest.mark.parametrize(
    "port",
    [
        *("socket://", "socket://host", "socket://:23", "socket://host:0", "socket://host:99999", "socket://host:x"),
        *(
            "socket://host:23/x",
            "socket://me@host:23",
            "socket://host:23?logging=debug",
            "rfc2217://host:23",
            "tcp://h:1",
        ),
    ],
)
async def test_a_port_of_another_form(port: str) -> None:
    with pytest.raises(LinkError, match="does not have the form socket://HOST:PORT"):
        await open_port(port, 115200)
