# SPDX-License-Identifier: GPL-3.0-or-later
"""grbl-streamer's window, as it is used: nothing changed, nothing lost, never more in flight than fits."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.grbl.streamer import JobStreamer

lines = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=79)


@given(st.lists(lines, min_size=1, max_size=60), st.integers(80, 127))
def test_wire_is_byte_identical_and_fits(program: list[str], window: int) -> None:
    streamer = JobStreamer(window)
    in_flight: deque[int] = deque()
    wire = bytearray()

    def take(data: bytes) -> None:
        wire.extend(data)
        in_flight.extend(len(line) + 1 for line in data.split(b"\n")[:-1])
        assert sum(in_flight) <= window

    take(streamer.start(program))
    for number in range(len(program)):
        assert streamer.acknowledged == number
        assert not streamer.complete
        # As much as fits is on its way, unless nothing is left.
        following = number + len(in_flight)
        if following < len(program):
            assert sum(in_flight) + len(program[following]) + 1 > window
        assert [len(line) + 1 for line in streamer.in_flight] == list(in_flight)
        in_flight.popleft()
        take(streamer.acknowledge())
    assert streamer.complete
    assert bytes(wire) == "".join(f"{line}\n" for line in program).encode("ascii")


def test_the_words_that_the_clean_up_would_have_changed_stay() -> None:
    program = ["T1", "X5", "G53G0Z-1", "S8000.5M3", "G61", "X1", "G1X#1", "(note)", "g1x1", "G91G1X1F100"]
    streamer = JobStreamer(127)
    data = streamer.start(program)
    while not streamer.complete:
        data += streamer.acknowledge()
    assert data.decode("ascii").splitlines() == program


def test_no_thread_and_nothing_left_at_exit() -> None:
    before = threading.active_count()
    streamer = JobStreamer(127)
    streamer.start(["G0X1"])
    assert threading.active_count() == before
    kept = weakref.ref(streamer)
    del streamer
    gc.collect()
    assert kept() is None


def test_a_streamer_can_be_started_again() -> None:
    streamer = JobStreamer(127)
    streamer.start(["G0X1"])
    streamer.acknowledge()
    assert streamer.start(["G0X2", "G0X3"]) == b"G0X2\nG0X3\n"
    assert streamer.acknowledged == 0
