# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing the outbox to a stick: the batches that the relay would send, cut as it cut them or would cut them.

The service may run meanwhile. Whoever cuts a batch first keeps its bounds in the outbox, and the other sends the same
bytes; what is acknowledged meanwhile drops out. A stick takes nothing from the outbox: only the office's
acknowledgement over the air does, and what came on a stick is then a duplicate.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.domain.errors import StoreUnavailable
from edge.domain.ports import Outbox, StreamHead
from edge.keys import LabKey
from edge.stick.archive import Archive
from edge.sync.presence import word_of
from edge.sync.status import LabIdentity
from edge.sync.track import CannotGoOn, Flight, Track
from wire.codec import encode_presence
from wire.stick import MAX_FILES, MAX_STICK, PRESENCE, batch_name

TRIES = 3


@dataclass(slots=True)
class Exported:
    """What was written: files, batches and facts; left names what could not be read, in a person's words."""

    files: list[Path] = field(default_factory=list)
    batches: int = 0
    facts: int = 0
    bytes: int = 0
    left: list[str] = field(default_factory=list)


class Export:
    """One bringing of the outbox of `lab` to `folder`; `name` is what its files are called. Signs with `key`."""

    def __init__(
        self,
        outbox: Outbox,
        lab: LabIdentity,
        key: LabKey,
        folder: Path,
        name: str,
        *,
        most_bytes: int = MAX_STICK,
        most_files: int = MAX_FILES,
    ) -> None:
        self._outbox, self._lab, self._key = outbox, lab, key
        self._folder, self._name = folder, name
        self._most_bytes, self._most_files = most_bytes, most_files
        self._done = Exported()

    async def run(self) -> Exported:
        """Write everything that waits, in as many files as it takes; nothing waits: no file.

        Raises OSError where the stick is full or gone (then the file under way is not there, those before it are) and
        StoreUnavailable.
        """
        heads = [head for head in await self._outbox.heads() if head.waiting]
        while heads:
            heads = await self._one_file(heads)
        return self._done

    async def _one_file(self, heads: list[StreamHead]) -> list[StreamHead]:
        """Write one file; return the heads of which there is more."""
        number = len(self._done.files) + 1
        name = self._name if number == 1 else f"{self._name}-{number}"
        with Archive(self._folder, name, most_bytes=self._most_bytes, most_files=self._most_files) as archive:
            word = await word_of(self._lab, self._outbox, await self._outbox.heads(), {})
            archive.add(PRESENCE, encode_presence(word))
            before = self._done.batches
            while heads:
                rest = await self._stream(archive, heads[0])
                if rest is not None:
                    heads = [rest, *heads[1:]]
                    break
                heads = heads[1:]
            if self._done.batches > before:
                self._done.files.append(archive.finish(self._lab.lab, self._lab.software, self._key))
        return heads

    async def _stream(self, archive: Archive, head: StreamHead) -> StreamHead | None:
        """Write the batches of one (stream, epoch) up to its head; return where to go on in the next file."""
        track = await Track.begin(self._lab.lab, head, self._outbox)
        while track.unsent > 0:
            try:
                flight = await self._next(track)
            except CannotGoOn as error:
                newer = await self._newer(head)
                if newer is not None and newer.watermark <= track.sent_to:
                    self._done.left.append(f"{head.stream} of epoch {head.epoch}: {error}")
                    return None
                if newer is None:
                    return None
                head, track = newer, await Track.begin(self._lab.lab, newer, self._outbox)
                continue
            if flight is None:
                continue
            payload = flight.message.payload
            if not archive.fits(len(payload)):
                return replace(head, watermark=flight.cut.s0 - 1)
            archive.add(batch_name(head.stream.value, head.epoch, flight.cut.s0), payload)
            track.flights.clear()
            self._done.batches += 1
            self._done.facts += flight.cut.n
            self._done.bytes += len(payload)
        return None

    async def _next(self, track: Track) -> Flight | None:
        """Return the next batch. One that the service cut, or rolled up, at the same moment is looked at again."""
        for _ in range(TRIES - 1):
            with suppress(StoreUnavailable):
                return await track.next_flight(self._outbox, lambda message: True)
        return await track.next_flight(self._outbox, lambda message: True)

    async def _newer(self, head: StreamHead) -> StreamHead | None:
        """Return `head` with the watermark that it has by now; None where the office has everything up to its end."""
        for other in await self._outbox.heads():
            if (other.stream, other.epoch) == (head.stream, head.epoch) and other.watermark < head.last_seq:
                return replace(other, last_seq=head.last_seq)
        return None
