# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated fleet talks to: a real Mosquitto, a real PostgreSQL that writes to the disk, the real office.

Each in processes of its own, so that the kernel says what processor time each has taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from benchmarks.fleet_mqtt import connect
from office.broker import Authority, Kind, certificates
from office.broker.mosquitto import Listening
from tests.hardware_sim.lab.ports import free_port
from tests.hardware_sim.lab.processes import NotReady, Process, find
from tests.support.office import Postgres
from wire import topics
from wire.batch import Batch, WireEvent
from wire.codec import encode_batch

TICKS = os.sysconf("SC_CLK_TCK")
PROBE = "fleet-probe"
SEVERAL_S = 2.0


class DurablePostgres(Postgres):
    """A cluster that waits for the disk at each commit, as one in an office does."""

    def start(self) -> None:
        """Start, with the durability that PostgreSQL has by default."""
        options = f"-c listen_addresses= -k {self.folder} -c max_connections=40 -c shared_buffers=256MB"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    @property
    def pid(self) -> int:
        """Return the process id of the postmaster."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])


def _facts_of(pid: int) -> tuple[int, float] | None:
    """Return the parent of a process and the processor seconds of it and of its ended children; None where it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def cpu_s(root: int) -> float:
    """Return the processor time, s, of a process and all below it since their starts."""
    known = {int(one): facts for one in os.listdir("/proc") if one.isdigit() and (facts := _facts_of(int(one)))}
    below, found = {root}, 0.0
    for _ in range(4):
        below |= {pid for pid, (parent, _) in known.items() if parent in below}
    for pid in below & known.keys():
        found += known[pid][1]
    return found


def resident_mb(pid: int) -> float:
    """Return the resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class World:
    """Broker, office and database while they run. contexts holds a lab's certificates by its name; empty: no TLS."""

    port: int
    broker: Process
    office: Process
    postgres: DurablePostgres
    database: str
    contexts: dict[str, ssl.SSLContext]

    def used(self) -> dict[str, float]:
        """Return the processor seconds of each part so far."""
        parts = {"broker": self.broker.pid, "office": self.office.pid, "PostgreSQL": self.postgres.pid}
        return {name: cpu_s(pid) for name, pid in parts.items()}

    def count(self) -> int:
        """Return the number of facts in the ledger."""
        return self.ask("select count(*) from event")

    def size(self) -> int:
        """Return the bytes that the database has on the disk."""
        return self.ask("select pg_database_size(current_database())")

    def ask(self, question: str) -> int:
        """Return the one number that PostgreSQL answers."""
        with psycopg.connect(self.database) as connection:
            row = connection.execute(question.encode()).fetchone()
        assert row is not None
        return int(row[0])

    async def heard(self) -> None:
        """Return once the office listens at the broker; raises TimeoutError after 30 s."""
        async with asyncio.timeout(30):
            while not await self._probe():  # noqa: ASYNC110 - it is asked over the network
                await asyncio.sleep(0.05)

    async def _probe(self) -> bool:
        acknowledged = asyncio.Event()
        context = self.contexts.get(PROBE)
        try:
            client = await connect(self.port, PROBE, lambda topic, payload: acknowledged.set(), tls=context)
        except OSError:
            return False
        try:
            await client.subscribe(topics.ack_filter(PROBE))
            client.publish(topics.up(PROBE, "visits"), _probe_batch())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(acknowledged.wait(), 0.5)
        except OSError:
            return False
        finally:
            client.close()
        return acknowledged.is_set()


def _probe_batch() -> bytes:
    tap = WireEvent("kiosk.session", {"session": "s1", "kiosk": "k1", "language": "lt"}, 1, 1)
    return encode_batch(Batch(PROBE, "visits", "e1", "b1", 1, None, (tap,)))[0]


@asynccontextmanager
async def world(folder: Path, labs: Sequence[str], *, secured: bool, workers: int) -> AsyncIterator[World]:
    """Run broker, PostgreSQL and office. secured: with the configuration and certificates that the office makes.

    Without, one listener without TLS for labs that share connections, with the same limits. Raises NotReady, OSError.
    """
    port, office_port = free_port(), free_port()
    (folder / "state").mkdir(parents=True)
    if secured:
        lines, contexts, settings = _secured(folder, labs, port, office_port)
    else:
        lines, contexts, settings = _open(port), {}, f'host = "127.0.0.1"\nport = {port}\n'
    config = folder / "mosquitto.conf"
    config.write_text(lines)
    mosquitto = find("mosquitto")
    if mosquitto is None:
        raise NotReady("mosquitto is not installed")

    def listens(at: int) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", at), timeout=0.2).close()
            return True
        return False

    async def broker_ready() -> bool:
        return listens(port) and (not secured or listens(office_port))

    http = free_port()

    async def office_ready() -> bool:
        return listens(http)

    postgres = await asyncio.to_thread(DurablePostgres)
    try:
        database = postgres.new_database()
        several = f"[ingest]\nworkers = {workers}\n" if workers > 1 else ""
        toml = f'database = "{database}"\n[http]\nport = {http}\n{several}[broker]\nretry_first = 0.05\n{settings}'
        (folder / "office.toml").write_text(toml)
        broker = Process("broker", [mosquitto, "-c", str(config)], folder / "broker.log", broker_ready)
        office = Process(
            "office",
            [sys.executable, "-m", "office", "run", "--config", str(folder / "office.toml")],
            folder / "office.log",
            office_ready,
        )
        made = World(port, broker, office, postgres, database, contexts)
        try:
            await broker.start()
            await office.start()
            await made.heard()
            if workers > 1:
                await asyncio.sleep(SEVERAL_S)
            yield made
        finally:
            await office.stop()
            await broker.stop()
    finally:
        await asyncio.to_thread(postgres.remove)


def _open(port: int) -> str:
    return (
        "user root\npersistence false\nallow_anonymous true\nmax_inflight_messages 256\nmax_queued_messages 20000\n"
        f"max_queued_bytes 268435456\nset_tcp_nodelay true\nlistener {port} 127.0.0.1\n"
    )


def _secured(
    folder: Path, labs: Sequence[str], port: int, office_port: int
) -> tuple[str, dict[str, ssl.SSLContext], str]:
    authority = Authority(folder / "broker")
    place = authority.broker_folder
    at = Listening(place, folder / "state", port, "127.0.0.1", office_port, connections=len(labs) + 100)
    authority.init(("localhost", "127.0.0.1"), at)
    files = "".join(
        f'{key} = "{folder}/broker/office/{name}"\n'
        for key, name in (("ca_file", "ca.pem"), ("cert_file", "office.pem"), ("key_file", "office.key"))
    )
    settings = f'host = "localhost"\nport = {office_port}\ntls = true\n{files}'
    contexts = _contexts(folder, [PROBE, *labs])
    return f"user root\n{(place / 'mosquitto.conf').read_text()}", contexts, settings


def _contexts(folder: Path, labs: Sequence[str]) -> dict[str, ssl.SSLContext]:
    """Return a certificate of its own for each lab. They share a key, and the register is left out: it is a bench."""
    own = x509.load_pem_x509_certificate((folder / "broker/ca.pem").read_bytes())
    own_key = load_pem_private_key((folder / "broker/ca.key").read_bytes(), None)
    key, now = certificates.new_key(), datetime.now(UTC)
    both = folder / "lab.pem"
    found = {}
    for lab in labs:
        made = certificates.issue(Kind.LAB, lab, (lab,), key, own, own_key, now)  # type: ignore[arg-type]  # P-256
        both.write_bytes(certificates.key_pem(key) + certificates.pem(made))
        found[lab] = context = ssl.create_default_context(cafile=str(folder / "broker/ca.pem"))
        context.load_cert_chain(both)
    return found
