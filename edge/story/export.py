# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording as JSON lines, in the form of the recorded conversations in `tests/data/grbl_traces`, and back.

The first line says what was recorded, the last one is an end mark, and between them stands one event a line: `t` in
seconds since the begin, `dir` rx (one line of the controller without its end), tx (bytes of the host) or ctl (what
else happened), `data` as text of one character a byte. Marks of the driver are ctl events whose data begins with
`host: `, with their facts beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edge.story.ring import Entry, Kind

OPENED = "port opened (DTR reset)"
HOST = "host: "
_SETTING = re.compile(r"\$(\d{1,3})=(\S+)")
_NS = 1_000_000_000


class NotAnExport(ValueError):
    """The text is no exported recording."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a conversation; facts are those of a mark."""

    t: float
    direction: str
    data: str
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recording:
    """A conversation with a controller: what is said of it, and its events in time order."""

    header: dict[str, object]
    events: tuple[Event, ...]


def recording(facts: dict[str, object], entries: Iterable[Entry]) -> Recording:
    """Return the conversation in a ring: bytes of the controller put together to lines."""
    events: list[Event] = []
    settings: dict[str, str] = {}
    begin: int | None = None
    t, rest = 0.0, b""
    for entry in entries:
        begin = entry.ns if begin is None else begin
        t = round((entry.ns - begin) / _NS, 6)
        match entry.kind:
            case Kind.IN:
                *lines, rest = (rest + entry.data).split(b"\n")
                for line in lines:
                    text = line.rstrip(b"\r").decode("latin-1")
                    events.append(Event(t, "rx", text))
                    if found := _SETTING.fullmatch(text):
                        settings[f"${found[1]}"] = found[2]
            case Kind.OUT:
                events.append(Event(t, "tx", entry.data.decode("latin-1")))
            case Kind.MARK:
                mark: dict[str, object] = json.loads(entry.data)
                name = str(mark.pop("mark"))
                if name == "port opened":
                    rest = b""
                    events.append(Event(t, "ctl", OPENED, mark))
                else:
                    events.append(Event(t, "ctl", HOST + name, mark))
    if rest:
        events.append(Event(t, "ctl", HOST + "unfinished line", {"text": rest.decode("latin-1")}))
    header = {
        "scenario": str(facts.get("program") or facts.get("machine") or "recording"),
        "firmware": str(facts.get("controller") or "unknown"),
        "settings": settings,
        "note": "from the black box",
        **facts,
    }
    return Recording(header, tuple(events))


def to_json_lines(record: Recording) -> Iterator[str]:
    """Yield the lines of an export, without their ends."""
    yield json.dumps(record.header)
    for event in record.events:
        line: dict[str, object] = {"t": event.t, "dir": event.direction, "data": event.data}
        if event.facts:
            line["facts"] = event.facts
        yield json.dumps(line)
    yield json.dumps({"end": True, "truth": {}})


def from_json_lines(text: str) -> Recording:
    """Return the conversation in an export, or in a trace. Raises NotAnExport."""
    first, *lines = text.splitlines() or [""]
    try:
        header = json.loads(first)
        events = []
        for line in lines:
            entry = json.loads(line)
            if not entry.get("end") and entry["dir"] != "truth":
                events.append(Event(float(entry["t"]), entry["dir"], entry["data"], entry.get("facts", {})))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAnExport("this is no recording: it has to be JSON lines of t, dir and data") from error
    if not isinstance(header, dict) or "scenario" not in header:
        raise NotAnExport("this is no recording: its first line has to say what was recorded")
    return Recording(header, tuple(events))
