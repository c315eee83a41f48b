# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of GRBL 1.1 and a pure parser of its lines.

Every line from the controller becomes one frozen message. A line that fits nothing is Noise: evidence of
interference on the cable, never guessed at. Field order, missing and unknown fields of a status report are
tolerated, for builds differ (traces report_modes, status_fields_intermittent).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, StrEnum

from edge.drivers.grbl.codes import Firmware

LINE_LIMIT = 79
"""Characters that a line may have after blanks and comments are gone (trace line_too_long)."""


class RealTime(bytes, Enum):
    """Bytes that act at once, between any two others, and are never counted against the receive buffer."""

    STATUS = b"?"
    HOLD = b"!"
    RESUME = b"~"
    RESET = b"\x18"
    JOG_CANCEL = b"\x85"
    FEED_100 = b"\x90"
    FEED_UP_10 = b"\x91"
    FEED_DOWN_10 = b"\x92"
    FEED_UP_1 = b"\x93"
    FEED_DOWN_1 = b"\x94"
    RAPID_100 = b"\x95"
    RAPID_50 = b"\x96"
    RAPID_25 = b"\x97"
    SPINDLE_100 = b"\x99"
    SPINDLE_UP_10 = b"\x9a"
    SPINDLE_DOWN_10 = b"\x9b"
    SPINDLE_UP_1 = b"\x9c"
    SPINDLE_DOWN_1 = b"\x9d"


class State(StrEnum):
    """The first field of a status report."""

    IDLE = "Idle"
    RUN = "Run"
    HOLD = "Hold"
    JOG = "Jog"
    ALARM = "Alarm"
    DOOR = "Door"
    CHECK = "Check"
    HOME = "Home"
    SLEEP = "Sleep"
    TOOL = "Tool"


Axes = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Welcome:
    """`Grbl 1.1h [...]`: the controller has just started."""

    firmware: Firmware
    version: str


@dataclass(frozen=True, slots=True)
class Ok:
    """A line was taken."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A line was refused; GRBL goes on with the next one."""

    code: int


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """The controller locked itself."""

    code: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """`<State|...>` in the controller's own units ($13: mm or inches). None is what the report did not say.

    accessories is the text of `A:`, "" where `Ov:` came without it: everything off.
    """

    state: State
    substate: int | None = None
    machine: Axes | None = None
    work: Axes | None = None
    offset: Axes | None = None
    feed: float | None = None
    speed: float | None = None
    overrides: tuple[int, int, int] | None = None
    accessories: str | None = None
    pins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Setting:
    """`$n=value`."""

    number: int
    value: str


@dataclass(frozen=True, slots=True)
class BuildVersion:
    """`[VER:1.1h.20190830:name]`."""

    version: str


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """`[OPT:flags,planner blocks,receive buffer bytes]`; None where the build does not say."""

    flags: str
    blocks: int | None
    rx_bytes: int | None


@dataclass(frozen=True, slots=True)
class ParserState:
    """`[GC:...]`: the active modal words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """`[G54:x,y,z]`, `[TLO:z]`, `[PRB:x,y,z:1]`: a stored offset or the last probe result."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """`[MSG:...]` and other bracketed text of the controller."""

    text: str


@dataclass(frozen=True, slots=True)
class StartupResult:
    """`>line:ok`: a startup block ran by itself; it answers nobody's line."""

    line: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Noise:
    """A line that is none of GRBL's."""

    text: str


Reply = (
    Welcome
    | Ok
    | ErrorReply
    | AlarmReport
    | StatusReport
    | Setting
    | BuildVersion
    | BuildOptions
    | ParserState
    | Parameter
    | Message
    | StartupResult
    | Noise
)

_OK = Ok()
_NUMBERED = re.compile(r"(error|ALARM):(\d{1,3})")
_SETTING = re.compile(r"\$(\d{1,3})=(.*?)(?: \(.*\))?")
_STARTUP_BLOCK = re.compile(r"\$N\d=.*")
_WELCOME = re.compile(r"(Grbl|GrblHAL) (\d+\.\d+\w*)(?: \[.*)?")
_STARTUP = re.compile(r">(.*):(ok|error:\d{1,3})")
_NUMBER = re.compile(r"-?(?:[0-9]{1,9}(?:\.[0-9]*)?|\.[0-9]+)")
_PARAMETERS = {"G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30", "G92", "TLO", "PRB"}
_PINS = frozenset("XYZABCPDHRSTEOLMFQ")


def parse(line: str) -> Reply:
    """Return the message in `line`, which has no line end; what fits nothing is Noise."""
    if line == "ok":
        return _OK
    match line[:1]:
        case "<":
            return _parse_status(line)
        case "[":
            return _parse_bracket(line)
        case "$":
            found = _SETTING.fullmatch(line)
            if found is not None:
                return Setting(int(found[1]), found[2])
            return Message(line) if _STARTUP_BLOCK.fullmatch(line) else Noise(line)
        case "e" | "A":
            found = _NUMBERED.fullmatch(line)
            if found is None:
                return Noise(line)
            return ErrorReply(int(found[2])) if found[1] == "error" else AlarmReport(int(found[2]))
        case "G":
            found = _WELCOME.fullmatch(line)
            return Welcome(Firmware(found[1]), found[2]) if found else Noise(line)
        case ">":
            found = _STARTUP.fullmatch(line)
            return StartupResult(found[1], accepted=found[2] == "ok") if found else Noise(line)
        case _:
            return Noise(line)


def _parse_status(line: str) -> StatusReport | Noise:
    """Return the report, or Noise where a field that we know has a value that we cannot read."""
    if not line.endswith(">"):
        return Noise(line)
    head, *fields = line[1:-1].split("|")
    word, _, substate = head.partition(":")
    values: dict[str, str] = {}
    for entry in fields:
        key, _, value = entry.partition(":")
        values[key] = value
    try:
        feed, speed = _feed_and_speed(values)
        pins = frozenset(values.get("Pn", ""))
        if not pins <= _PINS:
            return Noise(line)
        return StatusReport(
            state=State(word),
            substate=_integer(substate) if substate else None,
            machine=_axes(values.get("MPos")),
            work=_axes(values.get("WPos")),
            offset=_axes(values.get("WCO")),
            feed=feed,
            speed=speed,
            overrides=_overrides(values.get("Ov")),
            accessories=values.get("A", "" if "Ov" in values else None),
            pins=pins,
        )
    except ValueError:
        return Noise(line)


def _number(text: str) -> float:
    """Return a number as GRBL writes it. Raises ValueError, also for the nan, 1e5 and 1_0 that float() would take."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(text)
    return float(text)


def _integer(text: str) -> int:
    """Return a whole number as GRBL writes it. Raises ValueError, also for the +1, 1_0 and blanks of int()."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _feed_and_speed(values: dict[str, str]) -> tuple[float | None, float | None]:
    """Return feed and spindle speed of `FS:` or `F:`. Raises ValueError."""
    if "FS" in values:
        feed, speed = values["FS"].split(",")[:2]
        return _number(feed), _number(speed)
    return (_number(values["F"]), None) if "F" in values else (None, None)


def _axes(text: str | None) -> Axes | None:
    """Return the first three axes of `x,y,z[,a...]`. Raises ValueError."""
    if text is None:
        return None
    x, y, z = (_number(part) for part in text.split(",")[:3])
    return x, y, z


def _overrides(text: str | None) -> tuple[int, int, int] | None:
    """Return feed, rapid and spindle override of `Ov:`. Raises ValueError."""
    if text is None:
        return None
    feed, rapid, spindle = (_integer(part) for part in text.split(","))
    return feed, rapid, spindle


def _parse_bracket(line: str) -> Reply:
    """Return the message in a `[...]` line."""
    if not line.endswith("]"):
        return Noise(line)
    key, separator, value = line[1:-1].partition(":")
    if not separator:
        return Noise(line)
    if key in _PARAMETERS:
        try:
            return Parameter(key, tuple(_number(part) for part in value.split(":")[0].split(",")))
        except ValueError:
            return Noise(line)
    match key:
        case "VER":
            return BuildVersion(value.split(":")[0])
        case "OPT":
            flags, *numbers = value.split(",")
            sizes = [int(part) if part.isdecimal() else None for part in numbers[:2]]
            blocks, rx_bytes = (*sizes, None, None)[:2]
            return BuildOptions(flags, blocks, rx_bytes)
        case "GC":
            return ParserState(tuple(value.split()))
        case _:
            return Message(value)


class LineSplitter:
    """Cuts the byte stream into lines; drops NUL, CR and empty lines, which carry nothing."""

    _LONGEST = 1024

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that `data` completes, without their ends. A runaway line is cut every 1024 bytes."""
        *complete, rest = (self._rest + data).split(b"\n")
        pieces = [piece for line in complete for piece in self._cut(line)]
        *runaway, self._rest = self._cut(rest) or [b""]
        pieces += runaway
        lines = (raw.translate(None, b"\x00\r").decode("ascii", "backslashreplace") for raw in pieces)
        return [line for line in lines if line]

    def _cut(self, line: bytes) -> list[bytes]:
        """Return `line` in pieces that are not too long: the same ones however its bytes came in."""
        return [line[start : start + self._LONGEST] for start in range(0, len(line), self._LONGEST)]

    def clear(self) -> None:
        """Forget an incomplete line: it belongs to an earlier life of the port."""
        self._rest = b""
