# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole driver against controllers that say anything: no crash, no endless wait, no byte too many.

Meant are: `?`, and where something failed or somebody asked `!` and 0x18; the queries of a connection; the modes in
which a program is checked; the lines of the program in their order, none twice and none after a reset; the final dwell;
`$H` and `$X` where a person asked for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from contextlib import suppress

import pytest

from edge.domain.errors import InfoMobilError
from edge.domain.machine import Availability
from edge.drivers.grbl.job import DRAIN
from tests.fuzz.effort import LONG, TIMES
from tests.fuzz.mad import MadController
from tests.support.grbl import Watched, program, running

LINES = tuple(f"G1X{number}F1000" for number in range(40))
AT_ONCE = 12
END_S = 20.0
QUERIES = {b"$I", b"$$", b"$#", b"$G", b"", b"G0G17G21G90G94"}
HURRIED = {
    "welcome_s": 0.05,
    "reply_s": 0.3,
    "homing_s": 0.5,
    "stale_s": 0.4,
    "stall_s": 1.0,
    "stand_s": 0.5,
    "retry_s": 0.1,
}


async def person(watched: Watched, chance: random.Random) -> set[bytes]:
    """Do what people do while a program runs; return the lines and bytes that this permits beyond the usual."""
    await asyncio.sleep(chance.random())
    driver, meant = watched.driver, set[bytes]()
    with suppress(InfoMobilError):
        match chance.randrange(6):
            case 0:
                await driver.stop()
            case 1:
                driver.hold()
            case 2:
                meant.add(b"~")
                await driver.resume()
            case 3:
                meant.add(b"$H")
                await driver.home()
            case 4:
                meant.add(b"$X")
                driver.clear_fault()
                await driver.unlock()
            case _:
                pass
    return meant


async def one_life(seed: int) -> int:
    """Run a driver against one controller until both have had enough; return how many lines it was sent."""
    chance = random.Random(seed)
    with MadController(seed, chance.choice((0.0, 0.02, 0.1, 0.3, 0.8))) as peer:
        async with running(peer.port, **HURRIED) as watched:
            meant: set[bytes] = set()
            async with asyncio.timeout(END_S):
                for _ in range(30):
                    await asyncio.sleep(0.05)
                    if watched.state.availability is Availability.AVAILABLE:
                        break
                running_it = asyncio.create_task(watched.driver.run_program(program(*LINES)))
                await asyncio.sleep(0)
                meant |= await person(watched, chance)
                await asyncio.sleep(0.3)
                # A hold waits for a person, and so may a program; not so a controller that is dumb, or does nothing.
                if seed % 2:
                    peer.silent = True
                else:
                    peer.be_lazy()
                with suppress(InfoMobilError):
                    await running_it
        return judge(peer.heard, meant)


def judge(heard: bytes, meant: set[bytes]) -> int:
    """Look at every byte that went to the controller; return how many lines of the program were among them."""
    realtime = set(re.findall(rb"[\x00-\x09\x0b-\x1f?!~\x7f-\xff]", heard))
    assert realtime <= {b"?", b"!", b"\x18"} | meant
    usual = QUERIES | meant
    lives = [re.sub(rb"[?!~]", b"", life).split(b"\n") for life in heard.split(b"\x18")]
    streamed = [sent for lines in lives if (sent := [line for line in lines if line not in usual])]
    # Everything in one life of the controller, from the beginning, in order, nothing twice; the last may be cut off.
    assert len(streamed) <= 1
    sent = b"\n".join(streamed[0]) if streamed else b""
    assert b"\n".join(line.encode("ascii") for line in (*LINES, DRAIN)).startswith(sent)
    return sent.count(b"\n")


@pytest.mark.parametrize("first", range(0, AT_ONCE * (TIMES if LONG else 2), AT_ONCE))
async def test_nothing_falls_over_waits_for_ever_or_writes_what_was_not_meant(
    first: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    first += random.SystemRandom().randrange(1 << 30) if LONG else 0
    async with asyncio.TaskGroup() as group:
        lives = [group.create_task(one_life(seed), name=f"seed {seed}") for seed in range(first, first + AT_ONCE)]
    assert sum(life.result() for life in lives) > 0
