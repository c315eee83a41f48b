# SPDX-License-Identifier: GPL-3.0-or-later
"""Methods of a server: arguments in the types that the method declares, answers as plain values."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol, TypeVar

from asyncua.ua.ua_binary import struct_from_binary

from edge.drivers.opcua.errors import CallRefused
from edge.drivers.opcua.models.model import Browser
from edge.drivers.opcua.texts import clean
from edge.drivers.opcua.translate import exactly, plain, ua

T = TypeVar("T")

_ANY_TYPE = 24
_HIGHEST_BUILT_IN = 25
_ENUMERATION = 29
_SUPERTYPE_DEPTH = 8


class Asking(Protocol):
    """How a connection awaits an answer: within its time, and with what goes wrong translated."""

    async def __call__(self, what: str, answer: Awaitable[T], seconds: float | None = None) -> T:
        """Return the answer. Raises LinkError."""
        ...


class Calls:
    """The methods of one connection."""

    def __init__(self, client: Any, ask: Asking, browser: Browser, timeout_s: float) -> None:
        self._client = client
        self._ask = ask
        self._browse = browser.browse
        self._supertype = browser.supertype
        self._timeout_s = timeout_s
        self._types: dict[str, tuple[tuple[Any, bool], ...]] = {}

    async def prepare(self, method_id: str) -> None:
        """Learn which arguments a method takes, once per connection. Raises LinkError."""
        if method_id not in self._types:
            types = []
            for one in await self._declared(method_id):
                types.append((await self._built_in(one.DataType.to_string()), one.ValueRank >= 0))
            self._types[method_id] = tuple(types)

    def begin(
        self, object_id: str, method_id: str, arguments: Sequence[object], seconds: float | None = None
    ) -> Awaitable[Any]:
        """Write the call of a prepared method to the wire, now; return what `finish` awaits.

        Raises OSError where nothing can be written.
        """
        request = ua.CallMethodRequest()
        request.ObjectId = ua.NodeId.from_string(object_id)
        request.MethodId = ua.NodeId.from_string(method_id)
        request.InputArguments = self._variants(method_id, arguments)
        message = ua.CallRequest()
        message.Parameters.MethodsToCall = [request]
        protocol = self._client.uaclient.protocol
        if protocol is None:
            raise ConnectionError
        limit_s = self._timeout_s if seconds is None else seconds
        # The public call may wait before it writes.
        answer: Awaitable[Any] = protocol._send_request(message, limit_s)  # noqa: SLF001
        return answer

    async def finish(self, method_id: str, begun: Awaitable[Any], seconds: float | None = None) -> list[object]:
        """Return the output arguments of a call that was begun. Raises CallRefused, LinkError."""
        return await self._ask("calling a method", self._outputs(method_id, begun), seconds)

    async def _outputs(self, method_id: str, begun: Awaitable[Any]) -> list[object]:
        data = await begun
        try:
            self._client.uaclient.protocol.check_answer(data, "")
            (result,) = struct_from_binary(ua.CallResponse, data).Results
            result.StatusCode.check()
        except ua.UaStatusCodeError as error:
            raise CallRefused(status=ua.StatusCode(error.code).name, what=clean(method_id)) from error
        return [plain(one.Value) for one in result.OutputArguments or ()]

    async def _declared(self, method_id: str) -> Sequence[Any]:
        # By its name alone: servers put the property into namespaces of their own.
        found = [one.node_id for one in await self._browse(method_id) if one.name == "InputArguments"]
        if not found:
            return ()  # a method without arguments has no such property
        request = self._client.uaclient.read_attributes([ua.NodeId.from_string(found[0])], ua.AttributeIds.Value)
        (value,) = exactly(1, await self._ask("looking at a method", request))
        declared = value.Value.Value if value.Value is not None else None
        return [one for one in declared or () if hasattr(one, "DataType") and hasattr(one, "ValueRank")]

    async def _built_in(self, type_id: str) -> Any:
        current: str | None = type_id
        for _ in range(_SUPERTYPE_DEPTH):
            if current is None:
                break
            node = ua.NodeId.from_string(current)
            if node.NamespaceIndex == 0 and node.Identifier == _ENUMERATION:
                return ua.VariantType.Int32
            if node.NamespaceIndex == 0 and isinstance(node.Identifier, int) and node.Identifier <= _HIGHEST_BUILT_IN:
                return None if node.Identifier == _ANY_TYPE else ua.VariantType(node.Identifier)
            current = await self._supertype(current)
        return None

    def _variants(self, method_id: str, arguments: Sequence[object]) -> list[Any]:
        types = self._types.get(method_id, ())
        variants: list[Any] = []
        for index, argument in enumerate(arguments):
            if isinstance(argument, ua.Variant):
                variants.append(argument)
                continue
            built_in, is_array = types[index] if index < len(types) else (None, False)
            variants.append(ua.Variant(_typed(argument, built_in), built_in, is_array=is_array or None))
        return variants


def _typed(argument: object, built_in: Any) -> object:
    if isinstance(argument, list | tuple):
        return [_typed(one, built_in) for one in argument]
    if isinstance(argument, str):
        if built_in is ua.VariantType.NodeId:
            return ua.NodeId.from_string(argument)
        if built_in is ua.VariantType.LocalizedText:
            return ua.LocalizedText(argument)
    return argument
