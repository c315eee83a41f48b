# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the office stand on: a private PostgreSQL, ledgers on both databases, and labs that send."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from edge.domain.events import Event
from office import intake
from office.facts import Item, Message
from wire import topics
from wire.batch import Batch, Presence, Scalar, WireEvent
from wire.codec import encode_batch, encode_presence

POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
NOW_NS = 1_900_000_000_000_000_000


class Postgres:
    """A PostgreSQL cluster of our own, reachable by a socket in its own folder only."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="im-pg-"))
        self._numbers = itertools.count(1)
        self._user: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses= -k {self.folder} -c fsync=off -c max_connections=40"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"office{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._user, str(POSTGRES_BIN / program), *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def headcount(visit: str, count: int, role: str = "pupil", group: str = "5a") -> WireEvent:
    reason = "counted twice" if count < 0 else ""
    body: dict[str, Scalar] = {"visit": visit, "group": group, "role": role, "count": count, "reason": reason}
    return WireEvent("visit.headcount", body, 5_000_000_000, NOW_NS)


def opened(visit: str, school: str = "Vilniaus gimnazija", date: str = "2026-03-02", expected: int = 25) -> WireEvent:
    body: dict[str, Scalar] = {
        "visit": visit,
        "school": school,
        "municipality": "Vilnius",
        "date": date,
        "group": "5a",
        "expected": expected,
        "language": "lt",
    }
    return WireEvent("visit.opened", body, 4_000_000_000, NOW_NS)


def closed(visit: str) -> WireEvent:
    return WireEvent("visit.closed", {"visit": visit}, 9_000_000_000, NOW_NS)


def tap(session: str, visit: str | None = None) -> WireEvent:
    body: dict[str, Scalar] = {"session": session, "kiosk": "k1", "language": "lt", "visit": visit}
    return WireEvent("kiosk.session", body, 6_000_000_000, NOW_NS)


def job(name: str, state: str, **more: Scalar) -> WireEvent:
    body: dict[str, Scalar] = {
        "job": name,
        "claim": 7,
        "machine": "router",
        "program": "gear",
        "origin": "kiosk",
        "state": state,
        **more,
    }
    return WireEvent("job.changed", body, 7_000_000_000, NOW_NS)


def watched(event: Event) -> WireEvent:
    """Return a fact of the edge's own tests as it goes over the wire."""
    return WireEvent(event.type.value, dict(event.body), 8_000_000_000, NOW_NS)


@dataclass
class Sender:
    """A lab's end of one feed: cuts batches, chains them, gives them as the office's broker would."""

    lab: str = "van-1"
    stream: str = "visits"
    epoch: str = "e1"
    boot: str = "b1"
    next_seq: int = 1
    prev: bytes | None = None
    sent: list[bytes] = field(default_factory=list)

    def payload(self, events: Sequence[WireEvent]) -> bytes:
        batch = Batch(self.lab, self.stream, self.epoch, self.boot, self.next_seq, self.prev, tuple(events))
        payload, self.prev = encode_batch(batch)
        self.next_seq += len(events)
        self.sent.append(payload)
        return payload

    def batch(self, *events: WireEvent) -> Item:
        """Return the next batch as the intake reads it."""
        return self.read(self.payload(events))

    def read(self, payload: bytes) -> Item:
        return intake.read(self.message(payload))

    def message(self, payload: bytes) -> Message:
        return message(topics.up(self.lab, self.stream), payload)


def message(topic: str, payload: bytes, received_ns: int = NOW_NS) -> Message:
    return Message(topic, payload, len(payload), received_ns)


def presence(lab: str = "van-1", *, received_ns: int = NOW_NS, **facts: object) -> Item:
    """Return an online lab's presence as the intake reads it."""
    word = Presence(lab, "online", "b1", str(facts.pop("epoch", "e1")), "1.0", "c0ffee", **facts)  # type: ignore[arg-type]
    return intake.read(message(topics.presence(lab), encode_presence(word), received_ns))
