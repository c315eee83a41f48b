# SPDX-License-Identifier: GPL-3.0-or-later
"""What services ask of the rest of the house. `app.py` alone knows which class stands behind which port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.domain.events import Event, StoredEvent, Stream
from edge.domain.inputs import InputSample
from edge.domain.machine import MachineInfo, MachineState


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
    """A checked program on its way to a controller: cleaned lines, each with its line number in the source."""

    program_id: str
    lines: tuple[str, ...]
    source_lines: tuple[int, ...]


class MachineDriver(Protocol):
    """One machine, reached over one wire. Every driver passes tests/contract/driver_suite.py.

    Commands state a goal and are safe to repeat. They raise DriverUnavailable (no link), DriverRefused (the
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


class Guardian(Protocol):
    """The second process that stops machines when this one is dead or stuck.

    A driver calls watch and unwatch as its port opens and closes; a supervisor calls arm and disarm.
    """

    @property
    def alive(self) -> bool:
        """Return whether the process runs and has confirmed everything that it was told."""
        ...

    def watch(self, machine_id: str, descriptor: int) -> None:
        """Hand over a duplicate of an open serial descriptor; replaces an earlier one of the machine."""
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
class StreamHead:
    """Where a stream stands: newest seq of an epoch, acknowledged watermark, rows waiting."""

    stream: Stream
    epoch: str
    last_seq: int
    watermark: int
    waiting: int


class Outbox(Protocol):
    """Facts that the office has not acknowledged yet."""

    async def heads(self) -> list[StreamHead]:
        """Return every (stream, epoch) that has rows or is current, oldest epoch first."""
        ...

    async def read(self, stream: Stream, epoch: str, after_seq: int, limit: int) -> list[StoredEvent]:
        """Return up to `limit` waiting facts with seq > after_seq, in order."""
        ...

    async def acknowledge(self, stream: Stream, epoch: str, watermark: int) -> None:
        """Drop everything up to `watermark`: the office has it. A lower watermark than before is ignored."""
        ...

    async def batch_hash(self, stream: Stream, epoch: str, s0: int) -> bytes | None:
        """Return the stored SHA-256 of the batch that ended just before `s0`, None for the first of an epoch."""
        ...

    async def batch_bounds(self, stream: Stream, epoch: str, s0: int) -> tuple[int, bytes | None] | None:
        """Return (n, sha256 of predecessor) of the batch once cut at `s0`, or None: a cut is never moved."""
        ...

    async def keep_batch(self, stream: Stream, epoch: str, s0: int, n: int, prev: bytes | None, sha256: bytes) -> None:
        """Remember the cut and the hash of a batch before it is published for the first time."""
        ...

    async def totals(self) -> dict[str, dict[str, int]]:
        """Return per epoch the grow-only counters of presence: people, corrected, sessions."""
        ...

    async def closed_epochs(self) -> dict[str, dict[str, int]]:
        """Return for each former epoch its last seq per stream."""
        ...


class Publisher(Protocol):
    """The air: one connection to the broker."""

    async def run(self) -> None:
        """Connect and stay connected until cancelled."""
        ...

    @property
    def connected(self) -> bool:
        """Return whether the broker answers."""
        ...

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, properties: dict[str, str]) -> None:
        """Hand over one message; raises ConnectionError while away. A PUBACK is not delivery."""
        ...

    def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (topic, payload) of what the office sends to this lab."""
        ...
