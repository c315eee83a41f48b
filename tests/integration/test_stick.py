# SPDX-License-Identifier: GPL-3.0-or-later
"""From the van's outbox to the ledger by stick, on both databases: together with the air, in any order, once."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Event, Stream
from edge.domain.ports import WaitingFact
from edge.stick import archive
from edge.stick.export import Export
from edge.store.guest import GuestDatabase
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.track import Track
from office import intake
from office.facts import Item
from office.ledger import Ledger, audit, keys, reading
from office.stick import BadStick, Imported, read_stick, take_stick
from tests.support.facts import headcount, metric, session
from tests.support.office import NOW_NS, message, presence
from tests.support.stick import SETTINGS, Card
from wire import topics
from wire.codec import decode_presence
from wire.stick import PRESENCE

pytest_plugins = ("tests.support.office_fixtures",)


def day(number: int) -> list[Event]:
    """Return the facts of a day: 20 people, 600 sessions, some metrics."""
    people = [headcount(8), headcount(8), headcount(6), headcount(-2, reason="counted twice")]
    return [*people, *(session(number * 1_000 + n) for n in range(600)), *(metric(n) for n in range(50))]


async def trusted(ledger: Ledger, card: Card) -> None:
    await ledger.record([presence(card.lab, key=card.key.public_hex)])


async def bring(ledger: Ledger, path: Path, who: str = "ona") -> Imported:
    with path.open("rb") as file:
        return await take_stick(file, ledger, who)


async def over_the_air(card: Card) -> list[tuple[str, bytes]]:
    """Return what the relay would publish now: (topic, payload), by priority. It keeps its cuts as the relay does."""
    guest = GuestDatabase.visit(card.path, SETTINGS)
    sent: list[tuple[str, bytes]] = []
    try:
        outbox = SqliteOutbox(guest)
        for head in await outbox.heads():
            track = await Track.begin(card.lab, head, outbox)
            while track.unsent:
                flight = await track.next_flight(outbox, lambda message: True)
                if flight is not None:
                    sent.append((flight.message.topic, flight.message.payload))
                    track.flights.clear()
    finally:
        await asyncio.to_thread(guest.close)
    return sent


def on_stick(path: Path) -> list[tuple[str, bytes]]:
    with path.open("rb") as file:
        stick = read_stick(file)
        return [
            (topics.up(stick.manifest.lab, listed.stream), content)
            for listed, content in stick.contents()
            if listed.stream is not None
        ]


def items(sent: list[tuple[str, bytes]]) -> list[Item]:
    return [intake.read(message(topic, payload)) for topic, payload in sent]


async def figures(ledger: Ledger) -> Any:
    assert (await ledger.recount()).differences == ()
    return await ledger.read(reading.totals)


async def test_a_stick_brings_everything_that_waits(ledger: Ledger, tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    await card.write(day(1))
    await card.write(day(2), boot="boot-2")
    done = await card.export()
    assert (len(done.files), done.facts, done.left) == (1, 2 * 654, [])
    await trusted(ledger, card)
    imported = await bring(ledger, done.files[0])
    assert imported == Imported("van-1", card.key.public_hex, done.batches, 2 * 654, 0, 0)
    assert await figures(ledger) == reading.Totals(40, 40, 1_200)
    (lab,) = await ledger.read(reading.labs)
    assert lab.gaps == []
    row, *_ = await ledger.read(lambda database: audit.page(database, 1, 0))
    assert (row.who, row.what, row.lab, row.facts["new"]) == ("ona", "import", "van-1", 2 * 654)


async def test_the_bytes_are_those_that_go_over_the_air_whoever_cuts_first(tmp_path: Path) -> None:
    for first in ("stick", "air"):
        card = Card(tmp_path / first)
        await card.write(day(1))
        sent = await over_the_air(card) if first == "air" else []
        (path,) = (await card.export()).files
        assert on_stick(path) == (sent or await over_the_air(card))
        await card.write(day(2))
        again = on_stick((await card.export()).files[0])
        assert set(on_stick(path)) < set(again), "and they stay so when more has come"
        assert again == await over_the_air(card)


async def test_stick_and_air_in_any_order_count_once(ledger: Ledger, tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    await card.write(day(1))
    (early,) = (await card.export()).files
    await card.write(day(2))
    (late,) = (await card.export()).files
    sent = items(await over_the_air(card))
    await trusted(ledger, card)
    order = random.Random(7)
    acts: list[Any] = [*([item] for item in sent), *([item] for item in sent), early, late, early, late]
    order.shuffle(acts)
    for act in acts:
        if isinstance(act, Path):
            await bring(ledger, act)
        else:
            await ledger.record(act)
    assert await figures(ledger) == reading.Totals(40, 40, 1_200)
    assert (await ledger.read(reading.quality)).alarms == 0
    assert (await ledger.read(reading.labs))[0].gaps == []


async def test_a_second_time_brings_nothing_new(ledger: Ledger, tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    await card.write(day(1))
    (path,) = (await card.export()).files
    await trusted(ledger, card)
    first, again = await bring(ledger, path), await bring(ledger, path)
    assert (first.new, first.duplicates) == (654, 0)
    assert (again.new, again.duplicates, again.batches) == (0, first.batches, first.batches)
    assert await figures(ledger) == reading.Totals(20, 20, 600)


async def test_closed_epochs_and_totals_are_announced_by_the_stick(ledger: Ledger, tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    old = await card.write(day(1))
    await card.write([headcount(5)], boot="boot-2")
    (path,) = (await card.export(most_files=2)).files[:1]
    await trusted(ledger, card)
    await bring(ledger, path)
    assert (await ledger.read(reading.totals)).reached == 25, "all is known though one batch has come"
    gaps = (await ledger.read(reading.labs))[0].gaps
    assert {gap.epoch for gap in gaps} == {old}


async def test_more_than_one_file_holds_goes_on_in_the_next(ledger: Ledger, tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    await card.write(day(1))
    await card.write(day(2), boot="boot-2")
    whole = await over_the_air(card)
    for bounds in ({"most_files": 2}, {"most_bytes": 3_000}, {"most_bytes": 1}):
        done = await card.export(**bounds)
        assert len(done.files) > 1
        assert len({path.name for path in done.files}) == len(done.files)
        assert [part for path in done.files for part in on_stick(path)] == whole
    await trusted(ledger, card)
    for path in reversed(done.files):
        await bring(ledger, path)
    assert await figures(ledger) == reading.Totals(40, 40, 1_200)


async def test_what_the_office_acknowledged_is_not_written_again(tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    await card.write(day(1))
    first = await card.export()
    guest = GuestDatabase.visit(card.path, SETTINGS)
    outbox = SqliteOutbox(guest)
    for head in await outbox.heads():
        await outbox.acknowledge(head.stream, head.epoch, head.last_seq)
    await asyncio.to_thread(guest.close)
    none = await card.export()
    assert (none.files, none.batches, none.left) == ([], 0, [])
    assert sorted(card.stick.iterdir()) == sorted(first.files), "and no empty file is left"


async def test_the_service_goes_on_while_a_stick_is_written(ledger: Ledger, tmp_path: Path) -> None:
    """The service's own connection stores facts, cuts batches and hears acknowledgements meanwhile."""
    card = Card(tmp_path / "card")
    await card.write(day(1))
    service = card.open("boot-2")
    store, outbox = SqliteStore(service), SqliteOutbox(service)
    stored = 0

    async def serve() -> None:
        nonlocal stored
        for number in range(12):
            await store.append([session(50_000 + number), metric(number)])
            stored += 1
            for head in await outbox.heads():
                track = await Track.begin(card.lab, head, outbox)
                while track.unsent:
                    with suppress(StoreUnavailable):  # cut by the other one at the same moment
                        await track.next_flight(outbox, lambda message: True)
                    await asyncio.sleep(0)
                if number % 3 == 0 and head.stream is Stream.METRICS:
                    await outbox.acknowledge(head.stream, head.epoch, track.sent_to)

    serving = asyncio.create_task(serve())
    files: list[Path] = []
    while not serving.done():
        done = await card.export()
        assert done.left == []
        files += done.files
        await asyncio.sleep(0)
    await serving
    assert stored == 12
    files += (await card.export()).files
    await trusted(ledger, card)
    for path in files:
        await bring(ledger, path)
    assert (await figures(ledger)).sessions == 612
    assert (await ledger.read(reading.quality)).alarms == 0
    await asyncio.to_thread(service.close)


@pytest.mark.parametrize(("arrived", "left"), [(500, 104), (604, 0)])
async def test_what_is_acknowledged_in_the_very_moment_drops_out(tmp_path: Path, arrived: int, left: int) -> None:
    card = Card(tmp_path / "card")
    await card.write([session(number) for number in range(604)])
    await card.export()

    class Overtaken(SqliteOutbox):
        """The office acknowledges between the look at the heads and the look at the facts."""

        async def read(self, stream: Stream, epoch: str, after_seq: int, limit: int) -> list[WaitingFact]:
            if after_seq < arrived:
                await self.acknowledge(stream, epoch, arrived)
            return await super().read(stream, epoch, after_seq, limit)

    guest = GuestDatabase.visit(card.path, SETTINGS)
    try:
        done = await Export(Overtaken(guest), card.identity(guest), card.key, card.stick, "late").run()
    finally:
        await asyncio.to_thread(guest.close)
    assert (done.facts, done.left) == (left, [])
    assert [path.name for path in done.files] == (["late.infomobil"] if left else [])
    assert not list(card.stick.glob("*.part"))


async def test_a_record_that_another_program_holds_is_told_and_nothing_stays(tmp_path: Path) -> None:
    card = Card(tmp_path / "card", settings=StoreSettings(reserve_mb=0, ballast_mb=0, busy_timeout_ms=20))
    await card.write([headcount(1)])
    with closing(sqlite3.connect(card.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another program holds"):
            await card.export()
    assert list(card.stick.iterdir()) == []
    assert (await card.export()).facts == 1


async def test_facts_that_the_disk_lost_are_named_and_the_rest_is_written(tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    epoch = await card.write(day(1))
    guest = GuestDatabase.visit(card.path, SETTINGS)
    await guest.writer.write(
        lambda connection: connection.execute("DELETE FROM fact WHERE stream = 'metrics' AND seq = 3"), durable=True
    )
    await asyncio.to_thread(guest.close)
    done = await card.export()
    assert done.left == [f"metrics of epoch {epoch}: the facts 3 to 3 are missing"]
    assert [topic for topic, _ in on_stick(done.files[0])][:2] == [topics.up("van-1", "visits")] * 2


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.unlink(), "there is no database"),
        (lambda path: path.write_bytes(b"no database" * 1_000), "damaged"),
        (lambda path: path.write_bytes(b""), "another version"),
    ],
)
async def test_what_is_no_database_is_left_alone(tmp_path: Path, damage: Any, why: str) -> None:
    card = Card(tmp_path / "card")
    await card.write([headcount(1)])
    damage(card.path)
    kept = card.path.read_bytes() if card.path.exists() else None
    with pytest.raises(StoreUnavailable, match=why):
        GuestDatabase.visit(card.path, SETTINGS)
    assert (card.path.read_bytes() if card.path.exists() else None) == kept


async def test_a_database_of_another_version_is_left_alone(tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    await card.write([headcount(1)])
    guest = GuestDatabase.visit(card.path, SETTINGS)
    await guest.writer.write(
        lambda connection: connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm003_gaps'"), durable=True
    )
    await asyncio.to_thread(guest.close)
    with pytest.raises(StoreUnavailable, match="let the service run once"):
        GuestDatabase.visit(card.path, SETTINGS)


async def test_a_guest_begins_no_epoch_and_keeps_waiting_short(tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    epoch = await card.write([headcount(1)])
    for _ in range(3):
        guest = GuestDatabase.visit(card.path, StoreSettings(busy_timeout_ms=50))
        assert (guest.epoch, guest.ordinal, guest.boot) == (epoch, 1, "boot-1")
        await asyncio.to_thread(guest.close)
    assert not card.path.with_name("infomobil.db.ballast").exists()


async def test_a_stick_that_is_full_keeps_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(tmp_path / "card")
    await card.write(day(1))
    real = archive.Archive._write

    def full(self: archive.Archive, name: str, content: bytes) -> None:
        if name.startswith("batches/visits"):
            raise OSError(28, "No space left on device")
        real(self, name, content)

    monkeypatch.setattr(archive.Archive, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        await card.export()
    assert list(card.stick.iterdir()) == []
    monkeypatch.undo()
    assert len((await card.export()).files) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_lab_whose_disk_is_full_can_be_brought_to_a_stick(tmp_path: Path, small_disk: Path) -> None:
    """Cutting a batch has to write before anything is freed: the ballast gives the room, and comes back."""
    card = Card(small_disk / "card", settings=StoreSettings(reserve_mb=0, ballast_mb=8))
    card.stick = tmp_path
    assert card.key.public_hex
    database = card.open()
    store, counted = SqliteStore(database), 0
    with suppress(StoreUnavailable):
        while True:
            await store.append([session(counted + number) for number in range(500)])
            counted += 500
    await database.writer.read(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4_096))
    done = await card.export()
    assert (done.left, done.facts) == ([], counted)
    assert database.path.with_name("infomobil.db.ballast").stat().st_size == 8_000_000
    await asyncio.to_thread(database.close)


async def test_the_presence_on_a_stick_is_the_labs_word(tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    epoch = await card.write(day(1))
    (path,) = (await card.export()).files
    with path.open("rb") as file:
        content = {listed.name: payload for listed, payload in read_stick(file).contents()}
    word = decode_presence("van-1", content[PRESENCE])
    assert (word.epoch, word.key, word.ordinal) == (epoch, card.key.public_hex, 1)
    assert word.totals[epoch] == {"people": 22, "corrected": 2, "sessions": 600}
    assert word.heads == {"visits": 604, "metrics": 50}


async def test_a_key_that_nobody_knows_is_not_believed(ledger: Ledger, tmp_path: Path) -> None:
    card = Card(tmp_path / "card")
    await card.write(day(1))
    (path,) = (await card.export()).files
    with pytest.raises(BadStick, match="no key of the lab van-1 is known yet"):
        await bring(ledger, path)
    await ledger.record([presence(key="a1" * 32)])
    with pytest.raises(BadStick, match=f"another key.*key trust van-1 {card.key.public_hex}"):
        await bring(ledger, path)
    assert await figures(ledger) == reading.Totals(0, 0, 0)
    await ledger.change(lambda database: keys.trust(database, "ona", "van-1", card.key.public_hex, NOW_NS))
    assert (await bring(ledger, path)).new == 654
