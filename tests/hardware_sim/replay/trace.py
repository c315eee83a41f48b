# SPDX-License-Identifier: GPL-3.0-or-later
"""A recorded conversation, as ``tests/data/grbl_traces/README.md`` describes it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Which bytes are lost in these depends on microseconds: the kind of damage is compared, not each byte.
DAMAGE_SCENARIOS = frozenset({"eeprom_streamed_loss", "stream_overflow_220"})
OPENED = "port opened (DTR reset)"
HOST_NOTE = "host: "
_CONTROL_LINES = {
    "feed hold button pressed": "button hold press",
    "feed hold button released": "button hold release",
    "cycle start button pressed": "button start press",
    "cycle start button released": "button start release",
    "reset button pressed": "button reset press",
    "reset button released": "button reset release",
    "controller held in hardware reset": "estop on",
    "hardware reset released": "estop off",
}


@dataclass(frozen=True)
class Event:
    """One line of a trace: `t` seconds after the port was opened, `direction` tx, rx or ctl."""

    t: float
    direction: str
    data: str


@dataclass
class Trace:
    """One scenario. `truth` is the true state at the end."""

    scenario: str
    build: str
    settings: dict[str, str]
    events: list[Event] = field(default_factory=list)
    truth: dict[str, Any] = field(default_factory=dict)

    @property
    def replies(self) -> list[Event]:
        return [event for event in self.events if event.direction == "rx"]

    @property
    def duration(self) -> float:
        return self.events[-1].t

    @property
    def damaged(self) -> bool:
        return self.scenario in DAMAGE_SCENARIOS


def load(path: Path) -> Trace:
    """Read the trace in `path`."""
    with path.open(encoding="utf-8") as file:
        header = json.loads(next(file))
        build = "door" if "door pin" in header["firmware"] else "stock"
        trace = Trace(header["scenario"], build, header["settings"])
        for line in file:
            entry = json.loads(line)
            if entry.get("end"):
                trace.truth = entry["truth"]
            elif entry["dir"] != "truth":
                trace.events.append(Event(entry["t"], entry["dir"], entry["data"]))
    return trace


def control_line(event: Event) -> str | None:
    """The simulator's control line for a ``ctl`` event, None for what the host itself does."""
    if event.data == OPENED or event.data.startswith(HOST_NOTE):
        return None
    return _CONTROL_LINES.get(event.data, event.data)
