# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how far a machine travels after a held jog key is released, at 1,000 mm/min on the simulated controller.

The controller's true position is asked for in the moment of the release, by a way of its own, and again once the axes
stand. No driver can do better than v^2/2a, in which the axes brake; beside it stands that and one jog line, the longest
that was on the wire.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.stats import Row, percentile, row
from edge.domain.hand import Axis, Displacement
from tests.support.grbl import Simulator, Watched, eventually, running, simulator

FEED = 1_000.0
ACCELERATION = 200.0
"""mm/s^2, `$120` of the simulated controller."""
RELEASES = 16
HELD_S = 0.6
RENEW_S = 0.1
"""As the console does it."""
NEAR = ("--physical=-3,-3,-3", "--set", "$24=1000", "--set", f"$120={ACCELERATION:g}")
_LINE = re.compile(r"\$J=[^\n]*?X(-?[0-9.]+)")


def taken(file: Path) -> float:
    """Return the true X that the simulator wrote, mm, and remove the file."""
    truth = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return float(truth["mpos_steps_mm"][0])


async def released(device: Simulator, machine: Watched, file: Path, direction: float) -> float:
    """Hold the key for a while, release it; return the mm travelled after that."""
    lease = machine.driver.lease_jog(Displacement(x=direction), FEED)
    for _ in range(round(HELD_S / RENEW_S)):
        await asyncio.sleep(RENEW_S)
        lease.renew()
    device.ctl(f"state {file}")
    lease.release()
    await lease.ended()
    await eventually(file.exists, "the simulator tells its state")
    begun = taken(file)
    device.ctl(f"state {file}")
    await eventually(file.exists, "the simulator tells its state")
    return abs(taken(file) - begun)


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    count = 6 if quick else RELEASES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with simulator(folder, *NEAR, speed=1.0) as device, running(device.port) as machine:
            await machine.homed()
            await machine.driver.jog_to({Axis.X: -60.0}, 2_000.0)
            mm = [
                await released(device, machine, folder / "place.json", -1.0 if number % 2 else 1.0)
                for number in range(count)
            ]
            lines = [abs(float(found)) for found in _LINE.findall(device.received()) if "." in found]
    speed = FEED / 60
    braking = speed**2 / (2 * ACCELERATION)
    longest = sorted(lines)[len(lines) // 2]
    reference = "v^2/2a and one jog line"
    title = f"jog release to stand at {FEED:,.0f} mm/min"
    yield row(f"{title}: travel, p50", percentile(mm, 0.5), "mm", reference, braking + longest)
    yield row(f"{title}: travel, worst of {count}", max(mm), "mm", reference, braking + longest)
