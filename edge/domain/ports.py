# SPDX-License-Identifier: GPL-3.0-or-later
"""What services ask of the rest of the house. `app.py` alone knows which class stands behind which port."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.domain.events import Event, Scalar, StoredEvent, Stream
from edge.domain.hand import Axis, Displacement, JogEnd, OverrideKind, Setting
from edge.domain.inputs import InputSample
from edge.domain.machine import MachineInfo, MachineState, Position
from edge.domain.transfer import ProgramFile, TransferStep


class Clock(Protocol):
    """Time as the lab knows it, in nanoseconds."""

    def boot_ns(self) -> int:
        """Return nanoseconds since boot, also counting suspend (CLOCK_BOOTTIME): never jumps."""
        ...

    def wall_ns(self) -> int:
        """Return the raw wall clock, UTC nanoseconds since 1970: may be wrong by years."""
        ...

    def boot_id(self) -> str:
        """Return the id of this boot."""
        ...


@dataclass(frozen=True, slots=True)
class ProgramText:
    """A checked program on its way to a controller: cleaned lines, each with its line number in the source.

    Both are as long as the program: what handles one takes them by index or in turn, and copies neither.
    """

    program_id: str
    lines: Sequence[str]
    source_lines: Sequence[int]


class MachineDriver(Protocol):
    """One machine, reached over one wire. Every driver passes tests/contract/driver_suite.py.

    Commands state a goal and may be repeated. They raise DriverUnavailable (no link), DriverRefused (the
    controller said no) or StopNotDelivered (hold, stop); nothing is queued for a link that is away.
    """

    def info(self) -> MachineInfo:
        """Return who the machine is; capabilities and travel are complete once the machine was available."""
        ...

    def state(self) -> MachineState:
        """Return the newest reading, without I/O."""
        ...

    def subscribe(self, listener: Callable[[MachineState], None]) -> Callable[[], None]:
        """Call `listener` on the loop's thread at each new reading; return the call that ends it.

        A listener runs before anything else is read from the wire, so that an interlock loses no time.
        """
        ...

    async def run(self) -> None:
        """Connect, keep connected, reconnect with back-off, until cancelled. Never raises for a lost link."""
        ...

    def hold(self) -> None:
        """Ask for a feed hold now: written to the wire before this returns. Raises StopNotDelivered."""
        ...

    async def stop(self) -> None:
        """Hold, wait until axes stand (bounded), reset: program discarded, position kept where possible.

        Raises StopNotDelivered.
        """
        ...

    async def resume(self) -> None:
        """Go on after a hold."""
        ...

    async def home(self) -> None:
        """Find the reference position of all axes; returns when done."""
        ...

    async def unlock(self) -> None:
        """Leave the alarm state without homing, where the controller's position was kept."""
        ...

    def clear_fault(self) -> None:
        """Take a person's word that the machine has been looked at. Moves nothing."""
        ...

    async def run_program(self, program: ProgramText) -> None:
        """Run `program` to its end: returns when the last motion has ended.

        Raises ProgramFailed when it ended before. Cancelling stops the machine as `stop` does.
        """
        ...


class JogLease(Protocol):
    """Continuous motion by hand, which lasts only as long as somebody renews it."""

    def renew(self) -> None:
        """Say that the person still asks for motion; without it the motion ends after the lease's time."""
        ...

    def release(self) -> None:
        """End the motion: the jog cancel is written before this returns. May be repeated. Raises StopNotDelivered."""
        ...

    async def ended(self) -> JogEnd:
        """Wait until the axes stand, and return why. Raises DriverRefused where the controller refused the motion."""
        ...


class HandDriver(MachineDriver, Protocol):
    """A driver that also moves by hand. What it can do of this stands in its capabilities; the rest it refuses.

    Travel and feed are bounded by the driver: a target outside the travel, or a motion of a machine that has not been
    homed and goes further than its settings allow, is refused before anything is written. Lengths mm, feeds mm/min.
    """

    async def jog(self, by: Displacement, feed: float) -> None:
        """Move by one bounded step; returns when the axes stand. Raises DriverRefused.

        Cancelling cancels the motion.
        """
        ...

    async def jog_to(self, machine: Mapping[Axis, float], feed: float) -> None:
        """Move the named axes, together, to machine coordinates; refused where not homed. As `jog` otherwise."""
        ...

    def lease_jog(self, towards: Displacement, feed: float) -> JogLease:
        """Begin continuous motion in a direction (only its direction counts). Raises DriverRefused."""
        ...

    async def probe(self, by: Displacement, feed: float) -> Position:
        """Move until the probe makes contact; return the machine position of contact, mm.

        Raises ProbeFailed where it was in contact before, or found none on the way.
        """
        ...

    async def set_work_zero(self, reads: Mapping[Axis, float]) -> None:
        """Let the place where the machine stands read `reads` mm in the active work coordinates; kept over restarts."""
        ...

    async def override(self, kind: OverrideKind, percent: int) -> int:
        """Bring an override to `percent` and return what the controller confirms. Works while a program runs."""
        ...

    async def settings(self) -> tuple[Setting, ...]:
        """Read all settings of the controller."""
        ...

    async def write_settings(self, values: Mapping[int, str]) -> None:
        """Write settings one by one, each alone on the wire, and verify them.

        Raises DriverRefused at the first refusal.
        """
        ...


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that a controller's own check refuses: its number in the source, the controller's error, its meaning."""

    line: int
    error: int
    text: str


class CheckModeDriver(MachineDriver, Protocol):
    """A driver of a controller that reads a program without doing it (Capability.CHECK_MODE)."""

    async def check_program(self, program: ProgramText, tell: Callable[[int], None]) -> tuple[RefusedLine, ...]:
        """Let the controller read every line of `program` and return those that it refuses. Nothing moves.

        `tell` is called with the number of lines that were read. The controller is ready again when this returns, with
        its zeros and overrides as they were. Raises ProgramRejected before anything is sent, DriverRefused (it is not
        idle, an alarm, it was stopped or started again meanwhile) and DriverUnavailable. Cancelling ends the check.
        """
        ...


class ProgramReceiver(MachineDriver, Protocol):
    """A driver of a machine that keeps programs in its own memory (Capability.LOAD_PROGRAM).

    With Capability.JOB_CONTROL the machine's own job control is configured, too: then `start_loaded`, `hold`, `resume`
    and `stop` reach it (HOLD and STOP are capabilities then), but nothing here is faster than the machine answers.
    """

    async def load(self, file: ProgramFile, tell: Callable[[TransferStep, int], None]) -> bool:
        """Write the file, read it back, compare, select; return whether the machine has it selected now.

        `tell` is called at each step and as bytes go over. What was cut off or reads back differently is never selected
        and is removed where that is possible. Raises TransferFailed, DriverRefused (not offered, not configured, the
        machine said no), DriverUnavailable. Cancelling leaves nothing selected.
        """
        ...

    async def start_loaded(self) -> None:
        """Let the machine's own job control begin what `load` brought and selected on this connection.

        Returns when the machine has taken the order. Raises DriverRefused, DriverUnavailable.
        """
        ...


class Guardian(Protocol):
    """The second process that stops machines when this one is dead or stuck.

    A driver calls watch and unwatch as its port opens and closes; a supervisor calls arm and disarm.
    """

    @property
    def alive(self) -> bool:
        """Return whether the process runs and has confirmed everything that it was told."""
        ...

    def in_time(self, machine_id: str) -> bool:
        """Return whether a line sent now cannot follow a stop by the guardian, who acts when this process is late.

        False from the moment at which an armed machine may have been stopped until it is disarmed.
        """
        ...

    def watch(self, machine_id: str, descriptor: int) -> None:
        """Hand over a duplicate of an open port's descriptor; replaces an earlier one of the machine."""
        ...

    def unwatch(self, machine_id: str) -> None:
        """Let the descriptor go: the port is closed."""
        ...

    async def arm(self, machine_id: str) -> None:
        """From now on silence or death of this process stops the machine. Raises DriverUnavailable when not alive."""
        ...

    async def disarm(self, machine_id: str) -> None:
        """Silence no longer stops the machine."""
        ...


class SafetyInputSource(Protocol):
    """Samples inputs and reports them; interprets nothing."""

    async def run(self, report: Callable[[InputSample], None]) -> None:
        """Report samples on the loop's thread, on change and at least twice per maximum age, until cancelled."""
        ...


class EventStore(Protocol):
    """Facts on disk."""

    @property
    def epoch(self) -> str:
        """Return the epoch of this boot."""
        ...

    async def append(self, events: Sequence[Event], saves: Mapping[str, str | None] | None = None) -> list[StoredEvent]:
        """Commit the events, their outbox rows and the working state in ``saves`` in one transaction, in order.

        ``saves`` maps keys to JSON texts that replace what was kept under them; None removes the key. Returns the
        events with their identities, after fsync where an event is of the streams visits or safety or anything is
        saved. Raises StoreUnavailable, and then nothing of the call was written.
        """
        ...

    async def load(self, prefix: str) -> dict[str, str]:
        """Return the working state under every key that begins with ``prefix``, by key."""
        ...


@dataclass(frozen=True, slots=True)
class JobMark:
    """Where a job was at one moment, as far as the machine had told.

    begun is the source line with which this run of the job began; line, sent_line, machine_position (mm) and
    work_offset (mm) are those of MachineState, each the last one that could be trusted; homed says whether the position
    was trusted then; boot_ns is the boot-time clock.
    """

    job_id: str
    boot_ns: int
    begun: int = 1
    line: int | None = None
    sent_line: int | None = None
    machine_position: Position | None = None
    work_offset: Position | None = None
    execution: str = ""
    spindle: str = ""
    homed: bool = False


class Journal(Protocol):
    """Where jobs were, on disk: evidence for the time after an interruption. Raises StoreUnavailable."""

    async def write(self, marks: Sequence[JobMark]) -> None:
        """Commit marks in one transaction, after fsync; of each job the newest few are kept."""
        ...

    async def last(self, job_id: str) -> JobMark | None:
        """Return the newest mark of a job."""
        ...

    async def keep_only(self, job_ids: Collection[str]) -> None:
        """Forget the marks of all other jobs."""
        ...


@dataclass(frozen=True, slots=True)
class StreamHead:
    """Where a stream of an epoch stands: newest seq given out and acknowledged watermark.

    boot is the boot to which the epoch's clock values belong, oldest_boot_ns that of the oldest waiting fact.
    """

    stream: Stream
    epoch: str
    boot: str
    last_seq: int
    watermark: int
    oldest_boot_ns: int | None = None

    @property
    def waiting(self) -> int:
        """Return the number of facts that the office has not acknowledged; seq is gapless, so a difference."""
        return self.last_seq - self.watermark


@dataclass(frozen=True, slots=True)
class Cut:
    """The bounds of a batch, facts s0 .. s0+n-1: prev is the SHA-256 of the batch before it, sha256 its own."""

    s0: int
    n: int
    prev: bytes | None
    sha256: bytes

    @property
    def last(self) -> int:
        """Return the seq of the last fact."""
        return self.s0 + self.n - 1


@dataclass(frozen=True, slots=True)
class WaitingFact:
    """A fact as it waits in the outbox. Its type may be one that only a newer version of the program knows."""

    seq: int
    type: str
    body: Mapping[str, Scalar]
    boot_ns: int
    wall_ns: int


class Outbox(Protocol):
    """Facts that the office has not acknowledged yet, and how they were cut into batches. Raises StoreUnavailable.

    Only what was cut can be acknowledged, and only whole cuts: a batch is sent again as it was, or not at all.
    """

    async def heads(self, epoch: str | None = None) -> list[StreamHead]:
        """Return every (stream, epoch) with waiting facts and those of the current epoch: by priority, oldest first.

        With `epoch`, only those of that epoch.
        """
        ...

    async def read(self, stream: Stream, epoch: str, after_seq: int, limit: int) -> list[WaitingFact]:
        """Return up to `limit` waiting facts with seq > after_seq, in order. Raises FactDamaged."""
        ...

    async def acknowledge(
        self, stream: Stream, epoch: str, watermark: int, explained: Sequence[tuple[int, int]] = ()
    ) -> int | None:
        """Drop all batches up to `watermark`: the office has them. Return the watermark now in force.

        That is the old one for a watermark that is lower or that names facts never sent; None for an unknown epoch.
        explained are ranges that the office does not have: it is below the first fact of them that waits here.
        """
        ...

    async def cuts(self, stream: Stream, epoch: str) -> list[Cut]:
        """Return the cuts of waiting facts in order, before them the one that ended at the watermark, if any."""
        ...

    async def keep_cut(self, stream: Stream, epoch: str, cut: Cut) -> None:
        """Remember a batch, after fsync, before it is published for the first time: a cut is never moved."""
        ...

    async def gaps(self, stream: Stream, epoch: str) -> list[tuple[int, int]]:
        """Return the ranges (first, last) above the watermark that were dropped with a gap record, in order.

        They are never read or sent; the office's watermark passes them once it has the record. Raises StoreUnavailable.
        """
        ...

    async def totals(self) -> dict[str, dict[str, int]]:
        """Return the grow-only counters of presence (people, corrected, sessions) for the epochs of `closed_epochs`.

        The current epoch is always among them.
        """
        ...

    async def closed_epochs(self) -> dict[str, dict[str, int]]:
        """Return the last seq per stream of former epochs: the oldest ones with waiting facts, and the newest few.

        Bounded: where more epochs wait, the others are named once these are done.
        """
        ...
