# SPDX-License-Identifier: GPL-3.0-or-later
"""Two that write into one PostgreSQL wait for each other, never in a circle; and what is committed stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from office.ledger import keys
from office.ledger.database import Database
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.writer import record
from tests.support.lineage import came, started
from tests.support.office import NOW_NS, Postgres, Sender, presence

pytest_plugins = ("tests.support.office_fixtures",)

KEY, OTHER = "a1" * 32, "b2" * 32
DEADLINE_S = 20.0


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def one(url: str) -> Iterator[Database]:
    opened = connect(url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def other(url: str) -> Iterator[Database]:
    opened = connect(url)
    yield opened
    opened.close()


def wait_for_a_lock(url: str) -> None:
    """Return once a connection to the database waits for a row of another one."""
    sql = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    end = time.monotonic() + DEADLINE_S
    with psycopg.connect(url, autocommit=True) as looking:
        while looking.execute(sql).fetchone() is None:
            assert time.monotonic() < end, "nobody waits"
            time.sleep(0.01)


def beside(database: Database, work: Callable[[], object], pool: ThreadPoolExecutor) -> Future[None]:
    def run() -> None:
        with database.transaction(write=True):
            work()

    return pool.submit(run)


def test_an_alarm_at_a_feed_that_another_worker_writes_does_not_wait_for_it(
    url: str, one: Database, other: Database
) -> None:
    for epoch, number, before in (("e1", 1, None), ("f2", 2, "e1")):
        record(one, [came(Sender(stream="safety", epoch=epoch), [started(number, before)], NOW_NS)], NOW_NS)
    feed = "select id from feed where lab = 'van-1' and stream = 'safety' and epoch = 'f2'" + one.for_update
    lab = "update lab set duplicates = duplicates + 1 where lab = 'van-1'"
    with ThreadPoolExecutor(1) as pool:
        with one.transaction(write=True):
            one.query(lab)
            done = beside(other, lambda: (other.query(feed), other.query(lab)), pool)
            wait_for_a_lock(url)
            (number,) = one.query("select id from feed where lab = 'van-1' and stream = 'safety' and epoch = 'f2'")[0]
            one.query(
                "insert into alarm (feed, kind, first, detail, received_ns) values (?, 'clone x', 0, '', ?)",
                (number, NOW_NS),
            )
        done.result(DEADLINE_S)


def test_a_key_that_is_taken_while_the_lab_says_another_one(url: str, one: Database, other: Database) -> None:
    record(one, [presence(key=KEY)], NOW_NS)
    record(one, [presence(key=OTHER)], NOW_NS)
    with ThreadPoolExecutor(1) as pool:
        with one.transaction(write=True):
            # As where a lab is heard: first its key, then the doubt.
            one.query("select key, said from lab_key where lab = 'van-1'" + one.for_update)
            done = beside(other, lambda: keys.trust(other, "ona", "van-1", OTHER, NOW_NS), pool)
            wait_for_a_lock(url)
            one.query("delete from doubt where lab = 'van-1' and kind = 'key'")
        done.result(DEADLINE_S)
    with one.transaction(write=False):
        assert keys.key_of(one, "van-1") == OTHER


def test_a_commit_is_on_the_disk_whatever_the_server_was_told(url: str, one: Database) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(f"alter database {name} set synchronous_commit to off")
    one.close()
    with one.transaction(write=False):
        assert one.query("show synchronous_commit") == [("on",)]
