# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of a recording in sentences: what ran, what came first, what was done, where it stood, and what is next."""

from __future__ import annotations

from edge.story.export import Recording
from edge.story.reading import Happening, Reading, What, read

_NEXT = {
    What.NOISE: "Look at the USB cable and its plugs, and lay it away from the spindle's cable.",
    What.ALARM: "Look at the machine and at the limit switches before anything moves.",
    What.ERROR: "Correct the program: the line stands above. It is not run again as it is.",
    What.UNPLUGGED: "Look at the machine: buffered motion went on, and the spindle may still turn. Plug the cable in.",
    What.RESTART: "Look at the supply of the controller: it lost its power for a moment, or was reset by interference.",
    What.SILENCE: "Look whether the stop at the machine is pressed, and whether the controller has power.",
    What.DOOR: "Close the door once the machine stands.",
    What.HELD_UP: "Look at the machine. The computer was busy or the service died: tell whoever maintains it.",
    What.STOPPED: "Look at the machine before it is started again.",
}


def story(record: Recording) -> list[str]:
    """Return what a recording tells, one sentence or two in each entry."""
    found = read(record)
    return [
        *_who(record, found),
        *_ran(found),
        *_came(found),
        *_done(found),
        *_stood(found),
        *_ended(found),
    ]


def _who(record: Recording, found: Reading) -> list[str]:
    """Say what was recorded."""
    machine = record.header.get("machine")
    name = f"of the machine {machine}" if machine else f"{record.header['scenario']!r}"
    port = f" at {found.opened['port']}, {found.opened['baud']} baud" if found.opened.get("port") else ""
    controller = f" {found.version} answered{port}." if found.version else f" No controller answered{port}."
    return [f"The recording {name} lasts {found.duration:.1f} s.{controller}"]


def _ran(found: Reading) -> list[str]:
    """Say which program ran and how far it came."""
    told = []
    if found.began is not None:
        lines = f" of {found.lines} lines" if found.lines is not None else ""
        told.append(f"At {found.began:.2f} s the program {found.program!r}{lines} began.")
    if found.sent is None:
        return told or ["No line was sent."]
    told.append(f"The last line was sent at {found.sent.t:.2f} s: {found.sent.text!r}.")
    if found.acknowledged is None:
        told.append("No line was acknowledged.")
    else:
        waiting = _count(found.unacknowledged, "line was", "lines were")
        told.append(f"The last one acknowledged was {found.acknowledged.text!r}; {waiting} on the way or unconfirmed.")
    return told


def _came(found: Reading) -> list[str]:
    """Say what came first, and what followed."""
    happenings = sorted(found.happenings, key=lambda happening: happening.t)
    if not happenings:
        return []
    first, *others = happenings
    told = [f"First, at {first.t:.2f} s, {_lower(first.text)}."]
    told += [f"Then, {_span(other.t - first.t)} later, {_lower(other.text)}." for other in others]
    return [sentence.replace("..", ".") for sentence in told]


def _done(found: Reading) -> list[str]:
    """Say which stops went out, and how long after what came first."""
    first = found.first
    since = first.t if first is not None else 0.0
    told = []
    hold = next((t for t in found.holds if t >= since), None)
    reset = next((t for t in found.resets if t >= since), None)
    if first is not None and hold is not None:
        told.append(f"A hold was sent {_span(hold - since)} after that.")
    if first is not None and reset is not None:
        again = next((t for t in found.welcomes if t > reset), None)
        came = f" and the controller started again {_span(again - reset)} later" if again is not None else ""
        told.append(f"A reset was sent {_span(reset - since)} after that{came}.")
    if first is not None and hold is None and reset is None:
        told.append("No stop was sent: " + _why_no_stop(first))
    return told


def _why_no_stop(first: Happening) -> str:
    """Say why nothing was sent to stop the machine."""
    match first.what:
        case What.UNPLUGGED:
            return "there was no wire any more. What the controller had buffered was carried out."
        case What.RESTART:
            return "a controller that restarts stands, and its spindle is commanded off."
        case What.ALARM | What.DOOR:
            return "the controller stopped by itself."
        case _:
            return "the recording ends before."


def _stood(found: Reading) -> list[str]:
    """Say where the machine stood, and whether that can be trusted."""
    told = []
    if found.place is not None:
        x, y, z = found.place
        of = "machine" if found.machine_place else "work"
        told.append(f"The last report says {found.state} at X {x:.3f}, Y {y:.3f}, Z {z:.3f} mm ({of} coordinates).")
    trusted = _trusted(found)
    if trusted is not None:
        told.append(
            "The position can be trusted." if trusted else "The position cannot be trusted: home the machine again."
        )
    return told


def _trusted(found: Reading) -> bool | None:
    """Return whether the position holds: as the driver says, or as the bytes say, or None where nobody knows."""
    if found.trusted is not None:
        return found.trusted
    return False if found.lost else found.standing_at_reset


def _ended(found: Reading) -> list[str]:
    """Say how the program ended and what a person does next."""
    told = []
    if found.outcome == "finished":
        told.append(f"The program came to its end at {found.ended:.2f} s.")
    elif found.reason:
        told.append(f"The program {found.outcome} because: {found.reason}".rstrip(".") + ".")
    elif found.began is not None and found.ended is None:
        told.append("The recording ends while the program runs: the service ended without a word, or was ended.")
    if found.fault:
        told.append(f"A person has to look at the machine: {found.fault}".rstrip(".") + ".")
    first = found.first
    if first is not None and first.what is What.ERROR and found.damaged:
        told.append(f"{_count(found.damaged, 'line', 'lines')} came in damaged: the refused one may have been, too.")
        told.append(f"What to do: {_NEXT[What.NOISE]}")
    elif first is not None:
        told.append(f"What to do: {_NEXT[first.what]}")
    elif found.outcome != "finished" and found.began is not None:
        told.append("What to do: look at the machine, home it, and decide about the piece.")
    return told


def _count(number: int, one: str, many: str) -> str:
    """Return a number with its words."""
    return f"{number} {one if number == 1 else many}"


def _span(seconds: float) -> str:
    """Return a duration as a person reads it."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _lower(text: str) -> str:
    """Return a sentence to be put into another one."""
    return text.rstrip(".")
