# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in another process: results, errors with their facts, and a process that dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import weakref
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from edge.domain.errors import InfoMobilError, ProgramRejected
from edge.services.workers import MEMORY_FILE, NoResult, TookTooLong, Workers


def double(number: int) -> int:
    return 2 * number


def reject() -> None:
    raise ProgramRejected(program_id="p", reason="it is a test")


def wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.005)


def double_bytes(data: bytes) -> bytes:
    return data + data


def wait_for_flag(_large: object, path: str) -> None:
    wait_for(path)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(process: int, numbers: list[int]) -> list[int]:
    if os.getpid() == process:
        die()
    return numbers * 2


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


def memory_files() -> int:
    """Return how many files in memory this process has open."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(str(entry.readlink()))
    return sum(MEMORY_FILE in link for link in links)


async def test_what_is_large_goes_through_and_nothing_stays_open() -> None:
    workers = Workers()
    data = os.urandom(1 << 20) * 8
    try:
        assert await workers(double_bytes, data) == data + data
        assert memory_files() == 0
    finally:
        workers.close()


class Large:
    """An argument that can be waited for to be gone."""


async def test_an_argument_that_nobody_keeps_goes_free_while_the_worker_works(tmp_path: Path) -> None:
    workers, flag = Workers(), tmp_path / "flag"
    try:
        large = Large()
        gone = weakref.ref(large)
        waiting = asyncio.ensure_future(workers(wait_for_flag, large, str(flag)))
        del large
        async with asyncio.timeout(20):
            while gone() is not None:
                await asyncio.sleep(0.005)
        assert not waiting.done()
        flag.touch()
        await waiting
    finally:
        workers.close()


async def test_work_that_a_dying_process_had_is_done_by_the_next(tmp_path: Path) -> None:
    workers = Workers()
    try:
        first = await workers(who)
        assert await workers(die_once, first, [1, 2]) == [1, 2, 1, 2]
        assert await workers(who) != first
        with pytest.raises(BrokenProcessPool) as broken:
            await workers(die)
        assert isinstance(broken.value, InfoMobilError)
        assert await workers(double, 21) == 42
        while memory_files():
            await asyncio.sleep(0.005)
    finally:
        workers.close()


def let_go(path: str) -> int:
    Path(path).touch()
    return os.getpid()


async def test_what_waits_behind_work_that_kills_its_process_is_done_all_the_same() -> None:
    workers = Workers()
    try:
        killer, *others = await asyncio.gather(
            workers(die), *(workers(double, number) for number in range(6)), workers(who), return_exceptions=True
        )
        assert isinstance(killer, NoResult)
        assert killer.why.endswith("it may be too large for this computer.")  # type: ignore[attr-defined]
        assert others[:6] == [2 * number for number in range(6)]
        # One process has come in the place of those that died, and no more.
        assert await workers(who) == others[6]
    finally:
        workers.close()


async def test_only_the_pool_that_has_died_is_closed() -> None:
    workers = Workers()
    try:
        await workers(double, 1)
        old = workers._started()
        workers._end(old)
        alive = await workers(who)
        workers._end(old)
        assert await workers(who) == alive
    finally:
        workers.close()


async def test_what_takes_too_long_is_given_up_with_a_sentence_and_the_process_stays(tmp_path: Path) -> None:
    workers = Workers(limit_s=0.3)
    try:
        first = await workers(who)
        with pytest.raises(TookTooLong, match=r"It took over 0\.3 s on this computer"):
            await workers(wait_for, str(tmp_path / "never"))
        assert await workers(who) == first
        await workers(time.sleep, 0.15)
        await workers(time.sleep, 0.2)
    finally:
        workers.close()


async def test_without_a_limit_there_is_none(tmp_path: Path) -> None:
    workers, flag = Workers(), tmp_path / "flag"
    try:
        waiting = asyncio.create_task(workers(wait_for, str(flag)))
        done, _ = await asyncio.wait([waiting], timeout=1.0)
        assert not done
        flag.touch()
        await waiting
    finally:
        workers.close()


async def test_a_picture_does_not_keep_a_check_waiting(tmp_path: Path) -> None:
    checks, pictures, flag = Workers(), Workers(limit_s=60.0), tmp_path / "flag"
    try:
        picture = asyncio.create_task(pictures(wait_for, str(flag)))
        # The picture goes on until the check has ended.
        await checks(let_go, str(flag))
        await picture
    finally:
        pictures.close()
        checks.close()


async def test_a_caller_that_is_cancelled_leaves_its_file_to_the_worker(tmp_path: Path) -> None:
    workers = Workers()
    flag = tmp_path / "flag"
    try:
        await workers(double, 1)
        waiting = asyncio.create_task(workers(wait_for, str(flag)))
        async with asyncio.timeout(20):
            while memory_files() == 0:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            flag.touch()
            assert await workers(double, 21) == 42
            while memory_files():
                await asyncio.sleep(0.005)
    finally:
        workers.close()
