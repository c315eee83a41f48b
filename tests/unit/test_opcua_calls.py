# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of methods in the types that a server declares, and what becomes of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import BadTooManyOperations

from edge.drivers.opcua.calls import Calls
from edge.drivers.opcua.connection import Connection, Reference
from edge.drivers.opcua.errors import CallRefused, LinkLost
from edge.drivers.opcua.names import Names
from edge.drivers.opcua.settings import OpcUaSettings

T = TypeVar("T")

SUPERTYPES = {"i=290": "i=11", "ns=3;i=5": "i=29", "ns=3;i=6": "ns=3;i=7", "ns=3;i=7": None, "ns=3;i=8": "i=22"}
SETTINGS = OpcUaSettings.model_validate({"driver": "opcua", "endpoint": "opc.tcp://192.0.2.7:4840", "security": "none"})


class Server:
    """A server with one method, `ns=3;i=1`, whose declared arguments are `types` (data type, value rank)."""

    def __init__(self, types: Sequence[tuple[str, int]] | None) -> None:
        self.types = types
        self.sent: list[Any] = []
        self.answer: object = ()
        self.browsed = 0
        self.uaclient = self.protocol = self

    async def browse(self, node_id: str) -> list[Reference]:
        assert node_id == "ns=3;i=1"
        self.browsed += 1
        return [] if self.types is None else [Reference("InputArguments", "ns=3;i=2", "i=68")]

    async def supertype(self, type_id: str) -> str | None:
        return SUPERTYPES.get(type_id)

    async def read_attributes(self, _nodes: Sequence[Any], _attribute: Any) -> list[Any]:
        arguments = []
        for type_id, rank in self.types or ():
            argument = ua.Argument()
            argument.DataType = ua.NodeId.from_string(type_id)
            argument.ValueRank = ua.Int32(rank)
            arguments.append(argument)
        return [ua.DataValue(ua.Variant(arguments, ua.VariantType.ExtensionObject, is_array=True))]

    def _send_request(self, message: Any, _seconds: float) -> asyncio.Future[Any]:
        self.sent.append(message.Parameters.MethodsToCall[0])
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(self.answer, Exception):
            future.set_exception(self.answer)
            return future
        result = ua.CallMethodResult()
        if isinstance(self.answer, str):
            result.StatusCode = ua.StatusCode(getattr(ua.StatusCodes, self.answer))
        else:
            assert isinstance(self.answer, tuple)
            result.OutputArguments = [ua.Variant(one) for one in self.answer]
        response = ua.CallResponse()
        response.Results = [result]
        future.set_result(ua.utils.Buffer(struct_to_binary(response)))
        return future

    def check_answer(self, _data: Any, _context: str) -> bool:
        return True


async def ask(_what: str, answer: Awaitable[T], seconds: float | None = None) -> T:
    return await answer


async def called(server: Server, *arguments: object) -> list[object]:
    calls = Calls(server, ask, server, 1.0)
    await calls.prepare("ns=3;i=1")
    await calls.prepare("ns=3;i=1")
    assert server.browsed == 1
    begun = calls.begin("ns=3;i=9", "ns=3;i=1", arguments)
    assert len(server.sent) == 1  # before anybody waits
    return await calls.finish("ns=3;i=1", begun)


@pytest.mark.parametrize(
    ("type_id", "argument", "variant"),
    [
        ("i=7", 5, ua.Variant(5, ua.VariantType.UInt32)),
        ("i=290", 250, ua.Variant(250, ua.VariantType.Double)),
        ("ns=3;i=5", 2, ua.Variant(2, ua.VariantType.Int32)),
        ("i=17", "ns=4;s=x", ua.Variant(ua.NodeId("x", 4), ua.VariantType.NodeId)),
        ("i=21", "text", ua.Variant(ua.LocalizedText("text"), ua.VariantType.LocalizedText)),
        ("i=15", b"%\n", ua.Variant(b"%\n", ua.VariantType.ByteString)),
        ("i=24", 5, ua.Variant(5, ua.VariantType.Int64)),
        ("ns=3;i=6", "text", ua.Variant("text", ua.VariantType.String)),
        ("i=7", ua.Variant(5, ua.VariantType.Byte), ua.Variant(5, ua.VariantType.Byte)),
    ],
)
async def test_an_argument_becomes_what_the_method_declares(type_id: str, argument: object, variant: Any) -> None:
    server = Server([(type_id, -1)])
    server.answer = (7, ua.LocalizedText("done"))
    assert await called(server, argument) == [7, "done"]
    assert server.sent[0].InputArguments == [variant]
    assert server.sent[0].ObjectId == ua.NodeId(9, 3)


async def test_arrays_may_be_empty() -> None:
    server = Server([("i=21", 1), ("i=12", 1)])
    await called(server, ["a", "b"], [])
    first, second = server.sent[0].InputArguments
    assert first.Value == [ua.LocalizedText("a"), ua.LocalizedText("b")]
    assert (second.Value, second.VariantType, second.is_array) == ([], ua.VariantType.String, True)


async def test_a_method_that_declares_nothing_gets_what_fits_the_values() -> None:
    server = Server(None)
    await called(server, "text", 5)
    assert [one.VariantType for one in server.sent[0].InputArguments] == [ua.VariantType.String, ua.VariantType.Int64]


@pytest.mark.parametrize("answer", ["BadUserAccessDenied", "BadInvalidArgument"])
async def test_a_refused_call_says_why(answer: str) -> None:
    server = Server(None)
    server.answer = answer
    with pytest.raises(CallRefused) as refusal:
        await called(server)
    assert refusal.value.status == answer


async def test_a_refused_service_is_a_refused_call(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(None)

    def check_answer(_data: Any, _context: str) -> bool:
        raise BadTooManyOperations

    monkeypatch.setattr(server, "check_answer", check_answer)
    with pytest.raises(CallRefused) as refusal:
        await called(server)
    assert refusal.value.status == "BadTooManyOperations"


async def test_nothing_is_written_without_a_connection() -> None:
    connection = Connection(SETTINGS, None, SimpleNamespace(), Names())  # type: ignore[arg-type] - it has no session
    with pytest.raises(LinkLost):
        connection.begin_call("ns=3;i=9", "ns=3;i=1")
    await connection.close()
    with pytest.raises(LinkLost):
        connection.begin_call("ns=3;i=9", "ns=3;i=1")
