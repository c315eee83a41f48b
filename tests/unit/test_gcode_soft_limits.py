# SPDX-License-Identifier: GPL-3.0-or-later
"""The check finds the line at which a controller with soft limits raises its alarm, and no line before it.

The judge is the simulated controller in its check mode ($C), in which it looks at every target and moves nothing.
"""

from __future__ import annotations

from hypothesis import assume, event, given
from hypothesis import strategies as st

from edge.domain.machine import Position, Travel
from edge.gcode import Dialect, check, interpret
from edge.gcode.limits import OPERATOR_BANNED
from tests.fuzz.effort import effort
from tests.hardware_sim.grbl.board import Board
from tests.hardware_sim.grbl.builds import STOCK
from tests.hardware_sim.grbl.settings import prepare

REACH = (120.0, 90.0, 40.0)
OFFSET = Position(-60.0, -45.0, -15.0)
START = Position(60.0, 45.0, 15.0)
"""Where the controller stands when it starts, machine 0, in the work coordinates of OFFSET."""
SETTINGS = {"$20": "1", "$22": "1", **{f"${130 + axis}": str(length) for axis, length in enumerate(REACH)}}
LIMIT_S = 5.0
NEAR = 0.01
"""mm: a chord may be so much shorter than its arc, and numbers of the controller have seven digits."""


def travel(more: float = 0.0) -> Travel:
    low = Position(*(-length - more for length in REACH))
    return Travel(low, Position(more, more, more), 10_000, 1000)


def first_outside(text: str, more: float = 0.0) -> int | None:
    program = interpret(text.encode(), dialect=Dialect(start=START, offset=OFFSET))
    found = check(program, travel(more), OFFSET, banned=OPERATOR_BANNED)
    assert not program.segments.unplaced.any()
    assert {item.code for item in found} <= {"out-of-travel", "no-motion", "place-unknown"}
    assert all(item.words == ("G92.1",) for item in found if item.code == "place-unknown")
    return min((item.line for item in found if item.code == "out-of-travel"), default=None)


class Judge:
    """A controller on the virtual clock, in check mode."""

    def __init__(self) -> None:
        self.said = ""
        self.board = Board(STOCK, self._hear, boot_delay=0.0, line_cost=0.0001)
        prepare(self.board.eeprom, SETTINGS)
        self.board.restart()
        self.wait("unlock]")
        for line in ("$X", f"G10L2P1X{OFFSET.x}Y{OFFSET.y}Z{OFFSET.z}", "$C"):
            assert self.tell(line) == "ok", (line, self.said)

    def _hear(self, data: bytes) -> None:
        self.said += data.decode("ascii")

    def wait(self, *words: str) -> str:
        kernel = self.board.kernel
        until = kernel.now + LIMIT_S
        while kernel.now < until:
            if (found := next((word for word in words if word in self.said), None)) is not None:
                return found
            kernel.run_until(kernel.now + 0.002)
        raise AssertionError(self.said)

    def tell(self, line: str) -> str:
        self.said = ""
        self.board.rx.feed(line.encode("ascii") + b"\n")
        return self.wait("ALARM:2", "error:", "ok")

    def first_refused(self, text: str) -> int | None:
        for number, line in enumerate(text.splitlines(), 1):
            answer = self.tell(line)
            assert answer != "error:", (line, self.said)
            if answer == "ALARM:2":
                return number
        return None


place = st.one_of(st.integers(-60, 60), st.integers(-260, 260)).map(lambda value: value / 4)
word = st.sampled_from
moves = st.builds(
    lambda kind, axes, values: (
        f"G{kind}" + "".join(f"{axis}{value:g}" for axis, value in zip(axes, values, strict=False))
    ),
    word([0, 1]),
    word(["X", "Y", "Z", "XY", "XZ", "XYZ"]),
    st.lists(place, min_size=3, max_size=3),
)
arcs = st.builds(
    lambda turn, plane, centre: f"G91{plane[0]}G{turn}{plane[1]}0{plane[2]}{centre[0]:g}{plane[3]}{centre[1]:g}",
    word([2, 3]),
    word([("G17", "X", "I", "J"), ("G18", "Z", "K", "I"), ("G19", "Y", "J", "K")]),
    st.tuples(place, place).filter(lambda pair: pair != (0, 0)),
)
halves = st.builds(
    lambda turn, x, y: f"G91G17G{turn}X{2 * x:g}Y{2 * y:g}I{x:g}J{y:g}",
    word([2, 3]),
    place,
    place.filter(bool),
)
machine = st.builds(lambda axis, value: f"G53G0{axis}{value:g}", word("XYZ"), place)
zeros = st.builds(lambda axis, value: f"G92{axis}{value:g}", word("XYZ"), place) | st.just("G92.1")
lines = st.one_of(
    moves.map(lambda text: "G90" + text), moves.map(lambda text: "G91" + text), arcs, halves, machine, zeros
)


@given(st.lists(lines, min_size=1, max_size=12))
@effort(150)
def test_the_first_line_out_of_travel_is_the_one_at_which_the_controller_raises_its_alarm(body: list[str]) -> None:
    text = "\n".join(["G21G90G94F500", "G0X0Y0Z0", *body, ""])
    expected = first_outside(text)
    assume(first_outside(text, NEAR) == expected == first_outside(text, -NEAR))
    event("inside" if expected is None else "outside")
    assert Judge().first_refused(text) == expected
