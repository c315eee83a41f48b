# SPDX-License-Identifier: GPL-3.0-or-later
"""A van's clocks beside the true time, which only the test knows: boots, drift, a wall clock that shows any year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.domain.events import EventType, Scalar
from edge.services.anchors import ClockWatch
from edge.services.clock import KernelTime
from wire.batch import WireEvent

SECOND = 10**9
YEAR_1970 = 0
YEAR_2026 = 1_772_000_000 * SECOND
YEAR_2038 = 2**31 * SECOND


@dataclass
class VanClock:
    """The Clock port. true_ns is UTC; the boot's clock runs by drift_ppm too fast; the wall clock is ahead_ns of it."""

    true_ns: int = YEAR_2026
    drift_ppm: float = 0.0
    ahead_ns: int = YEAR_1970
    boot: str = "boot-1"
    now_ns: int = 0

    def boot_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + self.ahead_ns

    def boot_id(self) -> str:
        return self.boot

    def pass_s(self, seconds: float) -> None:
        """Let UTC go on."""
        elapsed = round(seconds * SECOND)
        self.true_ns += elapsed
        self.now_ns += round(elapsed * (1 + self.drift_ppm / 1e6))

    def restart(self, boot: str, *, after_s: float, ahead_ns: int = YEAR_1970) -> None:
        """Take the power away and give it back: the boot's clock begins anew, the wall clock shows what it likes."""
        self.true_ns += round(after_s * SECOND)
        self.boot, self.now_ns, self.ahead_ns = boot, 0, ahead_ns


@dataclass
class Noted:
    """What the Recorder of a lab was told to note, as it goes over the wire, each with the true time."""

    clock: VanClock
    events: list[tuple[WireEvent, int]] = field(default_factory=list)

    def note(self, kind: EventType, body: Mapping[str, Scalar]) -> None:
        event = WireEvent(kind.value, dict(body), self.clock.boot_ns(), self.clock.wall_ns())
        self.events.append((event, self.clock.true_ns))

    def bodies(self, kind: str) -> list[dict[str, Scalar]]:
        """Return the bodies of one type, in order."""
        return [event.body for event, _ in self.events if event.type == kind]


class WatchedVan:
    """A ClockWatch over clocks that a test moves; `kernel` is what the kernel says of its time."""

    def __init__(self, clock: VanClock | None = None) -> None:
        self.clock = clock or VanClock()
        self.noted = Noted(self.clock)
        self.kernel: KernelTime | None = KernelTime(synchronised=False, uncertainty_us=16_000_000)
        self.watch = ClockWatch(self.noted, self.clock, lambda: self.kernel)  # type: ignore[arg-type]

    def ack(self, there_s: float = 0.05, back_s: float = 0.1) -> None:
        """Let the office acknowledge a batch: it looks at its clock when the batch has come."""
        sent_ns = self.clock.boot_ns()
        self.clock.pass_s(there_s)
        office_ns = self.clock.true_ns
        self.clock.pass_s(back_s)
        self.watch.heard(sent_ns, self.clock.boot_ns(), office_ns)

    def synchronise(self, error_us: int = 0, told_us: int | None = None) -> None:
        """Let a time service set the wall clock, wrong by error_us."""
        self.clock.ahead_ns = self.clock.true_ns + error_us * 1000 - self.clock.now_ns
        self.kernel = KernelTime(synchronised=True, uncertainty_us=abs(error_us) if told_us is None else told_us)

    def pass_and_look(self, seconds: float, every_s: float = 1.0) -> None:
        """Let time pass, looking as the service does."""
        end = self.clock.true_ns + round(seconds * SECOND)
        while self.clock.true_ns < end:
            self.clock.pass_s(every_s)
            self.watch.look()
