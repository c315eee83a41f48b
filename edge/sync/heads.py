# SPDX-License-Identifier: GPL-3.0-or-later
"""Where every stream of every epoch stands, by priority and the oldest first; of one epoch at a time it may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge.domain.events import Stream
from edge.domain.ports import StreamHead


class Heads:
    """Heads by stream and epoch. Each change costs no more than its own epoch: a lab may have thousands."""

    def __init__(self, heads: Iterable[StreamHead] = ()) -> None:
        self._by_stream: dict[Stream, dict[str, StreamHead]] = {stream: {} for stream in Stream}
        self._waiting = dict.fromkeys((stream.value for stream in Stream), 0)
        for head in heads:
            self._set(head)

    def __iter__(self) -> Iterator[StreamHead]:
        for heads in self._by_stream.values():
            yield from heads.values()

    def get(self, stream: Stream, epoch: str) -> StreamHead | None:
        """Return the head of a stream of an epoch, None where there is none."""
        return self._by_stream[stream].get(epoch)

    def put(self, epoch: str, heads: Iterable[StreamHead]) -> None:
        """Put the heads of one epoch in place of those known of it. A new epoch comes behind the others."""
        given = {head.stream: head for head in heads}
        for stream in Stream:
            if stream in given:
                self._set(given[stream])
            elif (gone := self._by_stream[stream].pop(epoch, None)) is not None:
                self._waiting[stream.value] -= gone.waiting

    def waiting_of(self, stream: Stream) -> Iterator[StreamHead]:
        """Yield the heads of a stream that have waiting facts; nothing may change meanwhile."""
        return (head for head in self._by_stream[stream].values() if head.waiting > 0)

    def waiting(self) -> dict[str, int]:
        """Return the number of waiting facts per stream, all streams named."""
        return dict(self._waiting)

    def _set(self, head: StreamHead) -> None:
        heads = self._by_stream[head.stream]
        before = heads.get(head.epoch)
        self._waiting[head.stream.value] += head.waiting - (before.waiting if before is not None else 0)
        heads[head.epoch] = head
