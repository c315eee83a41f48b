# SPDX-License-Identifier: GPL-3.0-or-later
"""A track over an outbox in memory: gaps, restarts and small packets in any order, and each fact still goes out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.air import Outgoing
from edge.domain.events import Stream
from edge.domain.ports import Cut, StreamHead, WaitingFact
from edge.sync import track as track_module
from edge.sync.track import CannotGoOn, Track
from tests.support.facts import metric
from wire.codec import decode_batch

# A busy computer is slow, not wrong.
patient = settings(deadline=None, max_examples=150)

EPOCH, FACTS, BATCH = "e1", 60, 7


def waiting(seq: int) -> WaitingFact:
    event = metric(seq)
    return WaitingFact(seq, event.type.value, event.body, event.boot_ns, event.wall_ns)


@dataclass
class Shelf:
    """Stands for the outbox: facts 1..FACTS of one stream."""

    facts: dict[int, WaitingFact] = field(default_factory=lambda: {seq: waiting(seq) for seq in range(1, FACTS + 1)})
    kept: list[Cut] = field(default_factory=list)
    dropped: list[tuple[int, int]] = field(default_factory=list)

    async def read(self, stream: Stream, epoch: str, after_seq: int, limit: int) -> list[WaitingFact]:
        return [fact for seq, fact in sorted(self.facts.items()) if seq > after_seq][:limit]

    async def cuts(self, stream: Stream, epoch: str) -> list[Cut]:
        return list(self.kept)

    async def keep_cut(self, stream: Stream, epoch: str, cut: Cut) -> None:
        assert all(cut.s0 > other.last for other in self.kept), "a cut is never moved"
        self.kept.append(cut)

    async def gaps(self, stream: Stream, epoch: str) -> list[tuple[int, int]]:
        return sorted(self.dropped)

    def drop(self, first: int, last: int) -> None:
        """Drop facts that were not cut yet, as the store does: with a record."""
        first = max(first, self.kept[-1].last + 1 if self.kept else 1)
        while first <= last and first not in self.facts:
            first += 1
        run = first
        while run <= last and run in self.facts:
            del self.facts[run]
            run += 1
        if run > first:
            self.dropped.append((first, run - 1))


def begin(shelf: Shelf) -> Track:
    head = StreamHead(Stream.METRICS, EPOCH, "boot-1", FACTS, 0)
    return asyncio.run(Track.begin("lab-1", head, shelf))  # type: ignore[arg-type]


def fits_in(size: int) -> object:
    return lambda message: len(message.payload) <= size


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.just(0), st.just(0)),
        st.tuples(st.just("drop"), st.integers(1, FACTS), st.integers(1, 25)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@patient
@given(steps, st.integers(330, 600))
def test_whatever_is_dropped_and_whenever_it_restarts_the_rest_goes_out_in_one_chain(
    happened: list[tuple[str, int, int]], size: int
) -> None:
    shelf, sent = Shelf(), dict[int, Outgoing]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(track_module, "MAX_EVENTS", BATCH)
        track = begin(shelf)

        def send() -> bool:
            flight = asyncio.run(track.next_flight(shelf, fits_in(size)))  # type: ignore[arg-type]
            if flight is not None:
                first = sent.setdefault(flight.cut.s0, flight.message)
                assert first == flight.message, "a batch comes again as it was"
            return track.unsent > 0

        for what, first, length in happened:
            if what == "drop":
                shelf.drop(first, first + length)
            elif what == "restart":
                track = begin(shelf)
            elif track.unsent > 0:
                send()
        while track.unsent > 0 and send():
            pass
    batches = [decode_batch("lab-1", "metrics", message.payload) for _, message in sorted(sent.items())]
    seqs = [seq for batch, _ in batches for seq in range(batch.s0, batch.last + 1)]
    dropped = [seq for first, last in shelf.dropped for seq in range(first, last + 1)]
    assert sorted(seqs + dropped) == list(range(1, FACTS + 1))
    assert [batch.prev for batch, _ in batches] == [None, *(sha256 for _, sha256 in batches)][: len(batches)]


def test_a_hole_that_no_record_explains_stops_the_stream_before_it() -> None:
    shelf = Shelf()
    shelf.drop(3, 4)
    del shelf.facts[5]
    track = begin(shelf)
    flight = asyncio.run(track.next_flight(shelf, lambda message: True))  # type: ignore[arg-type]
    assert flight is not None
    assert (flight.cut.s0, flight.cut.last) == (1, 2)
    with pytest.raises(CannotGoOn, match="the facts 5 to 5 are missing"):
        asyncio.run(track.next_flight(shelf, lambda message: True))  # type: ignore[arg-type]


def test_a_gap_at_the_end_leaves_nothing_to_send() -> None:
    shelf = Shelf()
    shelf.drop(1, FACTS)
    track = begin(shelf)
    assert asyncio.run(track.next_flight(shelf, lambda message: True)) is None  # type: ignore[arg-type]
    assert (track.unsent, track.sent_to, track.ready) == (0, FACTS, False)
