# SPDX-License-Identifier: GPL-3.0-or-later
"""Ingestion through a real Mosquitto into both databases: what labs send, what the office answers, what goes wrong."""

import asyncio
import contextlib
import logging
import socket
import sqlite3
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
import pytest
import zstandard
from paho.mqtt.enums import CallbackAPIVersion

from office.config import BrokerSettings
from office.errors import LedgerRefused
from office.facts import Rejected
from office.ingest import Ingest, link, worker
from office.ledger import Ledger, reading, sqlite
from tests.hardware_sim.lab.ports import free_port
from tests.support.broker import Mosquitto
from tests.support.office import NOW_NS, Sender, headcount, opened
from wire import topics
from wire.batch import MAX_PAYLOAD, Ack, Presence
from wire.codec import decode_ack, encode_presence

pytest_plugins = ("tests.support.office_fixtures",)

DEADLINE_S = 15


async def until(condition: Callable[[], object], what: str = "the awaited never came") -> None:
    """Wait until `condition` holds."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(what) from None


class Lab:
    """A lab's MQTT end: a thread of its own publishes, and keeps the acks that come."""

    def __init__(
        self, broker: Mosquitto, name: str = "van-1", tls: Path | None = None, password: str | None = None
    ) -> None:
        self.name = name
        self.acks: list[Ack] = []
        self._subscribed = False
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: setattr(self, "_subscribed", True)
        if tls is not None:
            self._client.tls_set(str(tls))
        if password is not None:
            self._client.username_pw_set("office", password)
        self._client.connect("localhost" if tls is not None else broker.host, broker.port)
        self._client.loop_start()
        self._client.subscribe(topics.ack_filter(name), qos=1)

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self.acks.append(decode_ack(message.topic.rpartition("/")[2], message.payload))

    async def ready(self) -> None:
        await until(lambda: self._subscribed, "the lab could not subscribe")

    def send(self, payload: bytes, stream: str = "visits", qos: int = 1) -> mqtt.MQTTMessageInfo:
        return self._client.publish(topics.up(self.name, stream), payload, qos=qos)

    def say(self, presence: Presence) -> None:
        self._client.publish(topics.presence(self.name), encode_presence(presence), qos=1, retain=True)

    async def acked(self, watermark: int, epoch: str = "e1", stream: str = "visits") -> Ack:
        def found() -> Ack | None:
            same = (a for a in self.acks if (a.epoch, a.stream) == (epoch, stream) and a.watermark >= watermark)
            return next(same, None)

        await until(found, f"no ack of {stream} {epoch} up to {watermark}: {self.acks}")
        ack = found()
        assert ack is not None
        return ack

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.asynccontextmanager
async def ingesting(broker: Mosquitto, ledger: Ledger) -> AsyncIterator[Ingest]:
    settings = BrokerSettings(host=broker.host, port=broker.port, retry_first=0.02, retry_longest=0.05)
    async with running(Ingest(settings, ledger)) as ingest:
        yield ingest


@contextlib.asynccontextmanager
async def running(ingest: Ingest) -> AsyncIterator[Ingest]:
    task = asyncio.create_task(ingest.run())
    try:
        yield ingest
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def ingest(broker, ledger):
    async with ingesting(broker, ledger) as running:
        async with asyncio.timeout(DEADLINE_S):
            await running.wait_connected()
        yield running


@pytest.fixture
async def lab(broker):
    connected = Lab(broker)
    await connected.ready()
    yield connected
    connected.close()


async def test_a_batch_comes_through_and_is_acknowledged(ingest, lab, ledger):
    feed = Sender()
    lab.send(feed.payload([opened("v1"), headcount("v1", 20)]))
    ack = await lab.acked(2)
    assert (ack.missing, ack.office_ns) == ((), NOW_NS)
    assert (await ledger.read(reading.totals)).ledger == 20


async def test_hundreds_of_batches_out_of_order_and_twice(ingest, lab, ledger):
    feed = Sender()
    payloads = [feed.payload([headcount("v1", 1)]) for _ in range(300)]
    for payload in payloads[::-1] + payloads:
        lab.send(payload)
    await lab.acked(300)
    await until(lambda: ingest.figures.received == 600)
    await until(lambda: ingest.figures.new + ingest.figures.duplicates == 600)
    assert (await ledger.read(reading.totals)).ledger == 300
    assert (await ledger.recount()).differences == ()


async def test_a_missing_batch_is_asked_for(ingest, lab):
    feed = Sender()
    one, two, three = (feed.payload([headcount("v1", 1)]) for _ in range(3))
    lab.send(one)
    await lab.acked(1)
    lab.send(three)
    await until(lambda: any(ack.missing == ((2, 2),) for ack in lab.acks), "the hole was not named")
    lab.send(two)
    assert (await lab.acked(3)).missing == ()


async def test_what_cannot_be_read_is_set_aside_while_ingestion_goes_on(ingest, lab, ledger):
    feed = Sender()
    good = feed.payload([headcount("v1", 20)])
    other = Sender(lab="van-2").payload([headcount("v1", 20)])
    newer = zstandard.ZstdCompressor().compress(b'{"v": 2}')
    bad = [b"\x00\xff garbage", b"", good[:-7], other, newer, bytes(MAX_PAYLOAD + 1), b"x" * 200_000]
    for payload in bad:
        lab.send(payload)
    lab.send(good, stream="gossip")
    lab.send(good)
    await lab.acked(1)
    await until(lambda: ingest.figures.rejected == len(bad) + 1)
    quality = await ledger.read(reading.quality)
    assert quality.quarantined == len(bad) + 1
    assert (await ledger.read(reading.totals)).ledger == 20


async def test_presence_gives_the_number_at_once_and_the_will_takes_the_lab_offline(broker, ledger):
    early = Lab(broker)
    early.say(
        Presence(
            "van-1",
            "online",
            "b1",
            "e1",
            "1.0",
            "c",
            {"visits": 9},
            {},
            {"e1": {"people": 40, "corrected": 2, "sessions": 7}},
            9,
        )
    )
    async with ingesting(broker, ledger) as running:
        await running.wait_connected()
        await until(lambda: running.figures.received == 1)
        async with asyncio.timeout(DEADLINE_S):
            while (await ledger.read(reading.totals)).reached != 38:
                await asyncio.sleep(0.01)
        assert (await ledger.read(reading.labs))[0].waiting == 9
        early._client.publish(topics.presence("van-1"), b'{"v":1,"state":"offline"}', qos=1, retain=True)
        async with asyncio.timeout(DEADLINE_S):
            while (await ledger.read(reading.labs))[0].state != "offline":
                await asyncio.sleep(0.01)
    early.close()


async def test_the_ack_comes_only_after_the_commit(ingest, lab, ledger, monkeypatch):
    """Hold the commit up: as long as it has not happened there is no ack, and the broker is not told either."""
    may_go = asyncio.Event()
    original = ledger.record

    async def held_up(items):
        await may_go.wait()
        return await original(items)

    monkeypatch.setattr(ledger, "record", held_up)
    feed = Sender()
    lab.send(feed.payload([headcount("v1", 1)]))
    await until(lambda: ingest.figures.received == 1)
    await asyncio.sleep(0.1)
    assert lab.acks == []
    may_go.set()
    await lab.acked(1)


async def test_a_locked_file_delays_the_ack_and_loses_nothing(broker, lab, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 20)
    monkeypatch.setattr(worker, "RETRY_FIRST_S", 0.02)
    path = tmp_path / "office.sqlite3"
    ledger = Ledger(f"sqlite:///{path}")
    await ledger.read(reading.totals)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("begin immediate")
    with caplog.at_level(logging.INFO):
        async with ingesting(broker, ledger) as running:
            await running.wait_connected()
            feed = Sender()
            for _ in range(100):
                lab.send(feed.payload([headcount("v1", 1)]))
            await until(lambda: "Nothing is acknowledged" in caplog.text)
            assert lab.acks == []
            blocker.execute("rollback")
            await lab.acked(100)
    blocker.close()
    assert caplog.text.count("Nothing is acknowledged") == 1
    assert caplog.text.count("the ledger is back") == 1
    assert (await ledger.read(reading.totals)).ledger == 100
    await ledger.close()


async def test_a_server_that_is_restarted_loses_nothing(broker, lab, postgres, monkeypatch):
    monkeypatch.setattr(worker, "RETRY_FIRST_S", 0.02)
    ledger = Ledger(postgres.new_database())
    async with ingesting(broker, ledger) as running:
        await running.wait_connected()
        feed = Sender()
        lab.send(feed.payload([headcount("v1", 1)]))
        await lab.acked(1)
        await asyncio.to_thread(postgres.stop)
        lab.send(feed.payload([headcount("v1", 1)]))
        await until(lambda: running.figures.received == 2)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.url("postgres"))
        await asyncio.to_thread(postgres.start)
        await lab.acked(2)
    await ledger.close()


async def test_a_broker_that_is_away_is_logged_once_and_found_again(tmp_path, caplog):
    ledger = Ledger(f"sqlite:///{tmp_path / 'office.sqlite3'}")
    broker = Mosquitto(tmp_path, free_port())
    with caplog.at_level(logging.INFO, "office"):
        async with ingesting(broker, ledger) as running:
            await asyncio.sleep(0.3)
            assert not running.connected
            assert caplog.text.count("is away") == 1
            for _ in range(3):
                with broker:
                    await asyncio.wait_for(running.wait_connected(), DEADLINE_S)
                    lab, feed = Lab(broker), Sender()
                    await lab.ready()
                    lab.send(feed.payload([headcount("v1", 1)]))
                    await lab.acked(1)
                    lab.close()
                await until(lambda: not running.connected)
            assert caplog.text.count("is away") == 4
            assert caplog.text.count("ingestion goes on") == 3
    await ledger.close()


async def test_a_broker_that_refuses_us_is_asked_again(tmp_path, caplog):
    ledger = Ledger(f"sqlite:///{tmp_path / 'office.sqlite3'}")
    with Mosquitto(tmp_path, listener="allow_anonymous false") as broker:
        (tmp_path / "passwords").touch()
        async with ingesting(broker, ledger):
            await until(lambda: "it refused us: Not authorized" in caplog.text)
    await ledger.close()


def certificates(folder: Path) -> None:
    """Make a certificate authority and a broker's certificate for localhost."""
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "broker.key"), "-out", str(folder / "broker.pem")]
    subprocess.run([*make, *name, *files], check=True, capture_output=True)


async def test_tls_and_a_password(tmp_path, caplog):
    await asyncio.to_thread(certificates, tmp_path)
    secrets = {"passwords": "office:secret\n", "right": "secret\n", "wrong": "guess\n"}
    for name, text in secrets.items():
        (tmp_path / name).write_text(text)
    await asyncio.to_thread(subprocess.run, ["mosquitto_passwd", "-U", str(tmp_path / "passwords")], check=True)
    tls = f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n"
    listener = f"{tls}allow_anonymous false\npassword_file {tmp_path}/passwords\n"
    ledger = Ledger(f"sqlite:///{tmp_path / 'office.sqlite3'}")
    with Mosquitto(tmp_path, listener=listener) as broker:
        settings = BrokerSettings(
            host="localhost",
            port=broker.port,
            tls=True,
            ca_file=tmp_path / "broker.pem",
            username="office",
            password_file=tmp_path / "right",
            retry_first=0.02,
        )
        async with running(Ingest(settings, ledger)) as ingest:
            await asyncio.wait_for(ingest.wait_connected(), DEADLINE_S)
            lab = Lab(broker, tls=tmp_path / "broker.pem", password="secret")
            await lab.ready()
            feed = Sender()
            # Batches of more than one TLS record, so that packets wait inside the socket where no selector sees them.
            big = [feed.payload([headcount(uuid.uuid4().hex, 1) for _ in range(500)]) for _ in range(20)]
            for payload in big:
                lab.send(payload)
            await lab.acked(10_000)
            lab.close()
        for update in ({"password_file": tmp_path / "wrong"}, {"ca_file": None}):
            async with running(Ingest(settings.model_copy(update=update), ledger)):
                word = "Not authorized" if "password_file" in update else "CERTIFICATE_VERIFY_FAILED"
                await until(lambda word=word: word in caplog.text, word)
        for update in ({"password_file": tmp_path / "none"}, {"ca_file": tmp_path / "none"}):
            caplog.clear()
            async with running(Ingest(settings.model_copy(update=update), ledger)):
                await until(lambda: "No such file" in caplog.text)
    await ledger.close()


async def test_something_that_is_no_broker_is_given_up(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(link, "CONNECT_TIMEOUT_S", 0.2)
    server = socket.create_server(("127.0.0.1", 0))
    ledger = Ledger(f"sqlite:///{tmp_path / 'office.sqlite3'}")
    settings = BrokerSettings(port=server.getsockname()[1], retry_first=0.02)
    async with running(Ingest(settings, ledger)):
        await until(lambda: "it does not answer" in caplog.text)
    server.close()
    await ledger.close()


async def test_two_workers_share_the_labs(broker, postgres):
    url = postgres.new_database()
    one, two = Ledger(url), Ledger(url)
    async with ingesting(broker, one) as first, ingesting(broker, two) as second:
        await first.wait_connected()
        await second.wait_connected()
        labs = [Lab(broker, f"van-{n}") for n in range(3)]
        for lab in labs:
            await lab.ready()
            feed = Sender(lab=lab.name)
            payloads = [feed.payload([headcount("v1", 1), headcount("v1", 1)]) for _ in range(60)]
            for payload in payloads + payloads[::3]:
                lab.send(payload)
        for lab in labs:
            await lab.acked(120)
        await until(lambda: first.figures.new + second.figures.new == 360)
        assert first.figures.new > 0
        assert second.figures.new > 0
        for lab in labs:
            lab.close()
    assert (await one.read(reading.totals)).ledger == 360
    assert (await one.recount()).differences == ()
    await one.close()
    await two.close()


async def test_what_the_ledger_refuses_is_set_aside_alone(ingest, lab, ledger, monkeypatch):
    original = ledger.record

    async def picky(items):
        if any(not isinstance(item, Rejected) and item.epoch == "e13" for item in items):
            raise LedgerRefused(reason="thirteen")
        return await original(items)

    monkeypatch.setattr(ledger, "record", picky)
    good, bad = Sender(), Sender(epoch="e13")
    for feed in (good, bad, good, bad, good):
        lab.send(feed.payload([headcount("v1", 1)]))
    await lab.acked(3)
    await until(lambda: ingest.figures.rejected == 2)
    quality = await ledger.read(reading.quality)
    assert quality.last is not None
    assert "thirteen" in quality.last[2]


async def test_what_cannot_even_be_set_aside_does_not_stall(ingest, lab, ledger, monkeypatch, caplog):
    original = ledger.record

    async def picky(items):
        if any(isinstance(item, Rejected) for item in items):
            raise LedgerRefused(reason="no more room for rubbish")
        return await original(items)

    monkeypatch.setattr(ledger, "record", picky)
    lab.send(b"garbage")
    lab.send(Sender().payload([headcount("v1", 1)]))
    await lab.acked(1)
    assert "not even set aside" in caplog.text


async def test_what_is_too_much_for_the_memory_is_dropped_and_sent_again(ingest, lab, ledger, monkeypatch):
    may_go = asyncio.Event()
    original = ledger.record

    async def held_up(items):
        await may_go.wait()
        return await original(items)

    monkeypatch.setattr(ledger, "record", held_up)
    monkeypatch.setattr(worker, "QUEUE_BYTES", 10_000)
    feed = Sender()
    payloads = [feed.payload([headcount("v1", 1)]) for _ in range(300)]
    for payload in payloads:
        lab.send(payload, qos=0)
    await until(lambda: ingest.figures.dropped > 0)
    may_go.set()
    await until(lambda: ingest.figures.new + ingest.figures.dropped == 300)
    async with asyncio.timeout(DEADLINE_S):
        while (known := max((ack.watermark for ack in lab.acks), default=0)) < 300:
            for payload in payloads[known : known + 20]:
                lab.send(payload)
            await asyncio.sleep(0.05)
    assert (await ledger.read(reading.totals)).ledger == 300
