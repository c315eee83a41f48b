# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that are not what the configuration says: the edge runs on, and says in words what is wrong."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import serial

from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Json, Operator
from tests.hardware_sim.lab.processes import Process

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def edge_at(folder: Path) -> AsyncIterator[tuple[Laboratory, Operator]]:
    """Run an edge alone; whoever is at its serial port is up to the test."""
    lab = Laboratory(Options(folder, with_lathe=False))
    try:
        await lab.edge.start()
        async with Operator(lab.console_url) as operator:
            await operator.login(lab.pin)
            yield lab, operator
        assert lab.edge.running, lab.edge.tail(40)
        assert "Traceback" not in lab.edge.tail(1_000), lab.edge.tail(40)
    finally:
        await lab.edge.stop()


def shown(machine: Json) -> str:
    """Return the words of a machine's card that say what stands against a start."""
    return " ".join([machine["fault_reason"], *(refusal["why"] for refusal in machine["refusals"]["start"])])


async def require_words(operator: Operator, *words: str) -> None:
    """Wait until the console's card says why the machine is away; everything but a stop is refused with it."""

    def says(machine: Json) -> bool:
        return machine["availability"] == "UNAVAILABLE" and all(word in shown(machine) for word in words)

    machine = await operator.until_machine("router", f"the card says {words}", says)
    assert machine["execution"] == "UNAVAILABLE"
    assert machine["machine_position"] is None
    for command in ("start", "home", "resume", "unlock", "reset"):
        assert machine["refusals"][command], command
    answer = await operator.client.post("/api/machines/router/home", json={"area_clear": True})
    assert answer.status_code == 409
    answer = await operator.client.post("/api/machines/router/stop")
    assert answer.status_code == 503
    assert "hard-wired stop" in answer.json()["error"]["remedy"]


async def test_a_port_that_is_not_there_and_then_is(tmp_path: Path) -> None:
    async with edge_at(tmp_path) as (lab, operator):
        await require_words(operator, "there is no port", str(lab.serial_link), "cable")
        await lab.router.start()
        try:
            await operator.until_machine("router", "it is found", lambda m: m["availability"] == "AVAILABLE")
        finally:
            await lab.router.stop()
        await require_words(operator, "port")


async def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    try:
        (tmp_path / "router").symlink_to(os.ttyname(terminal))
        with serial.Serial(str(tmp_path / "router"), exclusive=True):
            async with edge_at(tmp_path) as (_, operator):
                await require_words(operator, "is in use by another program")
    finally:
        os.close(controller)
        os.close(terminal)


async def test_a_port_that_is_no_serial_port(tmp_path: Path) -> None:
    (tmp_path / "router").write_bytes(b"")
    async with edge_at(tmp_path) as (_, operator):
        await require_words(operator, "is not a serial port")


@contextmanager
def stranger(link: Path, greeting: bytes, reply: bytes) -> Iterator[None]:
    """Put something else than GRBL behind a pty: it says `greeting`, and `reply` to each line."""
    controller, terminal = pty.openpty()
    tty.setraw(terminal)
    os.set_blocking(controller, False)
    link.symlink_to(os.ttyname(terminal))
    loop = asyncio.get_running_loop()

    def answer() -> None:
        asked = os.read(controller, 4096)
        os.write(controller, reply * asked.count(b"\n"))

    os.write(controller, greeting)
    loop.add_reader(controller, answer)
    try:
        yield
    finally:
        loop.remove_reader(controller)
        os.close(controller)
        os.close(terminal)


async def test_a_port_where_something_else_answers(tmp_path: Path) -> None:
    with stranger(tmp_path / "router", b"start\r\nMarlin 2.1.2\r\n", b"echo:Unknown command\r\nok\r\n"):
        async with edge_at(tmp_path) as (_, operator):
            await require_words(operator, "has no GRBL controller", "it answers 'echo:Unknown command'")


async def test_a_port_where_nothing_answers(tmp_path: Path) -> None:
    with stranger(tmp_path / "router", b"", b""):
        async with edge_at(tmp_path) as (_, operator):
            await require_words(operator, "has no GRBL controller", "nothing answers there")


async def test_a_port_that_speaks_at_another_rate(tmp_path: Path) -> None:
    with stranger(tmp_path / "router", b"", b"\xf3\x9e\x80\xfe\x86\n\x00\x99\xe6\n"):
        async with edge_at(tmp_path) as (_, operator):
            await require_words(operator, "is not understood", "115200 baud")


def listening(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


async def ended(process: Process) -> tuple[int, str]:
    """Run a process to its end; return its exit code and what it said."""
    running = await asyncio.create_subprocess_exec(
        *process.command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(30):
        output, _ = await running.communicate()
    assert running.returncode is not None
    return running.returncode, output.decode()


@pytest.mark.parametrize("face", ["console", "kiosk"])
async def test_an_http_port_that_is_taken_is_one_clear_sentence(tmp_path: Path, face: str) -> None:
    lab = Laboratory(Options(tmp_path, with_lathe=False))
    port = lab.console_port if face == "console" else lab.kiosk_port
    with listening(port):
        code, said = await ended(lab.edge)
    assert code == 1
    assert said == (
        f"The address 127.0.0.1:{port} cannot be used (Address already in use): "
        "is another copy of the service running?\n"
    )
    assert not lab.data_dir.exists(), "a copy that cannot run must not touch the record of the one that does"


async def test_a_configuration_with_a_mistake_is_one_clear_sentence(tmp_path: Path) -> None:
    lab = Laboratory(Options(tmp_path, with_lathe=False, sync_extra="retry = 5"))
    code, said = await ended(lab.edge)
    line = lab.edge_config.read_text(encoding="utf-8").splitlines().index("retry = 5") + 1
    assert (code, said) == (2, f"{lab.edge_config}, line {line}: sync.retry: this key is not known here.\n")


async def test_a_data_folder_that_cannot_be_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    lab = Laboratory(Options(tmp_path, with_lathe=False, data_dir=tmp_path / "file" / "data"))
    code, said = await ended(lab.edge)
    assert code == 1
    assert said == "The record could not be written to disk: Not a directory.\n"


async def test_a_missing_pin_is_one_clear_sentence(tmp_path: Path) -> None:
    lab = Laboratory(Options(tmp_path, with_lathe=False))
    (tmp_path / "pin").unlink()
    code, said = await ended(lab.edge)
    assert code == 1
    assert said.count("\n") == 1
    assert str(tmp_path / "pin") in said
    assert "set-pin" in said
