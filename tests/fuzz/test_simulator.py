# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated controller, told anything at all: it never falls over, and answers each line at most once."""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.fuzz.effort import effort
from tests.fuzz.material import GCODE, pieces, spoiled
from tests.hardware_sim.grbl.board import Board
from tests.hardware_sim.grbl.builds import BUILDS
from tests.hardware_sim.grbl.settings import prepare
from tests.hardware_sim.grbl.uart import REALTIME

COMMANDS = (
    *(
        "$",
        "$$",
        "$#",
        "$G",
        "$I",
        "$N",
        "$H",
        "$X",
        "$C",
        "$SLP",
        "$J=G91 X1 F500",
        "$J=X-5 F100",
        "$J=F100",
        "$RST=$",
    ),
    *("$10=3", "$110=x", "$N0=G54", "$I=hello", "$22=1", "$999=1", "G10 L2 P1 X1", "G28.1", "G38.2 Z-1 F50", "G4 P0.1"),
)
SAID = st.one_of(
    st.binary(max_size=200),
    spoiled((*COMMANDS, *GCODE), most=15),
    spoiled((*COMMANDS, *GCODE), end="\r\n", most=15),
    st.lists(st.sampled_from(COMMANDS), max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines).encode()),
)
WINDOW = 100


class Bench:
    """A controller on the virtual clock, and what it said."""

    def __init__(self, build: str) -> None:
        self.said = b""
        self.board = Board(BUILDS[build], self._hear, boot_delay=0.1, line_cost=0.001)
        prepare(self.board.eeprom, {})
        self.board.restart()
        self.run(1.0)

    def _hear(self, data: bytes) -> None:
        self.said += data

    def run(self, seconds: float) -> None:
        kernel = self.board.kernel
        kernel.run_until(kernel.now + seconds)

    @property
    def answers(self) -> int:
        return sum(line == b"ok" or line.startswith(b"error:") for line in self.said.split(b"\r\n"))


@pytest.mark.parametrize("build", sorted(BUILDS))
@given(data=SAID, cuts=st.lists(st.integers(0, 3_000), max_size=8), pause=st.sampled_from((0.001, 0.05, 2.0)))
@effort(240)
def test_it_lives_through_everything_and_answers_no_line_twice(
    build: str, data: bytes, cuts: list[int], pause: float
) -> None:
    bench = Bench(build)
    for piece in pieces(data, cuts):
        bench.board.rx.feed(piece)
        bench.run(pause)
    bench.run(3.0)
    ends = sum(byte in b"\r\n" for byte in data)
    resets = data.count(b"\x18")
    # One stray answer may come with each reset (trace reset_with_full_buffer).
    assert bench.answers <= ends + resets
    event(f"state {bench.board.truth()['state']}")
    bench.board.world.door_open = False
    bench.board.restart()
    before = len(bench.said)
    bench.run(2.0)
    bench.board.rx.feed(b"?")
    bench.run(0.5)
    heard = bench.said[before:]
    assert b"Grbl 1.1h" in heard
    assert heard.rstrip().endswith(b">")


@given(spoiled(GCODE, most=12), st.sampled_from(sorted(BUILDS)))
@effort(120)
def test_every_line_that_arrives_whole_in_idle_is_answered_once(data: bytes, build: str) -> None:
    data = bytes(byte for byte in data if byte not in REALTIME)
    bench = Bench(build)
    lines = data.split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        if b"\r" in line or len(line) > WINDOW:
            return
        bench.board.rx.feed(line + b"\n")
        for _ in range(100):
            bench.run(0.25)
            if bench.answers >= number or bench.board.truth()["state"] not in ("Idle", "Run"):
                break
        if bench.answers < number and (
            bench.board.truth()["moving"] or bench.board.truth()["state"] not in ("Idle", "Run")
        ):
            event("slow, held or locked: the answer may take its time")
            return
        assert bench.answers == number
