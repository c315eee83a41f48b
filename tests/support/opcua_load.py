# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of loading programs over OPC UA look at: what a machine keeps, and what it was asked for."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

from edge.domain.transfer import ProgramFile, TransferStep
from tests.support.opcua import PATIENCE_S, Lathe, lathe_process
from tests.support.opcua_node import node_lathe_process

STACKS = {"asyncua": lathe_process, "node-opcua": node_lathe_process}

PROGRAM = ProgramFile("PART-7.NC", b"%\nO0007\nG21 G90\nG0 X0 Z5\nM30\n%\n" * 40)
OLD = bytes(100)


class Told:
    """The steps of a load, in their order, with the newest count of each."""

    def __init__(self) -> None:
        self.steps: dict[TransferStep, int] = {}

    def __call__(self, step: TransferStep, done: int) -> None:
        assert done >= self.steps.get(step, 0)
        self.steps[step] = done


def kept(facts: dict[str, Any]) -> dict[str, str]:
    """Return what a machine keeps: the SHA-256 of every file by its name."""
    return {str(one["name"]): str(one["sha256"]) for one in facts["files"]}


def digest(content: bytes) -> str:
    """Return the SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


async def until(lathe: Lathe, predicate: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    """Wait until the lathe's own word about itself is as told; return it."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not predicate(facts := await lathe.ctl("state")):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never came: {what}; last: {facts}") from None
    return facts


async def until_called(lathe: Lathe, method: str, times: int = 1) -> None:
    """Wait until a method was called."""
    await until(lathe, lambda facts: facts["calls"].get(method, 0) >= times, f"{method} called")
