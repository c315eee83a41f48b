# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of checked programs is bounded by their length, and a long one alone is remembered, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from edge.domain.machine import MachineInfo
from edge.services import programs
from edge.services.bus import EventBus
from edge.services.programs import ProgramCatalog

INFO = MachineInfo("router", "Router", "router", driver="grbl", capabilities=frozenset())


class Uploads:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def names(self) -> Mapping[str, str]:
        return {}

    async def read(self, program_id: str) -> bytes:
        return self.kept[program_id]

    async def put(self, program_id: str, name: str, data: bytes) -> None:
        self.kept[program_id] = data


async def test_long_programs_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "CACHED_LINES", 1_000)
    monkeypatch.setattr(programs, "LARGE", 2_000)
    checks: list[str] = []

    async def at_once(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        checks.append(args[1][:4])
        return function(*args, **kwargs)

    catalog = ProgramCatalog({}, Uploads(), at_once, EventBus())

    async def upload(lines: int) -> str:
        entry, prepared = await catalog.upload("a.nc", b"G21\nG0 X1\n" + b"G0 X1\n" * lines, INFO, None)
        assert entry is not None
        assert prepared.total_lines == lines + 2
        return entry.program_id

    small, large = await upload(10), await upload(2_000)
    assert len(checks) == 2
    await catalog.prepare(large, INFO, None)
    assert len(checks) == 2
    await catalog.prepare(small, INFO, None)
    assert len(checks) == 3
    await catalog.prepare(small, INFO, None)
    assert len(checks) == 3
