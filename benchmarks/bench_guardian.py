# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how long after the death or the hang of its holder a port hears the hold."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path

REPEATS = 24
ROOT = Path(__file__).parents[1]
HOLDER = Path(__file__).with_name("guardian_holder.py")
PATIENCE_S = 5.0


def delay_ms(how: signal.Signals, whose: str) -> float:
    """Return the time in ms between the signal to a holder and `!` at the port."""
    controller, host = os.openpty()
    tty.setraw(host)
    arguments = [sys.executable, str(HOLDER), whose, os.ttyname(host)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.12)
        begin = time.perf_counter()
        os.kill(process.pid, how)
        heard, _, _ = select.select([controller], [], [], PATIENCE_S)
        end = time.perf_counter()
        process.kill()
    if not heard or os.read(controller, 1) != b"!":
        raise RuntimeError(f"no hold came after {how.name}")
    # The guardian ends by closing its duplicate, which is the last one.
    os.close(host)
    os.close(controller)
    return (end - begin) * 1000


def percentile(values: list[float], part: float) -> float:
    """Return the value below which `part` of `values` lie."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


@contextlib.contextmanager
def punctual() -> Iterator[None]:
    """Let this process hear a byte at once where the system permits, however busy it is: else it measures itself."""
    before = os.sched_getscheduler(0)
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(5))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


def run() -> list[dict[str, object]]:
    """Return the rows of the table."""
    with punctual():
        return measured()


def measured() -> list[dict[str, object]]:
    """Kill and stop holders, and return the rows of the table."""
    rows: list[dict[str, object]] = []
    for how, what in ((signal.SIGKILL, "kill -9"), (signal.SIGSTOP, "hang")):
        ours = [delay_ms(how, "ours") for _ in range(REPEATS)]
        bare = [delay_ms(how, "bare") for _ in range(REPEATS)]
        for part, name in ((0.5, "p50"), (0.99, "p99")):
            value, reference = percentile(ours, part), percentile(bare, part)
            rows.append(
                {
                    "name": f"guardian: {what} to hold, {name}",
                    "value": value,
                    "unit": "ms",
                    "reference": "bare pipe and select in a forked process",
                    "reference_value": reference,
                    "ratio": value / reference,
                }
            )
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)
