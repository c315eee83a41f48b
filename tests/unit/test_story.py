# SPDX-License-Identifier: GPL-3.0-or-later
"""The ring of the black box, its export, and the story that a recording tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.story.export import OPENED, Event, NotAnExport, Recording, from_json_lines, recording, to_json_lines
from edge.story.reading import What, read
from edge.story.ring import RING_AT, Entry, Kind, NotARecording, RingWriter, read_entries, read_facts
from edge.story.tell import story

TRACES = Path(__file__).parents[1] / "data" / "grbl_traces"
SECOND = 1_000_000_000


def ring(capacity: int = 1024) -> tuple[bytearray, RingWriter]:
    buffer = bytearray(RING_AT + capacity)
    return buffer, RingWriter(buffer, {"machine": "router"})


def entries(buffer: bytearray) -> list[Entry]:
    return list(read_entries(bytes(buffer)))


def mark(name: str, **facts: object) -> bytes:
    return json.dumps({"mark": name, **facts}).encode()


def test_what_was_written_is_read() -> None:
    buffer, writer = ring()
    assert entries(buffer) == []
    writer.write(Kind.OUT, 5, b"?")
    writer.write(Kind.IN, 7, b"ok\r\n")
    assert entries(buffer) == [Entry(Kind.OUT, 5, b"?"), Entry(Kind.IN, 7, b"ok\r\n")]
    assert read_facts(bytes(buffer)) == {"machine": "router"}


@pytest.mark.parametrize("length", [0, 1, 3, 7, 50, 239, 256])
def test_a_full_ring_keeps_the_newest_entries_whole(length: int) -> None:
    buffer, writer = ring()
    for number in range(500):
        writer.write(Kind.IN, number, bytes([number % 251]) * length)
        kept = entries(buffer)
        assert [entry.ns for entry in kept] == list(range(number + 1 - len(kept), number + 1))
        assert all(entry.data == bytes([entry.ns % 251]) * length for entry in kept)
    assert sum(16 + length for _ in kept) > 1024 - 16 - length


def test_a_process_that_dies_between_any_two_stores_leaves_a_readable_ring() -> None:
    """The stores of each write are replayed one by one; in between, what is read is always whole."""

    class Dying(bytearray):
        def __setitem__(self, index: slice, value: bytes) -> None:  # type: ignore[override]
            super().__setitem__(index, value)
            images.append(bytes(self))

    images: list[bytes] = []
    buffer = Dying(RING_AT + 1024)
    writer = RingWriter(buffer, {})
    images.clear()
    for number in range(120):
        writer.write(Kind.IN, number, b"%03d" % number * (1 + number % 9))
    for image in images:
        read_back = list(read_entries(image))
        assert all(entry.data == b"%03d" % entry.ns * (1 + entry.ns % 9) for entry in read_back)


def test_what_is_too_long_is_cut() -> None:
    buffer, writer = ring()
    writer.write(Kind.IN, 1, b"x" * 5000)
    assert [len(entry.data) for entry in entries(buffer)] == [256]
    with pytest.raises(ValueError, match="5"):
        RingWriter(bytearray(RING_AT + 1024), {"long": "x" * 5000})
    with pytest.raises(ValueError, match="10"):
        RingWriter(bytearray(10), {})


def test_how_it_ended_is_said_beside_the_ring() -> None:
    buffer, writer = ring()
    writer.conclude({"outcome": "failed", "reason": "x" * 1000})
    writer.conclude({"outcome": "finished"})
    assert read_facts(bytes(buffer[:RING_AT])) == {"machine": "router", "outcome": "finished"}
    with pytest.raises(ValueError, match="20"):
        writer.conclude({"outcome": "x" * 2040})


def test_a_ring_goes_on_from_another_one() -> None:
    first, writer = ring()
    writer.write(Kind.OUT, 5, b"?")
    second, successor = ring()
    successor.take_over(bytes(first[RING_AT : RING_AT + writer.written]))
    successor.write(Kind.IN, 7, b"ok\r\n")
    assert [entry.ns for entry in entries(second)] == [5, 7]


def test_what_is_no_ring_is_refused() -> None:
    buffer, writer = ring()
    writer.write(Kind.IN, 1, b"ok")
    for broken in (b"", b"Grbl", bytes(buffer[:100]), bytes(buffer[:-1]), buffer.replace(b"machine", b"\x00mach}{")):
        with pytest.raises(NotARecording):
            list(read_entries(bytes(broken)))
    buffer[RING_AT + 4] = 99
    assert entries(buffer) == []


def test_bytes_become_lines_and_come_back_as_json() -> None:
    chunks = [
        Entry(Kind.MARK, 10 * SECOND, mark("port opened", port="/dev/x", baud=115200)),
        Entry(Kind.IN, 11 * SECOND, b"\r\nGrbl 1.1h ['$' for help]\r\n$22=1\r\no"),
        Entry(Kind.OUT, 11 * SECOND + 1_000_000, b"G0X1\n"),
        Entry(Kind.IN, 12 * SECOND, b"k\r\n\xff"),
        Entry(Kind.MARK, 13 * SECOND, mark("alarm", code="ALARM:1")),
    ]
    record = recording({"machine": "router"}, chunks)
    assert record.header["settings"] == {"$22": "1"}
    assert record.events == (
        Event(0.0, "ctl", OPENED, {"port": "/dev/x", "baud": 115200}),
        Event(1.0, "rx", ""),
        Event(1.0, "rx", "Grbl 1.1h ['$' for help]"),
        Event(1.0, "rx", "$22=1"),
        Event(1.001, "tx", "G0X1\n"),
        Event(2.0, "rx", "ok"),
        Event(3.0, "ctl", "host: alarm", {"code": "ALARM:1"}),
        Event(3.0, "ctl", "host: unfinished line", {"text": "\xff"}),
    )
    assert from_json_lines("\n".join(to_json_lines(record))) == record


@pytest.mark.parametrize("text", ["", "{}", "G0X1", "[1]", '{"scenario": "a"}\n{"t": 1}', '{"scenario": "a"}\nG0X1'])
def test_what_is_no_export_is_refused(text: str) -> None:
    with pytest.raises(NotAnExport):
        from_json_lines(text)


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_trace_has_a_story(path: Path) -> None:
    assert story(from_json_lines(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("trace", "first", "trusted"),
    [
        ("unplug_in_motion", What.UNPLUGGED, False),
        ("power_cycle_in_motion", What.RESTART, False),
        ("hard_limit_alarm1", What.ALARM, False),
        ("reset_in_motion", What.ALARM, False),
        ("soft_limit_in_motion", What.ALARM, True),
        ("error_codes", What.ERROR, None),
        ("door_run_resume", What.DOOR, None),
        ("reset_after_hold", None, True),
    ],
)
def test_what_came_first_in_a_trace(trace: str, first: What | None, trusted: bool | None) -> None:
    record = from_json_lines((TRACES / f"{trace}.jsonl").read_text(encoding="utf-8"))
    found = read(record)
    assert (found.first.what if found.first else None) is first
    told = " ".join(story(record))
    assert ("can be trusted" in told, "cannot be trusted" in told) == (trusted is True, trusted is False)


def told(*events: Event) -> str:
    return " ".join(story(Recording({"scenario": "s", "machine": "router"}, events)))


def begin() -> tuple[Event, ...]:
    return (
        Event(0.0, "ctl", OPENED, {"port": "/dev/x", "baud": 115200}),
        Event(1.0, "rx", "Grbl 1.1h ['$' for help]"),
        Event(2.0, "ctl", "host: program begins", {"program": "gear", "lines": 40}),
        Event(2.0, "tx", "G0X1\nG0X2\n"),
        Event(2.1, "rx", "ok"),
    )


def test_the_story_of_a_program_that_came_to_its_end() -> None:
    text = told(*begin(), Event(3.0, "rx", "ok"), Event(4.0, "ctl", "host: program ends", {"outcome": "finished"}))
    assert "the program 'gear' of 40 lines began" in text
    assert "The program came to its end at 4.00 s." in text
    assert "What to do" not in text


def test_the_story_of_a_service_that_was_killed() -> None:
    text = told(*begin())
    assert "The last one acknowledged was 'G0X1'; 1 line was on the way or unconfirmed." in text
    assert "The recording ends while the program runs" in text
    assert "home it" in text


def test_the_story_of_a_guardian_that_may_have_acted() -> None:
    reason = "this service was held up, and the guardian may have stopped the machine"
    ends = Event(9.0, "ctl", "host: program ends", {"outcome": "was interrupted", "reason": reason})
    text = told(*begin(), ends, Event(9.0, "tx", "!"), Event(9.4, "tx", "\x18"))
    assert "First, at 9.00 s, this service was held up" in text
    assert "A hold was sent 0 ms after that. A reset was sent 400 ms after that." in text
    assert "tell whoever maintains it" in text


def test_a_refused_line_among_damaged_ones_may_have_been_damaged_on_its_way() -> None:
    text = told(*begin(), Event(2.2, "rx", "error:36"), Event(2.3, "rx", "<Idle|MPos:0.0\x1000,0.000,0.000|FS:0,0>"))
    assert "the controller refused the line 'G0X2' (error:36)" in text
    assert "1 line came in damaged: the refused one may have been, too." in text


def test_the_story_of_nothing() -> None:
    assert told() == "The recording of the machine router lasts 0.0 s. No controller answered. No line was sent."
