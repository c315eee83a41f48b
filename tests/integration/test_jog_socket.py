# SPDX-License-Identifier: GPL-3.0-or-later
"""The jog key's WebSocket over a real socket, with a driver whose wire is a list: everything that ends a motion."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from edge.api.access import COOKIE
from edge.api.app import create_app
from edge.domain.hand import JogEnd
from edge.http.server import bind, serve
from edge.services.bus import EventBus
from edge.services.hand import MachineHand
from edge.services.hand_settings import HandSettings
from edge.services.operators import OperatorDesk
from tests.support.bare_lab import bare_lab
from tests.support.hand import FakeHandDriver
from tests.unit.test_hand import Bench

BEGIN = {"type": "begin", "towards": [1, 0, 0], "feed": 600, "pointer": 1}
RENEW, END = {"type": "renew"}, {"type": "end"}


class AnyPin:
    """A PIN that is always right."""

    def matches(self, pin: str) -> bool:
        return bool(pin)


@dataclass
class Console:
    """A console on a free port."""

    bench: Bench
    desk: OperatorDesk
    port: int
    token: str

    @property
    def driver(self) -> FakeHandDriver:
        return self.bench.driver

    def key(self, *, token: str = "", origin: str | None = None, machine: str = "router") -> connect:
        address = f"ws://127.0.0.1:{self.port}/api/machines/{machine}/jog"
        headers = {"Cookie": f"{COOKIE}={token or self.token}"}
        return connect(address, additional_headers=headers, origin=origin, proxy=None)  # type: ignore[arg-type]

    async def wire(self, *expected: str) -> None:
        async with asyncio.timeout(5):
            while tuple(self.driver.wire) != expected:
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[ClientConnection]:
        async with self.key() as socket:
            await say(socket, BEGIN)
            assert await hear(socket) == {"type": "jogging"}
            yield socket


async def say(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        heard: dict[str, Any] = json.loads(await socket.recv())
        return heard


async def closed(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(5):
        await socket.wait_closed()
    return socket.close_code


@pytest.fixture
async def console() -> AsyncIterator[Console]:
    bench = Bench()
    bench.driver.ready()
    bench.door(True)
    await bench.supervisor.reset()
    desk = OperatorDesk(AnyPin(), bench.clock)
    lab = bare_lab(
        {"router": bench.supervisor}, desk, EventBus(), hands={"router": MachineHand(bench.supervisor, HandSettings())}
    )
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = asyncio.create_task(serve(create_app(lab), listener), name="console")
    yield Console(bench, desk, port, await desk.login("123456"))
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


async def test_a_key_moves_while_it_is_renewed_and_stops_when_let_go(console: Console) -> None:
    async with console.moving() as socket:
        assert console.bench.guardian.armed == ["router"]
        await say(socket, RENEW)
        await say(socket, END)
        assert await hear(socket) == {"type": "ended", "reason": "released", "error": None}
        assert console.driver.lease is not None
        assert console.driver.lease.renewed == 1
        await say(socket, BEGIN)
        assert await hear(socket) == {"type": "jogging"}
    await console.wire("lease", "cancel", "lease", "cancel")


async def test_a_closed_socket_ends_the_motion(console: Console) -> None:
    async with console.moving():
        pass
    await console.wire("lease", "cancel")


async def test_a_broken_connection_ends_the_motion(console: Console) -> None:
    async with console.moving() as socket:
        socket.transport.abort()
        await console.wire("lease", "cancel")


async def test_a_second_finger_ends_the_motion(console: Console) -> None:
    async with console.moving() as socket:
        await say(socket, {**BEGIN, "pointer": 2})
        assert (await hear(socket))["reason"] == "released"
        await console.wire("lease", "cancel")


async def test_another_page_ends_the_motion_and_gets_none(console: Console) -> None:
    async with console.moving() as first, console.key() as second:
        await say(second, BEGIN)
        ended = await hear(second)
        assert (ended["reason"], ended["error"]["code"]) == ("stopped", "idle")
        assert (await hear(first))["reason"] == "released"
    await console.wire("lease", "cancel")


async def test_a_lease_that_ran_out_is_told(console: Console) -> None:
    async with console.moving() as socket:
        assert console.driver.lease is not None
        console.driver.lease.finish(JogEnd.NOT_RENEWED)
        assert await hear(socket) == {"type": "ended", "reason": "not renewed", "error": None}


async def test_a_logout_ends_the_motion_at_the_next_word_of_the_page(console: Console) -> None:
    async with console.moving() as socket:
        console.desk.logout(console.token)
        await say(socket, RENEW)
        assert await closed(socket) == 4401
    await console.wire("lease", "cancel")


async def test_an_open_door_ends_the_motion_with_its_reason(console: Console) -> None:
    async with console.moving() as socket:
        console.bench.door(False)
        ended = await hear(socket)
        assert ended["reason"] == "stopped"
        assert ended["error"]["code"] == "motion-stopped"
        assert "Door" in ended["error"]["why"]
        await say(socket, BEGIN)
        assert (await hear(socket))["error"]["code"] == "input.door"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "renew",
        '{"type": "go"}',
        '{"type": "begin"}',
        '{"type": "begin", "towards": [1, 0], "feed": 100}',
        '{"type": "begin", "towards": [1, 0, NaN], "feed": 100}',
        '{"type": "begin", "towards": [1, 0, 0], "feed": 2001}',
        '{"type": "begin", "towards": [1, 0, 0], "feed": 100, "gcode": "$J=X1"}',
        b"\x00\xff",
    ],
)
async def test_what_is_not_understood_ends_motion_and_socket(console: Console, text: str | bytes) -> None:
    async with console.moving() as socket:
        await socket.send(text)
        assert await closed(socket) == 4400
    await console.wire("lease", "cancel")


async def test_too_long_and_too_many_messages_end_motion_and_socket(console: Console) -> None:
    async with console.moving() as socket:
        await socket.send(json.dumps({**RENEW, "why": "x" * 300}))
        assert await closed(socket) == 4429
    await console.wire("lease", "cancel")
    async with console.moving() as socket:
        for _ in range(60):
            await say(socket, RENEW)
        assert await closed(socket) == 4429
    await console.wire("lease", "cancel", "lease", "cancel")


async def test_who_may_not_jog(console: Console) -> None:
    for key, code in ((console.key(token="wrong"), 4401), (console.key(machine="mill"), 4404)):
        async with key as socket:
            assert await closed(socket) == code
    with pytest.raises(InvalidStatus) as refused:
        async with console.key(origin="http://elsewhere.test"):
            pass
    assert refused.value.response.status_code == 403
    assert console.driver.wire == []


async def test_the_end_of_the_service_ends_the_motion(console: Console) -> None:
    async with console.moving() as socket:
        await console.bench.supervisor.shut_down()
        assert (await hear(socket))["error"]["code"] == "motion-stopped"
    assert console.driver.wire[-1] == "reset"
