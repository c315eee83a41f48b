# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import fcntl
import os
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from edge.drivers.grbl.link import Link
from edge.drivers.grbl.opening import LinkError, open_serial
from edge.drivers.grbl.protocol import RealTime
from tests.support.grbl import eventually


class Wire:
    """The controller's end of a pty, and what a link on the other end told."""

    def __init__(self) -> None:
        self.controller, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.controller, False)
        self.port = os.ttyname(self.slave)
        self.lines: list[str] = []
        self.lost: list[str] = []

    def read(self) -> bytes:
        data = b""
        with suppress(BlockingIOError):
            while chunk := os.read(self.controller, 65536):
                data += chunk
        return data

    def unplug(self) -> None:
        os.close(self.slave)
        os.close(self.controller)
        self.slave = self.controller = -1


@contextmanager
def connected(wire: Wire) -> Iterator[Link]:
    link = Link(open_serial(wire.port, 115200), wire.lines.append, wire.lost.append)
    try:
        yield link
    finally:
        link.close()
        link.close()


def until_it_is_refused(link: Link) -> None:
    """Fill the port: from then on a stop must not look delivered."""
    while True:
        link.now(RealTime.STATUS)


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    for descriptor in (wire.controller, wire.slave):
        if descriptor >= 0:
            os.close(descriptor)


async def test_the_port_is_locked_raw_and_without_hupcl(wire: Wire) -> None:
    with connected(wire) as link:
        attributes = termios.tcgetattr(link.descriptor)
        assert not attributes[2] & termios.HUPCL
        assert attributes[2] & termios.CLOCAL
        assert not attributes[3] & termios.ICANON
        assert fcntl.fcntl(link.descriptor, fcntl.F_GETFL) & os.O_NONBLOCK
        with pytest.raises(LinkError, match="in use by another program"):
            Link(open_serial(wire.port, 115200), wire.lines.append, wire.lost.append)


async def test_lines_come_in_order(wire: Wire) -> None:
    with connected(wire):
        os.write(wire.controller, b"\r\nok\r\n<Idle|")
        await eventually(lambda: wire.lines == ["ok"])
        os.write(wire.controller, b"MPos:0,0,0>\r\nok\r\n")
        await eventually(lambda: len(wire.lines) == 3)
        assert wire.lines[1:] == ["<Idle|MPos:0,0,0>", "ok"]


async def test_a_port_without_data_is_not_the_end_of_it(wire: Wire) -> None:
    with connected(wire) as link:
        link._readable()
        await asyncio.sleep(0)
        assert wire.lost == []


async def test_what_the_port_does_not_take_goes_later_and_whole(wire: Wire) -> None:
    with connected(wire) as link:
        program = b"".join(b"G1X%d\n" % number for number in range(20_000))
        link.send(program)
        link.send(b"G1Y1\n")
        heard = b""

        def all_there() -> bool:
            nonlocal heard
            heard += wire.read()
            return len(heard) == len(program) + 5

        await eventually(all_there)
        assert heard == program + b"G1Y1\n"


async def test_real_time_bytes_overtake_and_never_wait(wire: Wire) -> None:
    with connected(wire) as link:
        link.send(b"G1X1\n" * 20_000)
        with pytest.raises(LinkError, match="takes no more bytes"):
            until_it_is_refused(link)
        before = wire.read()
        link.now(RealTime.HOLD)
        link.discard_unsent()
        link.send(b"$G\n")
        after = b""

        def arrived() -> bool:
            nonlocal after
            after += wire.read()
            return after.endswith(b"!$G\n")

        await eventually(arrived)
        assert b"!" not in before
        assert set(after.removesuffix(b"!$G\n")) <= set(b"G1X1\n?")


async def test_a_pulled_plug_is_told_once(wire: Wire) -> None:
    with connected(wire) as link:
        wire.unplug()
        await eventually(lambda: wire.lost)
        assert len(wire.lost) == 1
        assert "gone" in wire.lost[0]
        with pytest.raises(LinkError, match="gone"):
            link.now(RealTime.HOLD)
        with pytest.raises(LinkError, match="gone"):
            link.send(b"G0\n")
        link.discard_unsent()


async def test_a_pulled_plug_is_found_by_writing(wire: Wire) -> None:
    with connected(wire) as link:
        wire.unplug()
        with pytest.raises(LinkError, match="gone"):
            link.now(RealTime.HOLD)
        await eventually(lambda: wire.lost)
    assert len(wire.lost) == 1


async def test_a_line_into_a_pulled_plug(wire: Wire) -> None:
    with connected(wire) as link:
        wire.unplug()
        link.send(b"G0\n")
        await eventually(lambda: wire.lost)


async def test_nothing_is_told_after_close(wire: Wire) -> None:
    with connected(wire) as link:
        wire.unplug()
        with pytest.raises(LinkError):
            link.now(RealTime.HOLD)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert wire.lost == []


@pytest.mark.parametrize(
    ("port", "why"),
    [("/nowhere/tty", "there is no port"), ("/", "not a serial port"), ("/dev/null", "not a serial port")],
)
async def test_why_a_port_does_not_open(port: str, why: str) -> None:
    with pytest.raises(LinkError, match=why):
        open_serial(port, 115200)


async def test_a_speed_that_no_port_has(wire: Wire) -> None:
    with pytest.raises(LinkError, match="cannot be used at -5 baud"):
        open_serial(wire.port, -5)
