# SPDX-License-Identifier: GPL-3.0-or-later
"""The black box: every byte that crosses the port, with its time, in a ring of bounded size in a mapped file.

A recording begins with a connection and anew with each program. The file belongs to the kernel's page cache, so what
was written survives the death of this process at any moment, and writing is a copy in memory: no system call comes
between a byte and what follows from it. What a power cut takes along is the last seconds.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import mmap
import os
from pathlib import Path

from edge.domain.ports import Clock
from edge.drivers.grbl.link import Direction
from edge.story.ring import RING_AT, Buffer, Kind, RingWriter

_log = logging.getLogger(__name__)

SIZE = 2 * 1024 * 1024
"""Bytes of a recording: some 8 minutes of a dense program, half an hour of a quiet one."""

KEPT = 8
"""Recordings kept for each machine."""

_CARRIED = SIZE // 8
"""A recording that is not longer is carried over into that of the program: it holds the begin of the connection."""

SUFFIX = ".ring"
_LONGEST_REASON = 300


class BlackBox:
    """Writes the recordings of one machine. Without a folder, or where the disk refuses, it records nothing."""

    def __init__(self, folder: Path | None, machine_id: str, clock: Clock) -> None:
        self._folder = None if folder is None else folder / machine_id
        self._path: Path | None = None
        """The newest recording, while it is of a connection without a program."""
        self._machine_id = machine_id
        self._clock = clock
        self._map: mmap.mmap | None = None
        self._ring: RingWriter | None = None
        self._failed = False

    def opened(self, port: str, baud: int) -> None:
        """Begin the recording of a connection."""
        self._rotate({}, carry=False)
        self.mark("port opened", port=port, baud=baud)

    def begin(self, program: str, lines: int, controller: str) -> None:
        """Begin the recording of a program; where there is room, with what came before it in this connection."""
        self._rotate({"program": program, "controller": controller}, carry=True)
        self.mark("program begins", program=program, lines=lines)

    def seen(self, direction: Direction, data: bytes) -> None:
        """Record bytes."""
        if self._ring is not None:
            kind = Kind.IN if direction is Direction.IN else Kind.OUT
            self._ring.write(kind, self._clock.boot_ns(), data)

    def mark(self, name: str, **facts: object) -> None:
        """Record what happened beside the bytes."""
        if self._ring is not None:
            self._ring.write(Kind.MARK, self._clock.boot_ns(), json.dumps({"mark": name, **facts}).encode())

    def ended(self, outcome: str, reason: str = "") -> None:
        """Record how the program has ended."""
        self.mark("program ends", outcome=outcome, reason=reason)
        if self._ring is not None:
            self._ring.conclude({"outcome": outcome, "reason": reason[:_LONGEST_REASON]})

    def close(self) -> None:
        """End the recording; its file stays."""
        mapped, self._map, self._ring = self._map, None, None
        if mapped is not None:
            mapped.close()

    def _rotate(self, facts: dict[str, object], *, carry: bool) -> None:
        """Begin a new file, and delete the oldest ones."""
        before = b""
        spare = None if carry else self._path
        if carry and self._map is not None and self._ring is not None and self._ring.written <= _CARRIED:
            before = self._map[RING_AT : RING_AT + self._ring.written]
            spare = self._path
        self.close()
        if self._folder is None:
            return
        try:
            if spare is not None:
                # A port that comes and goes must not push the recording of a fault out of the folder.
                spare.unlink(missing_ok=True)
            path, mapped = _new_file(self._folder)
        except OSError as error:
            if not self._failed:
                self._failed = True
                _log.warning("%s: the black box does not record: %s", self._machine_id, error)
            return
        self._failed = False
        self._path = None if carry else path
        about = {
            "machine": self._machine_id,
            "boot_id": self._clock.boot_id(),
            "boot_ns": self._clock.boot_ns(),
            "wall_ns": self._clock.wall_ns(),
        }
        buffer: Buffer = mapped
        self._map, self._ring = mapped, RingWriter(buffer, {**about, **facts})
        self._ring.take_over(before)


def _new_file(folder: Path) -> tuple[Path, mmap.mmap]:
    """Return path and mapping of the next file in `folder`, where the newest few are kept. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = sorted(int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())
    for number in numbers[: max(0, len(numbers) - KEPT + 1)]:
        with contextlib.suppress(FileNotFoundError):
            (folder / _name(number)).unlink()
    path = folder / _name(numbers[-1] + 1 if numbers else 1)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        # Its room on the disk is taken now: a full disk would else kill this process at a write into the mapping.
        # By zeros, not by posix_fallocate: the first write to a page then has to look up no block (p99.9 0.4 for 2 us).
        if os.write(descriptor, bytes(RING_AT + SIZE)) < RING_AT + SIZE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return path, mmap.mmap(descriptor, RING_AT + SIZE, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(descriptor)


def _name(number: int) -> str:
    """Return the file name of a recording."""
    return f"{number:06d}{SUFFIX}"
