# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated controller answers every recorded conversation as the real firmware did."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from .grbl.launch import Simulator
from .replay.clocks import LockstepClock, WallClock
from .replay.compare import Result, compare
from .replay.player import Player
from .replay.trace import load

TRACES = Path(__file__).parents[1] / "data" / "grbl_traces"
NAMES = sorted(path.stem for path in TRACES.glob("*.jsonl"))
BOOT_LOADER = ("--boot-delay", "1.2")
# What the recorded machine had besides its settings. The controller of stream_60_lines needed 4.6 ms a line while
# its planner filled (mean of its first 17 acknowledgements), so its first move began only with a full planner.
EQUIPMENT = {
    "boot_first_empty_eeprom": ("--empty-eeprom",),
    "probing": ("--probe-plate", "-50"),
    "stream_60_lines": ("--line-cost", "4.6"),
}
WORKERS = 3
REAL_TIME = ["hold_resume", "jog_stream_cancel", "door_jog", "unplug_in_motion"]
REAL_TIME_RUNS = 3
# A computer that is later than this on its own account cannot judge milliseconds.
CALM_S = 0.01

pytestmark = pytest.mark.timeout(240)


def play(name: str, folder: Path, *, lockstep: bool) -> tuple[Result, float]:
    """The comparison of one trace, and how late the two programs were on their own account (s)."""
    trace = load(TRACES / f"{name}.jsonl")
    options = [*BOOT_LOADER, "--build", trace.build, *EQUIPMENT.get(name, ())]
    if lockstep:
        options.append("--lockstep")
    with Simulator(folder / name, *options, settings=trace.settings) as simulator:
        clock = LockstepClock(simulator.control) if lockstep else WallClock()
        player = Player(trace, simulator.port, simulator.control, clock)
        try:
            seen = player.play()
            truth = player.true_state()
        finally:
            clock.close()
    late = clock.late_s if isinstance(clock, WallClock) else 0.0
    return compare(trace, seen, truth), max(late, (truth or {}).get("late_s", 0.0))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[tuple[Result, float]]]]:
    folder = tmp_path_factory.mktemp("traces")
    with ThreadPoolExecutor(WORKERS) as pool:
        yield {name: pool.submit(play, name, folder, lockstep=True) for name in NAMES}


def test_all_recordings_are_here() -> None:
    assert len(NAMES) == 47


@pytest.mark.parametrize("name", NAMES)
def test_answers_as_recorded(name: str, played: dict[str, Future[tuple[Result, float]]]) -> None:
    result, _ = played[name].result()
    assert result.agrees, "\n".join(result.differences)
    assert result.equal > 0


@pytest.mark.parametrize("name", ["stream_overflow_220", "eeprom_streamed_loss"])
def test_lost_bytes_are_counted(name: str, tmp_path: Path) -> None:
    trace = load(TRACES / f"{name}.jsonl")
    with Simulator(tmp_path, *BOOT_LOADER, "--lockstep", settings=trace.settings) as simulator:
        clock = LockstepClock(simulator.control)
        player = Player(trace, simulator.port, simulator.control, clock)
        try:
            player.play()
        finally:
            clock.close()
        truth = simulator.truth()
    lost = "rx_overflow_bytes_lost" if name == "stream_overflow_220" else "eeprom_bytes_lost"
    assert truth[lost] > 10


def test_keeps_the_wall_clock(tmp_path: Path) -> None:
    """A few recordings at their real pace; a computer that is too busy to judge them is no proof of anything.

    The player can be late, too, which nobody measures: only what differs each time is a difference.
    """
    waiting = list(REAL_TIME)
    with ThreadPoolExecutor(len(REAL_TIME)) as pool:
        for run in range(REAL_TIME_RUNS):
            folder = tmp_path / str(run)
            runs = [pool.submit(play, name, folder, lockstep=False) for name in waiting]
            results = {name: future.result() for name, future in zip(waiting, runs, strict=True)}
            waiting = [name for name, (result, _) in results.items() if not result.agrees]
            if not waiting:
                return
    for name in waiting:
        result, late = results[name]
        assert late > CALM_S, f"{name}: {result.differences}"
    pytest.skip(f"this computer is too busy to judge real time: {waiting}")
