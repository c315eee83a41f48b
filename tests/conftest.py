# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: what a test starts, it ends, and in which order files are taken.

A task left over fails the test that leaves it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
LONG_S = 120.0


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take files in an order that keeps several workers and both processors busy to the end.

    First what asks for much time by its own word; then pages in Chromium, which compute, evenly among tests of
    processes, which mostly wait; the many short ones last. Within a file nothing changes.
    """
    files: dict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        files[item.path].append(item)
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path, tests in files.items():
        kinds[_kind(path, tests)].append(path)
    turn = {
        path: (kind == "short", kind != "long", (number + 0.5) / len(paths))
        for kind, paths in kinds.items()
        for number, path in enumerate(paths)
    }
    items.sort(key=lambda item: turn[item.path])


def _kind(path: Path, tests: list[pytest.Item]) -> str:
    if path.is_relative_to(UNIT):
        return "short"
    if any("browser" in getattr(test, "fixturenames", ()) for test in tests):
        return "pages"
    asked = (test.get_closest_marker("timeout") for test in tests)
    return "long" if any(one is not None and one.args and one.args[0] > LONG_S for one in asked) else "processes"
