# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixture of tests about loaded programs: a module names this one in its `pytest_plugins`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.loading import CONTENT, Bench, make


@pytest.fixture(params=[True])
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """A machine that keeps programs, with a file for it; the parameter tells whether it has job control."""
    bench = make(tmp_path, job_control=request.param)
    await bench.shelf.put("lathe", "SHAFT.MPF", CONTENT)
    tasks = [asyncio.create_task(part.run()) for part in (bench.recorder, bench.supervisor, bench.transfer)]
    await asyncio.sleep(0)
    yield bench
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
