# SPDX-License-Identifier: GPL-3.0-or-later
"""The office as a process of its own: the commands, a real broker, signals, and a power cut in the middle."""

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest
from typer.testing import CliRunner

from office import app as office_app
from office.cli import app as cli
from office.config import BrokerSettings, HttpSettings, OfficeSettings
from office.errors import TaskEnded
from office.reports.plan import PACKAGED
from tests.hardware_sim.lab.ports import free_port
from tests.integration.test_office_ingest import Lab
from tests.support.broker import Mosquitto
from tests.support.office import Sender, headcount, opened

DEADLINE_S = 20
COMMAND = (sys.executable, "-X", "dev", "-W", "error", "-m", "office")


class Office:
    """One office process on ports of its own."""

    def __init__(self, folder, broker_port):
        self.port = free_port()
        self.config = folder / "office.toml"
        self.config.write_text(
            f"[broker]\nport = {broker_port}\nretry_first = 0.05\nretry_longest = 0.2\n[http]\nport = {self.port}\n"
        )
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [*COMMAND, "run", "--config", str(self.config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{self.port}/api/quality", timeout=1)
                return
            time.sleep(0.02)
        raise AssertionError(self.end(signal.SIGKILL))

    def get(self, path):
        return httpx.get(f"http://127.0.0.1:{self.port}/api/{path}", timeout=5).json()

    def end(self, number):
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=DEADLINE_S)
        return output.decode()


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
def office(tmp_path, broker):
    running = Office(tmp_path, broker.port)
    running.start()
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_counts_and_ends_in_good_order(office, broker, number):
    lab, feed = Lab(broker), Sender()
    await lab.ready()
    lab.send(feed.payload([opened("v1"), headcount("v1", 24)]))
    await lab.acked(2)
    lab.close()
    found = await asyncio.to_thread(office.get, "progress")
    assert (found["reached"], found["ledger"]) == (24, 24)
    # A page that keeps its connection open does not keep the service alive.
    with socket.create_connection(("127.0.0.1", office.port)):
        output = await asyncio.to_thread(office.end, number)
    assert office.process.returncode == 0, output
    assert "the office has ended" in output
    assert "Traceback" not in output
    assert "Warning" not in output


async def test_power_cuts_lose_and_double_nothing(office, broker, tmp_path):
    """Kill -9 in the middle, again and again: whatever was acknowledged is there, and the sum is exact at the end."""
    lab, feed = Lab(broker), Sender()
    await lab.ready()
    payloads = [feed.payload([headcount("v1", 1)]) for _ in range(400)]
    known = 0

    async def send_until(watermark):
        """Send as a lab does: again what was not acknowledged, since nobody may have been listening."""
        async with asyncio.timeout(DEADLINE_S):
            while max((ack.watermark for ack in lab.acks), default=0) < watermark:
                begin = max((ack.watermark for ack in lab.acks), default=0)
                for payload in payloads[begin : begin + 100]:
                    lab.send(payload)
                await asyncio.sleep(0.1)

    for _ in range(4):
        await send_until(known + 1)
        await asyncio.to_thread(office.end, signal.SIGKILL)
        known = max(ack.watermark for ack in lab.acks)
        with contextlib.closing(sqlite3.connect(tmp_path / "office.sqlite3")) as ledger:
            ((watermark,), (held,)) = (
                ledger.execute(sql).fetchone() for sql in ("select watermark from feed", "select count(*) from event")
            )
        assert held >= watermark >= known
        await asyncio.to_thread(office.start)
    await send_until(400)
    lab.close()
    assert (await asyncio.to_thread(office.get, "progress"))["ledger"] == 400
    await asyncio.to_thread(office.end, signal.SIGTERM)
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["recount", "--config", str(office.config)])
    assert (result.exit_code, "all agree" in result.output) == (0, True)
    with contextlib.closing(sqlite3.connect(tmp_path / "office.sqlite3")) as ledger:
        ledger.execute("update lab_role set people = people + 1")
        ledger.commit()
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["recount", "--config", str(office.config)])
    assert result.exit_code == 1
    assert "van-1/pupil" in result.output


def test_a_taken_port_is_said_in_a_sentence(tmp_path):
    office = Office(tmp_path, free_port())
    with socket.create_server(("127.0.0.1", office.port)):
        done = subprocess.run([*COMMAND, "run", "-c", str(office.config)], capture_output=True, timeout=DEADLINE_S)
    assert done.returncode == 2
    assert b"The office cannot start" in done.stderr
    assert b"Traceback" not in done.stderr


def test_check_config_answers_in_a_persons_words(tmp_path):
    file = tmp_path / "office.toml"
    file.write_text('database = "postgresql://office:hunter2@db/office"\nindicators = "pledge.toml"\n')
    (tmp_path / "pledge.toml").write_text(PACKAGED.read_text(encoding="utf-8").replace("target = 6000", "target = 500"))
    result = CliRunner().invoke(cli, ["check-config", str(file)])
    assert result.exit_code == 0
    assert "500 pupils and teachers" in result.output
    assert "hunter2" not in result.output
    (tmp_path / "pledge.toml").write_text("[[indicator]]\nid = 5\n")
    result = CliRunner().invoke(cli, ["check-config", str(file)])
    assert result.exit_code == 2
    assert "pledge.toml, line 2: indicator.0.id" in result.output
    file.write_text("[broker]\nprot = 1883\n")
    result = CliRunner().invoke(cli, ["check-config", str(file)])
    assert result.exit_code == 2
    assert "line 2: broker.prot is not a setting of the office" in result.output


def test_recount_without_a_database_says_so(tmp_path):
    file = tmp_path / "office.toml"
    file.write_text(f'database = "postgresql://postgres@/office?host={tmp_path}"')
    result = CliRunner().invoke(cli, ["recount", "--config", str(file)])
    assert result.exit_code == 2
    assert "The ledger cannot be reached now" in result.output


def settings(tmp_path) -> OfficeSettings:
    return OfficeSettings(
        database=f"sqlite:///{tmp_path / 'o.sqlite3'}",
        broker=BrokerSettings(port=free_port()),
        http=HttpSettings(port=free_port()),
    )


async def test_an_eternal_task_that_returns_ends_the_service(tmp_path, monkeypatch):
    async def tired(_self):
        return

    monkeypatch.setattr(office_app.Ingest, "run", tired)
    with pytest.raises(ExceptionGroup) as caught:
        await office_app.run(settings(tmp_path))
    assert caught.group_contains(TaskEnded, match="ingest")


async def test_http_that_ends_by_itself_ends_the_service(tmp_path, monkeypatch):
    async def tired(_self, sockets):
        return

    monkeypatch.setattr(office_app.Server, "serve", tired)
    with pytest.raises(ExceptionGroup) as caught:
        await office_app.run(settings(tmp_path))
    assert caught.group_contains(TaskEnded, match="http")


async def test_a_dashboard_that_others_can_reach_stays_closed_without_an_account(tmp_path):
    http = HttpSettings(host="127.0.0.2", port=free_port())
    task = asyncio.create_task(office_app.run(settings(tmp_path).model_copy(update={"http": http})))
    async with asyncio.timeout(DEADLINE_S), httpx.AsyncClient() as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.get(f"http://127.0.0.2:{http.port}/api/quality")
                break
            await asyncio.sleep(0.01)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "login")
    os.kill(os.getpid(), signal.SIGTERM)
    await task
