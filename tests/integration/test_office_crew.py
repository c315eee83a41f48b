# SPDX-License-Identifier: GPL-3.0-or-later
"""Several ingest workers on one shared subscription, as processes, on PostgreSQL: nothing lost, nothing twice."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from office.config import BrokerSettings, IngestSettings, OfficeSettings, load
from office.errors import ConfigInvalid
from office.ingest import Crew, crew
from office.ledger import Ledger, reading
from tests.hardware_sim.lab.ports import free_port
from tests.integration.test_office_ingest import Lab
from tests.support.broker import Mosquitto
from tests.support.office import Sender, headcount, job, tap
from wire.batch import Presence

pytest_plugins = ("tests.support.office_fixtures",)
pytestmark = pytest.mark.timeout(240)

DEADLINE_S = 100
"""For processes that start while others keep both cores busy."""


async def until(condition, what="the awaited never came"):
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(what) from None


async def acked(lab, watermark):
    await until(lambda: any(ack.watermark >= watermark for ack in lab.acks), f"no ack up to {watermark}")


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path) as running:
        yield running


def settings(url, port, workers=3):
    return OfficeSettings(
        database=url,
        broker=BrokerSettings(port=port, retry_first=0.02, retry_longest=0.05),
        ingest=IngestSettings(workers=workers),
        log_level="warning",
    )


@contextlib.asynccontextmanager
async def working(postgres, port, workers=3):
    """A crew that is up, with its ledger."""
    wanted = settings(postgres.new_database(), port, workers)
    ledger = Ledger(wanted.database)
    running = Crew(wanted, ledger)
    task = asyncio.create_task(running.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not (running.connected and running.figures.workers == workers):
                await asyncio.sleep(0.02)
        yield running, ledger
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await ledger.close()


def gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()


def start_office(config):
    command = [sys.executable, "-m", "office", "run", "-c", str(config)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


async def send_until_acked(lab, payloads, stream="visits"):
    """Send as a lab does: a window above the highest watermark, and again where no ack comes for some seconds.

    Whoever sends again at once buries a slow office under copies of what it has not come to yet.
    """
    sent, again = -1, 0.0
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(DEADLINE_S):
        while True:
            mark = max((ack.watermark for ack in lab.acks if ack.stream == stream), default=0)
            if mark >= len(payloads):
                return
            if mark >= sent or clock() >= again:
                for payload in payloads[mark : mark + 20]:
                    lab.send(payload, stream)
                sent, again = mark + 20, clock() + 3.0
            await asyncio.sleep(0.05)


async def test_many_labs_and_one_feed_shared_by_all_workers(broker, postgres):
    async with working(postgres, broker.port) as (running, ledger):
        labs = [Lab(broker, f"van-{n}") for n in range(3)]
        feeds = [Sender(lab.name) for lab in labs]
        payloads = [[feed.payload([headcount("v1", 1), tap(f"s{n}", "v1")]) for n in range(60)] for feed in feeds]
        for lab, mine in zip(labs, payloads, strict=True):
            await lab.ready()
            for payload in mine[::-1] + mine:
                lab.send(payload)
        for lab in labs:
            await acked(lab, 120)
        await until(lambda: running.figures.new + running.figures.duplicates >= 360 + 180)
        told = running.figures
        assert (told.new, told.duplicates, told.rejected, told.dropped) == (360, 180, 0, 0)
        for lab in labs:
            for ack in lab.acks:
                # However the workers' acks pass each other: none says more than is in the ledger, none names
                # what it says it has, and the highest is the whole.
                assert 0 <= ack.watermark <= 120
                assert all(ack.watermark < first <= last <= 120 for first, last in ack.missing)
            lab.close()
        assert (await ledger.read(reading.totals)).ledger == 180
        checked = await ledger.check()
        assert (checked.good, checked.sentences()) == (True, [])


async def test_a_lab_is_online_once_however_many_workers_there_are(broker, postgres):
    async with working(postgres, broker.port, 2) as (running, ledger):
        lab = Lab(broker)
        await lab.ready()
        lab.say(
            Presence(
                "van-1",
                "online",
                "b1",
                "e1",
                "1.0",
                "c0ffee",
                totals={"e1": {"people": 7, "corrected": 0, "sessions": 0}},
            )
        )
        await until(lambda: running.figures.received == 1)
        async with asyncio.timeout(DEADLINE_S):
            while (await ledger.read(reading.totals)).reached != 7:
                await asyncio.sleep(0.02)
        lab.close()


async def test_kill_9_of_workers_loses_and_doubles_nothing(broker, postgres, monkeypatch, caplog):
    monkeypatch.setattr(crew, "RESTART_FIRST_S", 0.05)
    async with working(postgres, broker.port, 2) as (running, ledger):
        lab, shop = Lab(broker), Lab(broker)
        feed, jobs = Sender(), Sender(stream="jobs")
        await lab.ready()
        await shop.ready()
        visits = [feed.payload([headcount("v1", 1)]) for _ in range(150)]
        made = [jobs.payload([job(f"j{n}", "FINISHED")]) for n in range(150)]
        sending = asyncio.gather(send_until_acked(lab, visits), send_until_acked(shop, made, "jobs"))
        killed = 0
        for number in (1, 2, 1):
            await until(lambda: running.figures.workers >= 1, "no worker came back")
            pid = running.pids.get(number)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed += 1
                await until(lambda pid=pid: pid not in running.pids.values())
        await sending
        await until(lambda: running.figures.workers == 2, "the workers did not come back")
        assert killed >= 2
        assert running.figures.restarts == killed
        assert "ended with -9; another one starts in" in caplog.text
        assert (await ledger.read(reading.totals)).ledger == 150
        checked = await ledger.check()
        assert (checked.good, checked.recount.facts) == (True, 300)
        lab.close()
        shop.close()


async def test_a_worker_that_hangs_is_replaced(broker, postgres, monkeypatch, caplog):
    async with working(postgres, broker.port, 2) as (running, _ledger):
        monkeypatch.setattr(crew, "SILENT_S", 3.0)
        monkeypatch.setattr(crew, "RESTART_FIRST_S", 0.05)
        told = running._told[1]
        # The silence that is being measured began with the longer time.
        await until(lambda: running._told[1] is not told)
        pid = running.pids[1]
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: running.pids.get(1) not in (None, pid), "nobody took its place")
        assert gone(pid)
        assert "ingest worker 1 said nothing for 3 s" in caplog.text


async def test_workers_end_in_order_with_the_crew(broker, postgres):
    async with working(postgres, broker.port, 2) as (running, _ledger):
        pids = list(running.pids.values())
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


async def test_a_worker_that_does_not_end_is_ended_by_force(postgres, broker, monkeypatch):
    monkeypatch.setattr(crew, "END_S", 0.2)
    async with working(postgres, broker.port, 2) as (running, _ledger):
        pids = list(running.pids.values())
        os.kill(pids[0], signal.SIGSTOP)
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/nowhere/python",), "does not start"),
        ((sys.executable, "-c", "raise SystemExit(3)"), "ended with 3"),
        ((sys.executable, "-c", "import sys; sys.stdin.close(); sys.exit(4)"), "ended with 4"),
    ],
)
async def test_a_worker_that_cannot_be_is_tried_again_ever_more_slowly(tmp_path, monkeypatch, caplog, command, words):
    monkeypatch.setattr(crew, "COMMAND", command)
    monkeypatch.setattr(crew, "RESTART_FIRST_S", 0.1)
    ledger = Ledger(f"sqlite:///{tmp_path / 'o.sqlite3'}")
    running = Crew(settings("postgresql://nobody@/none", free_port(), 1), ledger)
    task = asyncio.create_task(running.run())
    await until(lambda: running.figures.restarts >= 3)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await ledger.close()
    assert words in caplog.text
    assert [float(delay) for delay in re.findall(r"starts in (\S+) s", caplog.text)][:3] == [0.1, 0.2, 0.4]
    assert (running.connected, running.figures.workers) == (False, 0)


async def test_workers_end_with_the_office_however_it_ends(broker, postgres, tmp_path):
    config = tmp_path / "office.toml"
    http = free_port()
    config.write_text(
        f'database = "{postgres.new_database()}"\n[broker]\nport = {broker.port}\n[http]\nport = {http}\n'
        "[ingest]\nworkers = 2\n"
    )
    for number in (signal.SIGTERM, signal.SIGKILL):
        office = start_office(config)
        lab, feed = Lab(broker), Sender(epoch=f"e{number.value}")
        try:
            await lab.ready()
            await send_until_acked(lab, [feed.payload([headcount("v1", 1)])])
            children = children_of(office.pid)
            assert len(children) == 2
            office.send_signal(number)
            _, errors = await asyncio.to_thread(office.communicate, timeout=DEADLINE_S)
            await until(lambda children=children: all(gone(pid) for pid in children), "a worker outlived its office")
            assert "Traceback" not in errors, errors
            assert office.returncode == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        finally:
            lab.close()
            if office.poll() is None:
                office.kill()
                await asyncio.to_thread(office.communicate)


def test_sqlite_takes_one_worker(tmp_path):
    config = tmp_path / "office.toml"
    config.write_text("[ingest]\nworkers = 2\n")
    with pytest.raises(ConfigInvalid, match=r"line 2: ingest.workers: SQLite takes one worker, not 2"):
        load(config)
    config.write_text('database = "postgresql://office@db/office"\n[ingest]\nworkers = 2\n')
    assert load(config).ingest.workers == 2
