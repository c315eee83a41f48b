# SPDX-License-Identifier: GPL-3.0-or-later
"""What many readings of a machine said, in few: 10 s to a minute, minutes to an hour. Pure: rows in, bodies out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge.domain.events import EventType, Scalar
from edge.domain.machine import Execution

MINUTE_S: Literal[60] = 60
HOUR_S: Literal[3600] = 3_600
HOLDS_NS = 15_000_000_000
"""How long a reading is taken to hold where no other follows: while a machine runs there is one every 10 s."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A fact of the stream metrics: the boot of its clock, its type, its body and its boot-time clock, ns."""

    boot: str
    type: str
    body: dict[str, Scalar]
    boot_ns: int

    @property
    def machine(self) -> str | None:
        """Return the machine, None for a fact that says none."""
        machine = self.body.get("machine")
        return machine if isinstance(machine, str) else None

    @property
    def is_state(self) -> bool:
        """Return whether it is one machine.state of one machine."""
        return self.type == EventType.MACHINE_STATE.value and self.machine is not None

    @property
    def is_minute(self) -> bool:
        """Return whether it is the roll-up of a minute, with all that a longer one is made of."""
        return (
            self.type == EventType.MACHINE_ROLLUP.value
            and self.machine is not None
            and self.body.get("period_s") == MINUTE_S
            and all(isinstance(self.body.get(key), int | float) for key in ("samples", "began_boot_us", "active_s"))
        )

    @property
    def can_shrink(self) -> bool:
        """Return whether a roll-up can hold what it says."""
        return self.is_state or self.is_minute


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    weight: int = 0

    def take(self, value: Scalar, weight: int) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.total += value * weight
            self.weight += weight

    @property
    def value(self) -> float | None:
        return round(self.total / self.weight, 3) if self.weight else None


@dataclass(slots=True)
class _Period:
    """One machine in one period of one boot."""

    samples: int = 0
    active_ns: int = 0
    feed: _Mean = field(default_factory=_Mean)
    spindle: _Mean = field(default_factory=_Mean)
    part_count: int | None = None
    link_damaged: int | None = None

    def take(self, body: dict[str, Scalar], samples: int) -> None:
        self.samples += samples
        self.feed.take(body.get("feed"), samples)
        self.spindle.take(body.get("spindle"), samples)
        self.part_count = _last(body.get("part_count"), self.part_count)
        self.link_damaged = _last(body.get("link_damaged"), self.link_damaged)


_Key = tuple[str, str, int]


def roll_up(readings: Sequence[Reading], period_s: Literal[60, 3600]) -> list[dict[str, Scalar]]:
    """Return the bodies of machine.rollup for readings that can shrink, in order of boot, machine and time.

    Of an ACTIVE reading the time to the machine's next one counts as active, at most HOLDS_NS; of the last one none,
    because nobody saw how long it lasted. A minute is never split.
    """
    length_ns = period_s * 1_000_000_000
    periods: dict[_Key, _Period] = {}
    for reading in readings:
        period = periods.setdefault(_key(reading, _at_ns(reading), length_ns), _Period())
        period.take(reading.body, _whole(reading.body["samples"]) if reading.is_minute else 1)
        if reading.is_minute:
            period.active_ns += round(_number(reading.body["active_s"]) * 1e9)
    for reading, next_ns in _followed(reading for reading in readings if reading.is_state):
        if reading.body.get("execution") == Execution.ACTIVE.value:
            _add_active(periods, reading, next_ns, length_ns)
    return [_body(key, period, period_s) for key, period in sorted(periods.items(), key=lambda item: item[0])]


def _followed(states: Iterable[Reading]) -> list[tuple[Reading, int]]:
    """Return each reading with the time of the next one of its machine, where there is one in the same boot."""
    found: list[tuple[Reading, int]] = []
    before: dict[tuple[str, str | None], Reading] = {}
    for state in states:
        key = (state.boot, state.machine)
        if key in before and state.boot_ns > before[key].boot_ns:
            found.append((before[key], state.boot_ns))
        before[key] = state
    return found


def _add_active(periods: dict[_Key, _Period], reading: Reading, next_ns: int, length_ns: int) -> None:
    """Share the time of an ACTIVE reading between its period and the one in which the next reading fell."""
    ended = min(next_ns, reading.boot_ns + HOLDS_NS)
    border = (reading.boot_ns // length_ns + 1) * length_ns
    periods[_key(reading, reading.boot_ns, length_ns)].active_ns += min(ended, border) - reading.boot_ns
    if ended > border and (later := periods.get(_key(reading, ended, length_ns))):
        later.active_ns += ended - border


def _at_ns(reading: Reading) -> int:
    return _whole(reading.body["began_boot_us"]) * 1_000 if reading.is_minute else reading.boot_ns


def _key(reading: Reading, at_ns: int, length_ns: int) -> _Key:
    boot = reading.body.get("boot") if reading.is_minute else None
    return (boot if isinstance(boot, str) else reading.boot, reading.machine or "", max(0, at_ns) // length_ns)


def _body(key: _Key, period: _Period, period_s: int) -> dict[str, Scalar]:
    boot, machine, number = key
    return {
        "machine": machine,
        "period_s": period_s,
        "began_boot_us": number * period_s * 1_000_000,
        "samples": period.samples,
        "active_s": round(min(period.active_ns / 1e9, period_s), 3),
        "feed": period.feed.value,
        "spindle": period.spindle.value,
        "part_count": period.part_count,
        "link_damaged": period.link_damaged,
        "boot": boot,
    }


def _last(value: Scalar, before: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else before


def _number(value: Scalar) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _whole(value: Scalar) -> int:
    return int(_number(value))
