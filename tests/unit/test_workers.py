# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in another process: results, errors with their facts, and a process that dies."""

from __future__ import annotations

import os
import signal

import pytest

from edge.domain.errors import ProgramRejected
from edge.services.workers import Workers


def double(number: int) -> int:
    return 2 * number


def reject() -> None:
    raise ProgramRejected(program_id="p", reason="it is a test")


def who() -> int:
    return os.getpid()


async def test_results_and_errors_come_back_and_a_dead_process_is_replaced() -> None:
    workers = Workers()
    try:
        assert await workers(double, 21) == 42
        with pytest.raises(ProgramRejected, match="it is a test") as rejected:
            await workers(reject)
        assert rejected.value.reason == "it is a test"
        first = await workers(who)
        assert first != os.getpid()
        os.kill(first, signal.SIGKILL)
        assert await workers(double, 4) == 8
        assert await workers(who) != first
    finally:
        workers.close()
