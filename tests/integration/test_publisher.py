# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to the broker: TLS, passwords, refusals, and neighbours that are no broker at all."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from edge.domain.air import Outgoing, Publisher, TooLarge
from edge.sync.allowance import Allowance, spoken
from edge.sync.connection import MAX_UNSENT
from edge.sync.publisher import MqttPublisher
from edge.sync.settings import SyncSettings
from tests.hardware_sim.lab.ports import free_port
from tests.support.air import SmallOffice, eventually
from tests.support.broker import Mosquitto
from tests.support.impostor import served
from wire import topics
from wire.batch import CONTENT_TYPE, Batch, WireEvent
from wire.codec import encode_batch

LAB = "lab-1"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@asynccontextmanager
async def publishing(port: int, **settings: object) -> AsyncIterator[Publisher]:
    quick = {"host": "127.0.0.1", "port": port, "retry_min_s": 0.05, "retry_max_s": 0.1, "connect_timeout_s": 5}
    publisher = MqttPublisher(SyncSettings.model_validate(quick | settings), LAB)
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await task
        # The thread that connects ends by itself and hands its socket to the loop: let it, before the loop is closed.
        await eventually(lambda: all(thread.name != "mqtt-connect" for thread in threading.enumerate()))
        await asyncio.sleep(0)


@asynccontextmanager
async def impostor(answers: list[bytes]) -> AsyncIterator[int]:
    """Serve on loopback: answer each chunk read with the next of `answers`; an empty one closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            if not await reader.read(4_096) or not answer:
                return
            writer.write(answer)
            await writer.drain()
        while await reader.read(4_096):
            pass

    async with served(serve) as port:
        yield port


@pytest.mark.parametrize(
    "wrong",
    [
        {"hots": "x"},
        {"port": 0},
        {"cert_file": "x", "ca_file": "y"},
        {"cert_file": "x", "key_file": "y"},
        {"password_file": "x"},
        {"retry_min_s": 9, "retry_max_s": 1},
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SyncSettings.model_validate({"host": "office.example"} | wrong)


def test_the_port_follows_tls() -> None:
    assert SyncSettings.model_validate({"host": "h"}).port == 1883
    assert SyncSettings.model_validate({"host": "h", "ca_file": "ca.pem"}).port == 8883
    assert SyncSettings.model_validate({"host": "h", "port": 7}).port == 7


def packet(kind: int, *parts: bytes) -> bytes:
    """Return an MQTT packet of less than 128 bytes."""
    rest = b"".join(parts)
    return bytes([kind, len(rest)]) + rest


def connack(properties: bytes) -> bytes:
    """Return a CONNACK that accepts, with properties of less than 128 bytes."""
    return packet(0x20, b"\0\0", bytes([len(properties)]), properties)


def text(identifier: int, value: str) -> bytes:
    """Return a property that is a text."""
    return bytes([identifier, 0, len(value)]) + value.encode()


REASON, REFERENCE = 0x1F, 0x1C
CONNACK_OK = bytes([0x20, 3, 0, 0, 0])
CONNACK_REFUSED = bytes([0x20, 3, 0, 0x87, 0])
SUBACK_OK = bytes([0x90, 4, 0, 1, 0, 1])
DISCONNECT_TAKEN_OVER = bytes([0xE0, 2, 0x8E, 0])
SUBACK_REFUSED = bytes([0x90, 4, 0, 1, 0, 0x87])


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([b""], r"lost|closed"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], r"."),
        ([CONNACK_REFUSED], r"refused: Not authorized"),
        ([CONNACK_OK, SUBACK_REFUSED], r"refused the subscription: Not authorized"),
        ([packet(0x20, b"\0\x87", b"\x0a", text(REASON, "revoked"))], r"refused: Not authorized \(revoked\)$"),
        ([packet(0x20, b"\0\x9d", b"\x04", text(REFERENCE, "b"))], r"refused: Server moved, it names b$"),
        ([connack(b"\x24\0")], r"confirms no messages"),
        ([connack(b"\x25\0")], r"keeps no retained messages"),
        ([connack(b"\x28\0")], r"no subscriptions with wildcards"),
        ([], r"does not answer"),
    ],
)
async def test_a_neighbour_that_is_no_broker_for_us_is_told_apart(answers: list[bytes], said: str) -> None:
    async with impostor(answers) as port, publishing(port, connect_timeout_s=0.5) as publisher:
        await eventually(lambda: publisher.last_error != "")
        assert not publisher.connected
        with pytest.raises(ConnectionError):
            publisher.publish(Outgoing("im/v1/lab-1/up/visits", b"", 1))
    assert re.search(said, publisher.last_error), publisher.last_error


async def test_nobody_there_at_all() -> None:
    async with publishing(free_port()) as publisher:
        await eventually(lambda: "refused" in publisher.last_error)
    async with publishing(free_port(), host="no-such-host.invalid") as publisher:
        await eventually(lambda: publisher.last_error != "")


async def test_a_shutdown_while_connecting_waits_for_nobody() -> None:
    async with impostor([]) as port, publishing(port):
        await asyncio.sleep(0)
    async with impostor([]) as port, publishing(port) as publisher:
        await asyncio.sleep(0.05)
    assert not publisher.connected


async def test_a_password_is_read_from_its_file_at_each_attempt(tmp_path: Path) -> None:
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    command = ["mosquitto_passwd", "-b", "-c", str(passwords), "van", "right"]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    broker = Mosquitto(tmp_path, extra=f"password_file {passwords}", anonymous=False)
    settings = {"username": "van", "password_file": secret}
    with broker:
        async with publishing(broker.port, **settings) as publisher:
            await eventually(lambda: "No such file" in publisher.last_error)
            secret.write_text("wrong\n")
            await eventually(lambda: "Not authorized" in publisher.last_error)
            secret.write_text("right\n")
            await eventually(lambda: publisher.connected)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    for name in ("broker", "van"):
        openssl("req", "-new", "-newkey", "ed25519", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={name}")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-extfile", "names", "-days", "1")  # fmt: skip
    openssl(
        "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "other.key", "-out", "other.pem", "-subj", "/CN=o"
    )
    return folder


async def test_tls_with_certificates_of_both_sides_carries_large_messages(tmp_path: Path, certificates: Path) -> None:
    secure = free_port()
    broker = Mosquitto(
        tmp_path,
        listener=f"listener {secure} 127.0.0.1\ncafile {certificates / 'ca.pem'}\nrequire_certificate true\n"
        f"certfile {certificates / 'broker.pem'}\nkeyfile {certificates / 'broker.key'}",
    )
    files = {
        "ca_file": certificates / "ca.pem",
        "cert_file": certificates / "van.pem",
        "key_file": certificates / "van.key",
    }
    received: list[bytes] = []
    with broker, SmallOffice(broker.host, broker.port) as office:
        async with publishing(secure, **files) as publisher:
            publisher.listen(lambda up: None, lambda topic, payload: received.append(payload))
            await eventually(lambda: publisher.connected)
            for size in (10, 300_000, 20):
                publisher.publish(Outgoing(topics.live(LAB, "router"), b"x" * size, 0))
                office.say(topics.ack(LAB, "visits"), b"y" * size)
                # More than we said that we take: the broker keeps it to itself.
                office.say(topics.ack(LAB, "visits"), b"z" * 600_000)
            await eventually(lambda: [len(item[1]) for item in office.live] == [10, 300_000, 20])
            await eventually(lambda: [len(item) for item in received] == [10, 300_000, 20])
        async with publishing(secure, ca_file=certificates / "other.pem") as publisher:
            await eventually(lambda: "verify failed" in publisher.last_error)
        async with publishing(broker.port, ca_file=certificates / "ca.pem") as publisher:
            await eventually(lambda: publisher.last_error != "")
        async with publishing(secure, ca_file=certificates / "ca.pem") as publisher:
            await eventually(lambda: publisher.last_error != "")
        async with publishing(secure, ca_file=tmp_path / "none.pem") as publisher:
            await eventually(lambda: "No such file" in publisher.last_error)


async def test_a_line_that_takes_nothing_is_congested_and_bounded(broker: Mosquitto) -> None:
    async with publishing(broker.port) as publisher:
        await eventually(lambda: publisher.connected)
        await asyncio.to_thread(broker.freeze)

        def refused(size: int) -> str:
            try:
                publisher.publish(Outgoing(topics.live(LAB, "router"), b"x" * size, 0))
            except ConnectionError as error:
                return str(error)
            return ""

        handed = 0
        while not (said := refused(500_000)):
            handed += 1
            await asyncio.sleep(0)
        assert "congested" in said
        assert handed < 3 * MAX_UNSENT
        await asyncio.to_thread(broker.thaw)
        await eventually(lambda: not refused(1))


async def test_a_silent_broker_is_noticed_by_the_keepalive(broker: Mosquitto) -> None:
    async with publishing(broker.port, keepalive_s=5) as publisher:
        changes: list[bool] = []
        publisher.listen(changes.append, lambda topic, payload: None)
        await eventually(lambda: publisher.connected)
        await asyncio.to_thread(broker.freeze)
        await eventually(lambda: not publisher.connected, seconds=30)
        await asyncio.to_thread(broker.thaw)
        await eventually(lambda: publisher.connected)
        assert changes == [True, False, True]


async def test_what_the_broker_says_at_the_end_is_passed_on(broker: Mosquitto) -> None:
    async with publishing(broker.port) as publisher:
        await eventually(lambda: publisher.connected)
        await asyncio.to_thread(broker.stop)
        await eventually(lambda: publisher.last_error != "")
        assert re.search("shutting down|refused|lost", publisher.last_error)
    async with impostor([CONNACK_OK, SUBACK_OK + DISCONNECT_TAKEN_OVER]) as port, publishing(port) as publisher:
        await eventually(lambda: "ended the connection: Session taken over" in publisher.last_error)


def puback(code: int, reason: str = "") -> bytes:
    """Return the answer to the first message after one subscription."""
    said = text(REASON, reason) if reason else b""
    return packet(0x40, b"\0\x02", bytes([code, len(said)]), said)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (puback(0x87, "not yours"), "refused a message on im/v1/lab-1/up/visits: Not authorized (not yours)"),
        (puback(0x97), "refused a message on im/v1/lab-1/up/visits: Quota exceeded"),
        (puback(0x99), "refused a message on im/v1/lab-1/up/visits: Payload format invalid"),
        (puback(0x10), "nobody listens to im/v1/lab-1/up/visits: the office is not at the broker"),
    ],
)
async def test_what_the_broker_makes_of_a_message_is_said_in_words(answer: bytes, said: str) -> None:
    async with impostor([CONNACK_OK, SUBACK_OK, answer]) as port, publishing(port) as publisher:
        await eventually(lambda: publisher.connected)
        publisher.publish(Outgoing(topics.up(LAB, "visits"), b"x", 1))
        await eventually(lambda: said in publisher.last_error)
        assert publisher.connected


async def test_a_refusal_is_forgotten_when_the_topic_is_taken_again(broker: Mosquitto) -> None:
    event = WireEvent("visit.closed", {"visit": "v"}, 1, 1)
    batch = encode_batch(Batch(LAB, "visits", "e1", "boot-1", 1, None, (event,)))[0]
    async with publishing(broker.port) as publisher:
        await eventually(lambda: publisher.connected)
        publisher.publish(Outgoing(topics.up(LAB, "visits"), batch, 1))
        await eventually(lambda: "nobody listens" in publisher.last_error)
        with SmallOffice(broker.host, broker.port) as office:
            publisher.publish(Outgoing(topics.presence(LAB), b'{"v":1,"state":"offline"}', 1))
            await eventually(lambda: len(office.presences) == 1)
            assert "nobody listens" in publisher.last_error
            user = (("ep", "e1"), ("s0", "1"), ("n", "1"))
            publisher.publish(Outgoing(topics.up(LAB, "visits"), batch, 1, content_type=CONTENT_TYPE, properties=user))
            await eventually(lambda: publisher.last_error == "")


async def test_no_more_is_under_way_than_the_broker_allows() -> None:
    answers = [connack(b"\x21\0\x02"), SUBACK_OK]
    async with impostor(answers) as port, publishing(port) as publisher:
        await eventually(lambda: publisher.connected)
        assert publisher.window == 2
        for _ in range(2):
            publisher.publish(Outgoing(topics.up(LAB, "visits"), b"x", 1))
        with pytest.raises(ConnectionError, match="has not confirmed"):
            publisher.publish(Outgoing(topics.up(LAB, "visits"), b"x", 1))
        publisher.publish(Outgoing(topics.live(LAB, "router"), b"x", 0))


async def test_the_size_of_a_packet_is_known_to_the_byte(tmp_path: Path) -> None:
    limit = 4_000
    with (
        Mosquitto(tmp_path, extra=f"max_packet_size {limit}") as broker,
        SmallOffice(broker.host, broker.port) as office,
    ):
        async with publishing(broker.port) as publisher:
            await eventually(lambda: publisher.connected)
            message = Outgoing(
                topics.live(LAB, "router"),
                b"",
                1,
                expiry_s=30,
                content_type="a/b",
                properties=(("n", "1"), ("ep", "x")),
            )
            largest = max(n for n in range(limit) if publisher.fits(replace(message, payload=b"x" * n)))
            with pytest.raises(TooLarge, match=rf"has {limit + 1} bytes, the broker takes {limit}"):
                publisher.publish(replace(message, payload=b"x" * (largest + 1)))
            assert "the broker takes 4000" in publisher.last_error
            publisher.publish(replace(message, payload=b"x" * largest))
            await eventually(lambda: [len(payload) for _, payload, _ in office.live] == [largest])
            await eventually(lambda: publisher.last_error == "")
            assert publisher.connected


async def test_two_cards_with_one_name_do_not_throw_each_other_out_in_a_circle(broker: Mosquitto) -> None:
    changes: list[bool] = []
    settings = {"retry_min_s": 0.05, "retry_max_s": 600.0}
    async with publishing(broker.port, **settings) as first:
        await eventually(lambda: first.connected)
        first.listen(changes.append, lambda topic, payload: None)
        async with publishing(broker.port, **settings) as second:
            await eventually(lambda: re.search("taken over|lost", first.last_error + second.last_error) is not None)
            # Each turn doubles the wait of the one that was thrown out: after a few, hours pass between them.
            await eventually(lambda: first.connected != second.connected)
            await asyncio.sleep(0.5)
            assert len(changes) < 12


def test_what_a_broker_may_say_in_its_connack_is_bounded() -> None:
    assert Allowance.of(None) == Allowance()
    wild = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    wild.MaximumPacketSize = 10
    wild.ReasonString = "line\nbreak " + "x" * 1_000
    assert Allowance.of(wild).takes(10)
    assert not Allowance.of(wild).takes(11)
    words = spoken(ReasonCode(PacketTypes.CONNACK, "Banned"), wild)
    assert words.startswith("Banned (linebreak x")
    assert len(words) < 250


@pytest.mark.parametrize(
    "answers",
    [
        [connack(b"\xff\x00")],
        [packet(0x20, b"\0\0", b"\x7f\x11")],
        [packet(0x20, b"\0")],
        [packet(0x20, b"\0\x63\x00")],
        [CONNACK_OK, packet(0x90, b"\0\1\x7f")],
        [CONNACK_OK, SUBACK_OK + packet(0x40, b"\x00")],
        [CONNACK_OK, SUBACK_OK + packet(0x40, b"\0\x02\x63\x00")],
        [CONNACK_OK, SUBACK_OK + packet(0xE0, b"\x63\x00")],
        [CONNACK_OK, SUBACK_OK + packet(0xE0, b"\x8b\x7f")],
        [CONNACK_OK, SUBACK_OK + packet(0x30, b"\x00\x50x")],
        [CONNACK_OK, SUBACK_OK + packet(0x32, b"\x00\x01a\0\1\x7f")],
        [CONNACK_OK, SUBACK_OK + b"\xff\xff\xff\xff\xff\xff"],
    ],
)
async def test_packets_that_are_malformed_end_the_connection_and_nothing_else(answers: list[bytes]) -> None:
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
    async with impostor(answers) as port, publishing(port, connect_timeout_s=0.5) as publisher:
        await eventually(lambda: publisher.last_error != "")
    assert unhandled == []
