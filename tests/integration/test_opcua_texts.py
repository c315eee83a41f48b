# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of a control that are no UTF-8, steer terminals or do not end, on their way from the wire to everybody."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from websockets.asyncio.client import connect

from edge.api.access import COOKIE
from edge.api.app import create_app
from edge.domain.machine import MachineState
from edge.drivers.opcua.events import condition_event
from edge.drivers.opcua.models.umati import UmatiMachine
from edge.drivers.opcua.texts import LONGEST, clean
from edge.drivers.opcua.translate import plain, reading_of, ua
from edge.drivers.opcua.view import View
from edge.http.server import bind, serve
from edge.opcua_server.facts import machine_of, to_line
from edge.opcua_server.feed import OpcUaServerFeed
from tests.integration.test_loading_api import Console, console
from tests.support.fakes import FakeClock
from tests.support.opcua import settings
from tests.unit.test_opcua_server_feed import PLAN

__all__ = ["console"]

LATIN_1 = b"WELLE_\xd820\x1b[2J.MPF"
SHOWN = "WELLE_?20?[2J.MPF"
PROGRAM = "Production/ActiveProgram/Name"
CHANNEL = "Monitoring/Channel1"


def over_the_wire(value: Any) -> Any:
    """Return what the library makes of a value that came over the wire."""
    return struct_from_binary(type(value), Buffer(struct_to_binary(value)))


def text(content: bytes = LATIN_1) -> str:
    """Return a text of these bytes, as the library holds it."""
    return content.decode(errors="surrogateescape")


def seen() -> MachineState:
    """Return a machine with such a program and such an alarm, as its driver shows it."""
    clock = FakeClock()
    view = View("Lathe", settings("opc.tcp://127.0.0.1:4840"), clock)
    nodes = {path: f"ns=4;s={path}" for path in (PROGRAM, f"{CHANNEL}/ChannelState")}
    view.show(UmatiMachine("Lathe", "ns=4;s=Lathe", 6, 5, nodes, channels=(CHANNEL,)))
    values = {PROGRAM: ua.DataValue(ua.Variant(text())), f"{CHANNEL}/ChannelState": ua.DataValue(ua.Variant(2))}
    view.read({key: reading_of(over_the_wire(one)) for key, one in values.items()}, clock.boot_ns())
    fields = [None, ua.NodeId("door", 4), ua.LocalizedText(text()), 900, True, True, None, text(), text()]
    event = condition_event(over_the_wire(ua.EventFieldList(1, [ua.Variant(one) for one in fields])).EventFields)
    assert event is not None
    view.report({}, [event])
    return view.state


async def test_a_text_that_is_no_utf_8_reaches_a_console_and_the_opc_ua_server(console: Console) -> None:
    state = seen()
    assert (state.program, state.alarms[0].text, state.fault_reason) == (SHOWN, SHOWN, SHOWN)
    console.driver.show(program=state.program, alarms=state.alarms, fault=state.fault, fault_reason=state.fault_reason)
    shown = await console.machine()
    assert shown["program"] == SHOWN

    listener = bind("127.0.0.1", 0)
    served = asyncio.create_task(serve(create_app(console.lab), listener), name="console")
    address = f"ws://127.0.0.1:{listener.getsockname()[1]}/api/live"
    token = await console.lab.desk.login("123456")
    async with connect(address, additional_headers={"Cookie": f"{COOKIE}={token}"}, proxy=None) as socket:
        async with asyncio.timeout(10):
            snapshot = json.loads(await socket.recv())["snapshot"]
    served.cancel()
    await asyncio.gather(served, return_exceptions=True)
    assert snapshot["machines"][0]["alarms"][0]["text"] == SHOWN

    book: Any = SimpleNamespace(jobs=list, running_on=lambda _: None)
    feed = OpcUaServerFeed(PLAN, {"lathe": console.supervisor}, book, console.lab.bus, console.clock)
    told = machine_of(to_line(feed.facts("lathe")))
    assert (told.program, told.alarms[0].text) == (SHOWN, SHOWN)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", ""),
        ("Ašies padėtis 5\u00a0µm", "Ašies padėtis 5\u00a0µm"),
        ("first\nsecond", "first\nsecond"),
        ("null \0, bell \a, C1 \x9b", "null ?, bell ?, C1 ?"),
        ("\udcd8", "?"),
        ("e" * (LONGEST + 1), "e" * LONGEST),
    ],
)
def test_a_text_is_cleaned_and_cut(said: str, kept: str) -> None:
    assert clean(said) == plain(ua.LocalizedText(said)) == plain(said) == kept
    assert reading_of(ua.DataValue(ua.Variant(said))).value == kept


def test_a_node_is_asked_for_with_its_own_bytes_and_shown_clean() -> None:
    node_id = ua.NodeId(text(), 2)
    assert plain(node_id) == node_id.to_string()
    assert reading_of(ua.DataValue(ua.Variant(node_id))).value == f"ns=2;s={SHOWN}"
