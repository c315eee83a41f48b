# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Mosquitto as the authority sets it up: each lab has its own topics, and a revoked one none."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.domain.air import Outgoing
from edge.sync.publisher import MqttPublisher
from edge.sync.settings import SyncSettings
from office.broker import Authority
from office.broker.mosquitto import HEADERS, Listening
from office.broker.names import OFFICE
from office.config import BrokerSettings
from office.ingest import Ingest
from office.ingest.link import BrokerLink
from office.ingest.share import ingest_filter
from office.ledger import Ledger, reading
from tests.integration.test_relay import van
from tests.support.air import eventually
from tests.support.facts import headcount, metric, session
from tests.support.secured_broker import Client, SecuredBroker
from wire import topics
from wire.batch import MAX_PAYLOAD

LAB, OTHER = "lab-1", "lab-2"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SecuredBroker]:
    with SecuredBroker(tmp_path, (LAB, OTHER)) as running:
        yield running


@pytest.fixture
def office(broker: SecuredBroker) -> Iterator[Client]:
    with broker.client(OFFICE, "office-1") as running:
        assert running.connect() == "Success"
        yield running


@pytest.fixture
def lab(broker: SecuredBroker) -> Iterator[Client]:
    with broker.client(LAB) as running:
        assert running.connect() == "Success"
        yield running


def until(client: Client, count: int) -> list[tuple[str, bytes]]:
    """Return what `client` received once it is so much."""
    deadline = time.monotonic() + 15
    while len(client.received) < count:
        assert time.monotonic() < deadline, client.received
        time.sleep(0.005)
    return client.received


ALL_CHANNELS = ("up/visits", "up/metrics", "live/router", "presence", "ack/visits", "cmd/hello")
WRITES_OWN = ("up/visits", "up/metrics", "live/router", "presence")


def test_a_lab_writes_what_is_its_own_and_nothing_else(lab: Client) -> None:
    said = {channel: lab.publish(f"im/v1/{LAB}/{channel}") for channel in ALL_CHANNELS}
    assert {channel for channel, answer in said.items() if "Not authorized" not in answer} == set(WRITES_OWN)
    others = [f"im/v1/{OTHER}/{channel}" for channel in ALL_CHANNELS]
    others += [f"im/v1/{OFFICE}/up/visits", "im/v1/up/visits", f"im/v2/{LAB}/up/visits", "x", f"x/im/v1/{LAB}/presence"]
    others += [f"im/v1/{LAB}/up/anything", f"im/v1/{LAB}/up/visits/more", f"im/v1/{LAB}", "$SYS/broker/x"]
    assert {lab.publish(topic) for topic in others} == {"Not authorized"}


def test_a_lab_reads_what_is_meant_for_it_and_nothing_else(broker: SecuredBroker, lab: Client, office: Client) -> None:
    with broker.client(OTHER) as other:
        assert other.connect() == "Success"
        for topic in ("#", "im/v1/#", "$SYS/#", f"im/v1/{OTHER}/#", f"im/v1/{OTHER}/ack/visits"):
            lab.subscribe(topic)
        for channel in ALL_CHANNELS:
            other.publish(f"im/v1/{OTHER}/{channel}", retain=channel == "presence")
            lab.publish(f"im/v1/{LAB}/{channel}")
            office.publish(f"im/v1/{OTHER}/{channel}")
        office.publish(f"im/v1/{LAB}/ack/visits", b"mine")
        office.publish(f"im/v1/{LAB}/cmd/hello", b"mine, too")
        # Twice, for it asked by two filters; after it nothing else can be on the way.
        got = set(until(lab, 4))
        lab.subscribe(f"im/v1/{OTHER}/presence")  # which is retained
        office.publish(f"im/v1/{LAB}/ack/safety", b"last")
        until(lab, 6)
    assert got == {(f"im/v1/{LAB}/ack/visits", b"mine"), (f"im/v1/{LAB}/cmd/hello", b"mine, too")}
    assert set(lab.received) - got == {(f"im/v1/{LAB}/ack/safety", b"last")}


def test_the_office_reads_all_labs_and_writes_answers_alone(broker: SecuredBroker, lab: Client, office: Client) -> None:
    office.subscribe("#")
    with broker.client(OTHER) as other:
        assert other.connect() == "Success"
        for name, client in ((LAB, lab), (OTHER, other)):
            for channel in WRITES_OWN:
                client.publish(f"im/v1/{name}/{channel}")
    wanted = {f"im/v1/{name}/{channel}" for name in (LAB, OTHER) for channel in WRITES_OWN}
    assert {topic for topic, _ in until(office, len(wanted))} == wanted
    written = {channel for channel in ALL_CHANNELS if "Not" not in office.publish(f"im/v1/{LAB}/{channel}")}
    assert written == {"ack/visits", "cmd/hello"}
    assert {office.publish(topic) for topic in ("x", "im/v1/x", f"im/v1/{OFFICE}/up/visits")} == {"Not authorized"}


def test_a_will_is_bound_by_the_same_rights(broker: SecuredBroker, office: Client) -> None:
    office.subscribe("im/v1/+/presence")
    for topic in (f"im/v1/{OTHER}/presence", f"im/v1/{LAB}/presence"):
        with broker.client(LAB) as client:
            client.will(topic)
            assert client.connect() == "Success"
            client.break_off()
            assert client.ended.wait(15)
    assert until(office, 1) == [(f"im/v1/{LAB}/presence", b"gone")]


async def test_a_card_and_its_copy_are_both_heard_with_one_certificate(broker: SecuredBroker, office: Client) -> None:
    await asyncio.to_thread(office.subscribe, "im/v1/+/up/+")
    files = broker.files(LAB)
    async with saying(broker, "0a" * 16, **files) as card, saying(broker, "0b" * 16, **files) as copy:
        await eventually(lambda: card.connected and copy.connected)
        for payload, publisher in ((b"card", card), (b"copy", copy)):
            publisher.publish(Outgoing(topics.up(LAB, "visits"), payload, 1))
        got = await asyncio.to_thread(until, office, 2)
        assert {payload for _, payload in got} == {b"card", b"copy"}
        assert card.connected
        assert copy.connected


def test_nobody_takes_over_the_connection_of_a_lab_by_its_name(broker: SecuredBroker, lab: Client) -> None:
    for name in (LAB, f"infomobil-{LAB}"):
        with broker.client(OTHER, client_id=name) as other:
            assert other.connect() == "Success"
            assert "Not authorized" not in lab.publish(f"im/v1/{LAB}/up/visits")
            assert "Not authorized" not in other.publish(f"im/v1/{OTHER}/up/visits")
            assert not lab.ended.is_set()


def test_workers_of_the_office_share_a_certificate_and_each_has_its_connection(
    broker: SecuredBroker, office: Client, lab: Client
) -> None:
    with broker.client(OFFICE, "office-2") as second:
        assert second.connect() == "Success"
        for worker in (office, second):
            worker.subscribe("$share/ingest/im/v1/+/up/+")
        for number in range(20):
            lab.publish(f"im/v1/{LAB}/up/visits", b"%d" % number)
        deadline = time.monotonic() + 15
        while len(office.received) + len(second.received) < 20:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert len(office.received) == len(second.received) == 10


def test_a_lab_that_listens_in_the_usual_group_takes_nothing_from_the_office(
    broker: SecuredBroker, office: Client, lab: Client
) -> None:
    settings = BrokerSettings(**broker.files(OFFICE))  # type: ignore[arg-type]  # paths by name
    assert ingest_filter(BrokerSettings()) == topics.INGEST_FILTER
    group = ingest_filter(settings)
    assert topics.INGEST_FILTER.partition("/im/")[2] == group.partition("/im/")[2]
    office.subscribe(group)
    with broker.client(OTHER) as thief:
        assert thief.connect() == "Success"
        for topic in (topics.INGEST_FILTER, "$share/ingest/#", "$share/+/im/v1/+/up/+", "$share/#"):
            thief.try_to_subscribe(topic)
        for number in range(20):
            lab.publish(f"im/v1/{LAB}/up/visits", b"%d" % number)
        assert len(until(office, 20)) == 20
        assert thief.received == []


def test_whoever_sends_too_much_at_once_is_disconnected(broker: SecuredBroker, lab: Client) -> None:
    assert "Not" not in lab.publish(f"im/v1/{LAB}/up/visits", bytes(MAX_PAYLOAD))
    assert lab.publish(f"im/v1/{LAB}/up/visits", bytes(MAX_PAYLOAD + HEADERS)).startswith("ended")


async def test_a_lab_for_which_there_is_no_room_says_so_and_comes_when_there_is(tmp_path: Path) -> None:
    with SecuredBroker(tmp_path, (LAB, OTHER), connections=1) as broker:
        with broker.client(OTHER) as other:
            assert await asyncio.to_thread(other.connect) == "Success"
            async with saying(broker, **broker.files(LAB)) as publisher:
                await eventually(lambda: publisher.last_error != "")
                assert "it has no room for more labs" in publisher.last_error
                await asyncio.to_thread(other.leave)
                await eventually(lambda: publisher.connected)


def test_presence_outlives_a_restart_of_the_broker(broker: SecuredBroker, lab: Client) -> None:
    lab.publish(f"im/v1/{LAB}/presence", b"here", retain=True)
    broker.stop()
    broker.start()
    with broker.client(OFFICE, "office-2") as office:
        assert office.connect() == "Success"
        office.subscribe("im/v1/+/presence")
        assert until(office, 1) == [(f"im/v1/{LAB}/presence", b"here")]


def test_a_revocation_takes_effect_at_the_reload_for_the_living_connection_too(
    broker: SecuredBroker, lab: Client, office: Client
) -> None:
    lab.subscribe(f"im/v1/{LAB}/ack/+")
    broker.authority.revoke(LAB, "lost")
    assert "Not authorized" not in lab.publish(f"im/v1/{LAB}/up/visits")
    broker.reload()
    # Mosquitto keeps the connection; it is worth nothing any more.
    assert lab.publish(f"im/v1/{LAB}/up/visits") == "Not authorized"
    assert "Not authorized" not in office.publish(f"im/v1/{LAB}/ack/visits")
    with broker.client(LAB) as again:
        assert "Success" not in again.connect()
    with broker.client(OTHER) as other:
        assert other.connect() == "Success"
    # With a new certificate the lab is back after a restart, which ends the connection of the old one.
    broker.authority.issue(LAB)
    broker.stop()
    broker.start()
    assert lab.ended.wait(15)
    with broker.client(LAB) as newer:
        assert newer.connect() == "Success"
        assert "Not authorized" not in newer.publish(f"im/v1/{LAB}/up/visits")
    assert lab.received == []


def test_many_revocations_in_one_second_all_take_effect(broker: SecuredBroker) -> None:
    names = [f"van-{number}" for number in range(4)]
    for name in names:
        broker.authority.issue(name)
        broker.authority.revoke(name)
        broker.reload()
        with broker.client(name) as client:
            assert "Success" not in client.connect()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_broker_speaks_tls_of_1_2_and_later(broker: SecuredBroker, version: ssl.TLSVersion) -> None:
    files = broker.files(LAB)
    context = ssl.create_default_context(cafile=files["ca_file"])
    context.load_cert_chain(files["cert_file"], files["key_file"])
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((broker.host, broker.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.version() == version.name.replace("_", ".")


def test_the_broker_speaks_no_tls_before_1_2(broker: SecuredBroker) -> None:
    context = ssl.create_default_context(cafile=broker.files(LAB)["ca_file"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((broker.host, broker.port)) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


@asynccontextmanager
async def saying(broker: SecuredBroker, epoch: str = "", **files: Path) -> AsyncIterator[MqttPublisher]:
    """Run the lab's publisher with some files."""
    settings = {"host": "localhost", "port": broker.port, "retry_min_s": 0.05, "retry_max_s": 0.1, **files}
    publisher = MqttPublisher(SyncSettings.model_validate(settings), LAB, epoch)
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=4 * 365)


def _revoked(broker: SecuredBroker, _folder: Path) -> dict[str, Path]:
    broker.authority.revoke(LAB)
    broker.reload()
    return broker.files(LAB)


def _expired(broker: SecuredBroker, _folder: Path) -> dict[str, Path]:
    Authority(broker.authority.folder, long_ago).issue("lab-3")
    return broker.files("lab-3")


def _foreign(broker: SecuredBroker, folder: Path) -> dict[str, Path]:
    foreign = Authority(folder / "foreign")
    foreign.init(("localhost",), Listening(folder))
    issued = foreign.issue(LAB)
    own = broker.files(LAB)
    return {"ca_file": own["ca_file"], "cert_file": issued / f"{LAB}.pem", "key_file": issued / f"{LAB}.key"}


def _none(broker: SecuredBroker, _folder: Path) -> dict[str, Path]:
    return {"ca_file": broker.files(LAB)["ca_file"]}


def _servers(broker: SecuredBroker, _folder: Path) -> dict[str, Path]:
    folder = broker.authority.broker_folder
    return {"ca_file": folder / "ca.pem", "cert_file": folder / "server.pem", "key_file": folder / "server.key"}


def _false_broker(_broker: SecuredBroker, folder: Path) -> dict[str, Path]:
    foreign = Authority(folder / "foreign")
    foreign.init(("localhost",), Listening(folder))
    issued = foreign.issue(LAB)
    return {"ca_file": issued / "ca.pem", "cert_file": issued / f"{LAB}.pem", "key_file": issued / f"{LAB}.key"}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_revoked, "the broker refused our certificate: it was revoked"),
        (_expired, "the broker refused our certificate: it has expired"),
        (_foreign, "the broker refused our certificate: another authority issued it"),
        (_none, "the broker wants a certificate: set cert_file and key_file"),
        (_servers, "the broker refused our certificate: it is not one for labs"),
        (_false_broker, "certificate verify failed"),
    ],
)
async def test_a_lab_is_told_why_it_is_refused(broker: SecuredBroker, tmp_path: Path, made: object, said: str) -> None:
    assert callable(made)
    files = await asyncio.to_thread(made, broker, tmp_path)
    async with saying(broker, **files) as publisher:
        await eventually(lambda: publisher.last_error != "")
        for _ in range(5):  # at every attempt the same
            assert said in publisher.last_error
            await asyncio.sleep(0.05)
        assert not publisher.connected
        with pytest.raises(ConnectionError):
            publisher.publish(Outgoing(topics.up(LAB, "visits"), b"", 1))


def _no_office(broker: SecuredBroker, _folder: Path) -> dict[str, Path]:
    broker.authority.revoke(OFFICE)
    broker.reload()
    return broker.files(OFFICE)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_no_office, "it refused our certificate: it was revoked"),
        (_expired, "it refused our certificate: it has expired"),
        (_foreign, "it refused our certificate: another authority issued it"),
        (_none, "it wants a certificate: set cert_file and key_file"),
        (_servers, "it refused our certificate: it is not one for the office"),
        (_false_broker, "certificate verify failed"),
    ],
)
async def test_the_office_tells_why_it_is_refused(
    broker: SecuredBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture, made: object, said: str
) -> None:
    assert callable(made)
    files = await asyncio.to_thread(made, broker, tmp_path)
    settings = {**office_settings(broker).model_dump(), "cert_file": None, "key_file": None, **files}
    link = BrokerLink(BrokerSettings.model_validate(settings), lambda message, handle: None)
    task = asyncio.create_task(link.run())
    try:
        await eventually(lambda: "is away" in caplog.text)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert said in caplog.text
    assert not link.connected


async def test_a_lab_with_the_certificate_of_another_is_told_and_keeps_its_facts(
    broker: SecuredBroker, tmp_path: Path, office: Client
) -> None:
    await asyncio.to_thread(office.subscribe, "im/v1/#")
    files: dict[str, object] = dict(broker.files(OTHER))
    async with van(tmp_path, broker, **files) as lab:
        await lab.count(headcount(5))
        await eventually(lambda: f"a message on im/v1/{LAB}/" in lab.relay.status().last_error)
        assert "Not authorized" in lab.relay.status().last_error
        assert lab.waiting == 1
    assert office.received == []


def office_settings(broker: SecuredBroker) -> BrokerSettings:
    files: dict[str, object] = dict(broker.files(OFFICE))
    more = {"host": "localhost", "port": broker.office_port, "tls": True, "retry_first": 0.05, "retry_longest": 0.2}
    return BrokerSettings.model_validate(files | more)


@asynccontextmanager
async def ingesting(broker: SecuredBroker, folder: Path) -> AsyncIterator[tuple[Ingest, Ledger]]:
    """Run the office's intake over the secured broker."""
    ledger = Ledger(f"sqlite:///{folder / 'office.sqlite3'}")
    ingest = Ingest(office_settings(broker), ledger)
    task = asyncio.create_task(ingest.run())
    try:
        yield ingest, ledger
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        await ledger.close()
        assert isinstance(outcome, asyncio.CancelledError), outcome


async def test_the_whole_way_from_the_outbox_to_the_ledger_over_certificates(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    files: dict[str, object] = dict(broker.files(LAB))
    async with ingesting(broker, tmp_path) as (ingest, ledger), van(tmp_path, broker, **files) as lab:
        await asyncio.wait_for(ingest.wait_connected(), 15)
        await lab.count(headcount(25), *(session(number) for number in range(1_200)), *map(metric, range(700)))
        await eventually(lambda: lab.relay.status().acknowledged is not None and lab.waiting == 0)
        assert (await ledger.read(reading.totals)).ledger == 25
        # A lab that is revoked keeps what it counts, is told why, and sends it with its next certificate.
        await asyncio.to_thread(broker.authority.revoke, LAB)
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        await lab.count(headcount(5))
        await eventually(lambda: "it was revoked" in lab.relay.status().last_error)
        await eventually(lambda: lab.waiting == 1)
        await asyncio.to_thread(broker.authority.issue, LAB)
        await asyncio.to_thread(broker.reload)
        await eventually(lambda: lab.waiting == 0)
        assert (await ledger.read(reading.totals)).ledger == 30
