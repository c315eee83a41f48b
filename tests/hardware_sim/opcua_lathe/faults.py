# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in the lathe's methods on request, and what was called: tests look at both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua

NO_ERROR = 1
"""ReturnStatus of a job method that succeeded: bit 0 of OPC 10031-4, Annex B.2."""


class Refusal(Exception):
    """A method answers with this status, by its name in OPC 10000-6."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.code = ua.StatusCode(getattr(ua.StatusCodes, status))


@dataclass
class Faults:
    """Faults of the methods, and their calls.

    refused holds a status name, or the ReturnStatus of a job method, by method; delays seconds by method. corrupt lets
    files read back differ from what was written; cut_after is the number of bytes after which the wire is cut.
    """

    cut_wire: Callable[[], None]
    refused: dict[str, str] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    corrupt: bool = False
    cut_after: int | None = None
    calls: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Let everything work, and forget the calls."""
        self.refused.clear()
        self.delays.clear()
        self.corrupt = False
        self.cut_after = None
        self.calls.clear()

    def written(self, count: int) -> None:
        """Count `count` bytes that were written; cut the wire where that was asked for."""
        if self.cut_after is not None:
            self.cut_after -= count
            if self.cut_after <= 0:
                self.cut_after = None
                self.cut_wire()

    def method(self, name: str, work: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """Return a method's callback: `work` gets the object's NodeId and plain values, and returns output variants."""

        async def call(parent: ua.NodeId, *arguments: ua.Variant) -> Any:
            self.calls[name] += 1
            answer = await self._answer(name, work, parent, arguments)
            # What was asked is done; only the answer comes late, or never where the wire is cut meanwhile.
            await asyncio.sleep(self.delays.get(name, 0.0))
            return answer

        return call

    async def _answer(
        self, name: str, work: Callable[..., Any], parent: ua.NodeId, arguments: Sequence[ua.Variant]
    ) -> Any:
        if (refused := self.refused.get(name)) is not None:
            if refused.isdecimal():
                return [ua.Variant(int(refused), ua.VariantType.UInt64)]
            return Refusal(refused).code
        try:
            return await work(parent, *[one.Value for one in arguments])
        except Refusal as refusal:
            return refusal.code
        except (TypeError, ValueError):
            return Refusal("BadInvalidArgument").code
