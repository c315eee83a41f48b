# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: what a test starts, it ends. A task left over fails the test that leaves it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def _tasks_end() -> AsyncIterator[None]:
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, f"tasks left over: {left}"


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> None:
    """Watch async tests whose loop is their own; those that share a loop share its long-lived tasks."""
    marker = request.node.get_closest_marker("asyncio")
    shared = marker is not None and marker.kwargs.get("loop_scope", "function") != "function"
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)) and not shared:
        request.getfixturevalue("_tasks_end")
