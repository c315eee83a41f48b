# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison of a played conversation with its recording.

Answers and push messages must be the same lines in the same order, and so must the status reports among themselves;
each within 50 ms or 5 % of the time since the host's last action (a report may come earlier: the recorded host
computer had hiccups). So a report can only change places with an answer inside that tolerance.

Positions and speeds in a report may differ by what the machine does in 50 ms, since the host's bytes arrive with
that tolerance. While it stands they must be equal, but for one thing: where a hold, reset, jog cancel, switch or plug
broke into a motion, the machine may stop that much aside, and later positions either keep exactly this offset or
have none. A probing move may end one step aside.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from .player import is_ack
from .trace import Event, Trace

TIME_TOLERANCE_S = 0.05
TIME_TOLERANCE_PART = 0.05
_STEP_MM = 0.0045
# Two rounded lengths and their rounded difference.
_ROUNDING_MM = 0.0016
_ACCELERATION = 200.0
_INCH = 25.4
_STANDING = re.compile(r"Idle|Alarm|Sleep|Check|Hold:0|Door:[013]|Home")
_NUMBER = re.compile(r"-?\d+\.\d+")
_BREAKING = frozenset("!\x18\x84\x85")


@dataclass
class Result:
    """Outcome for one trace. `differences` are sentences; `shifted` reports showed a neighbouring state."""

    scenario: str
    expected: int
    seen: int
    equal: int = 0
    worst_s: float = 0.0
    shifted: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not self.differences


@dataclass
class Status:
    """A status report, taken apart. `speed` is in report units a minute."""

    state: str
    position: list[float]
    speed: float
    unit: float
    rest: dict[str, str]

    @classmethod
    def parse(cls, line: str) -> "Status":
        state, *parts = line[1:-1].split("|")
        fields = dict(part.split(":", 1) for part in parts)
        where = fields.pop("MPos", None) or fields.pop("WPos")
        speed, _, spindle = fields.pop("FS").partition(",")
        unit = _INCH if "." in speed else 1.0
        return cls(state, [float(v) for v in where.split(",")], float(speed), unit, {**fields, "spindle": spindle})

    @property
    def stands(self) -> bool:
        return _STANDING.fullmatch(self.state) is not None


@dataclass
class Reply:
    """A recorded reply with what went before it. Lengths in mm.

    `breaks` counts what could have stopped a motion aside, `reach` is how far the last of it could;
    `reach_moving` is the way of 50 ms at the highest speed so far.
    """

    event: Event
    cause: float
    breaks: int
    reach: float
    reach_moving: float


@dataclass
class Offsets:
    """Where the played machine stands aside of the recorded one since motions were broken into."""

    breaks: int = 0
    now: list[float] = field(default_factory=lambda: [0.0] * 3)
    known: set[float] = field(default_factory=lambda: {0.0})

    def explains(self, difference: float) -> bool:
        return any(abs(abs(difference) - known) <= _ROUNDING_MM for known in self.known)

    def stand(self, reply: Reply, differences: list[float]) -> bool:
        """Whether a standing machine may differ by `differences`; new ones only after a new break."""
        if reply.breaks > self.breaks:
            self.breaks = reply.breaks
            if any(abs(difference) > reply.reach for difference in differences):
                return False
            self.now = differences
            self.known |= {abs(difference) for difference in differences}
            return True
        pairs = zip(differences, self.now, strict=True)
        return all(min(abs(new), abs(new - old)) <= _ROUNDING_MM for new, old in pairs)


def compare(trace: Trace, seen: list[Event], truth: dict[str, Any] | None) -> Result:
    """Compare the replies `seen` (and the simulator's true state) with the recording."""
    result = Result(trace.scenario, len(trace.replies), len(seen))
    if trace.damaged:
        _compare_damage(trace, seen, result)
        return result
    replies = _context(trace)
    offsets = Offsets()
    for reports in (True, False):
        wanted = [reply for reply in replies if _is_report(reply.event) == reports]
        got = [event for event in seen if _is_report(event) == reports]
        for index, (reply, event) in enumerate(zip(wanted, got, strict=False)):
            _compare_reply(wanted, index, reply, event, offsets, result)
        if len(wanted) != len(got):
            kind = "reports" if reports else "other replies"
            result.differences.append(f"{len(wanted)} {kind} recorded, {len(got)} seen")
    if truth is not None:
        _compare_truth(trace, replies, offsets, truth, result)
    return result


def _is_report(event: Event) -> bool:
    return event.data.startswith("<")


def _context(trace: Trace) -> list[Reply]:
    """Every recorded reply with the tolerance that its past gives."""
    cause = top_speed = reach = 0.0
    breaks = 0
    replies = []
    for event in trace.events:
        way = top_speed / 60 * TIME_TOLERANCE_S + _STEP_MM
        if event.direction == "rx":
            if _is_report(event):
                status = Status.parse(event.data)
                top_speed = max(top_speed, status.speed * status.unit)
                way = top_speed / 60 * TIME_TOLERANCE_S + _STEP_MM
            replies.append(Reply(event, cause, breaks, reach, way))
            continue
        cause = event.t
        if "$H" in event.data:
            top_speed = max(top_speed, float(trace.settings["$25"]))
        broken = event.direction == "ctl" or bool(_BREAKING.intersection(event.data))
        if broken or "G38" in event.data:
            breaks += 1
            reach = way if broken else _STEP_MM
    return replies


def _compare_reply(wanted: list[Reply], index: int, reply: Reply, got: Event, offsets: Offsets, result: Result) -> None:
    want = reply.event
    late = got.t - want.t
    result.worst_s = max(result.worst_s, abs(late))
    allowed = max(TIME_TOLERANCE_S, TIME_TOLERANCE_PART * (want.t - reply.cause))
    if _is_report(want):
        status = Status.parse(got.data)
        fault = _report_fault(reply, Status.parse(want.data), status, offsets)
        if fault == "state" and _shifted(wanted, index, status.state):
            result.shifted += 1
            fault = ""
    else:
        fault = "" if _same_text(want.data, got.data, offsets) else "text"
    place = f"reply at {want.t:.3f} s"
    if fault:
        result.differences.append(f"{place}: {fault}: recorded {want.data!r}, seen {got.data!r}")
    elif late > allowed or (late < -allowed and not _is_report(want)):
        result.differences.append(f"{place}: {late * 1000:+.0f} ms: {got.data!r}")
    else:
        result.equal += 1


def _report_fault(reply: Reply, want: Status, got: Status, offsets: Offsets) -> str:
    differences = [(b - a) * want.unit for a, b in zip(want.position, got.position, strict=True)]
    if want.stands and got.stands:
        if not offsets.stand(reply, differences):
            return "position"
    else:
        reach = max(reply.reach_moving, *(abs(now) for now in offsets.now))
        if any(abs(difference) > reach for difference in differences):
            return "position"
    if want.rest.keys() != got.rest.keys():
        return "fields"
    if not all(_same_text(text, got.rest[name], offsets) for name, text in want.rest.items()):
        return "fields"
    if want.state != got.state:
        return "state"
    if abs(want.speed - got.speed) > 2 * _ACCELERATION * TIME_TOLERANCE_S * 60 / want.unit:
        return "speed"
    return ""


def _shifted(wanted: list[Reply], index: int, state: str) -> bool:
    """The state seen is the recorded one just before or after: the change came a little earlier or later."""
    around = wanted[max(0, index - 1) : index + 2]
    return any(Status.parse(reply.event.data).state == state for reply in around)


def _same_text(want: str, got: str, offsets: Offsets) -> bool:
    """Equal, or equal but for lengths that are aside by a known offset."""
    if want == got:
        return True
    if _NUMBER.sub("#", want) != _NUMBER.sub("#", got):
        return False
    pairs = zip(_NUMBER.findall(want), _NUMBER.findall(got), strict=True)
    return all(offsets.explains(float(a) - float(b)) for a, b in pairs)


def _compare_truth(trace: Trace, replies: list[Reply], offsets: Offsets, truth: dict[str, Any], result: Result) -> None:
    reports = [reply for reply in trace.replies if _is_report(reply)]
    moving = not Status.parse(reports[-1].data).stands
    reach = max(reply.reach for reply in replies)
    for name, want in trace.truth.items():
        got = truth.get(name)
        if name == "max_rx_fill" or (moving and name.endswith("_mm")):
            continue
        if name == "mpos_steps_mm":
            same = all(offsets.explains(a - b) for a, b in zip(want, got or [], strict=True))
        elif name == "physical_mm":
            same = all(abs(a - b) <= reach + _STEP_MM for a, b in zip(want, got or [], strict=True))
        else:
            same = want == got
        if not same:
            result.differences.append(f"at the end: {name}: recorded {want}, seen {got}")


def _compare_damage(trace: Trace, seen: list[Event], result: Result) -> None:
    """Acknowledgements are missing in both, and after the last soft reset everything is of the recorded kind."""
    lines = sum(event.data.count("\n") for event in trace.events if event.direction == "tx")
    acks = sum(is_ack(event.data) for event in seen)
    if acks >= lines:
        result.differences.append(f"{lines} lines sent and {acks} acknowledged: nothing was lost")
    last_reset = max(event.t for event in trace.events if event.data == "\x18")
    tail = [event.data for event in trace.replies if event.t > last_reset]
    seen_tail = [event.data for event in seen][-len(tail) :]
    for want, got in zip(tail, seen_tail, strict=True):
        if _NUMBER.sub("#", want) == _NUMBER.sub("#", got):
            result.equal += 1
        else:
            result.differences.append(f"after the last reset: recorded {want!r}, seen {got!r}")
