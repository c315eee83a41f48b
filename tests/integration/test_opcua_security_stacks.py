# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine on a secured connection, on both stacks: the command that lets it in, every policy, and users.

Certificates that must not be accepted are tried in test_opcua_security and test_opcua_faults_certificates.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge.cli import cli
from edge.domain.machine import MachineState
from edge.drivers.opcua.driver import OpcUaDriver
from edge.pki import Pki
from edge.services.clock import SystemClock
from tests.support.certificates import Made, make, make_authority
from tests.support.opcua import PATIENCE_S, Lathe, Watched, lathe_process, settings
from tests.support.opcua_node import node_lathe_process

ASYNCUA_URI = "urn:freeopcua:python:server"
NODE_URI = "urn:infomobil:simulator:node-lathe"
Start = Callable[..., AbstractAsyncContextManager[Lathe]]


class Stack:
    """One of the two stacks and the application that its server is."""

    def __init__(self, start: Start, uri: str) -> None:
        self.uri = uri
        self._start = start

    @asynccontextmanager
    async def lathe(self, folder: Path, made: Made, *arguments: str) -> AsyncIterator[Lathe]:
        """Run a lathe that takes secured connections only."""
        certificate, key = folder / "lathe.cert.pem", folder / "lathe.key.pem"
        certificate.write_bytes(made.pem)
        key.write_bytes(made.key_pem)
        secured = ("--security", "--certificate", str(certificate), "--key", str(key))
        async with self._start(folder, "--idle", *secured, *arguments) as lathe:
            yield lathe


@pytest.fixture(params=["asyncua", "node"])
def stack(request: pytest.FixtureRequest) -> Stack:
    return Stack(lathe_process, ASYNCUA_URI) if request.param == "asyncua" else Stack(node_lathe_process, NODE_URI)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "opcua")


@asynccontextmanager
async def watched(lathe: Lathe, pki: Pki, **changes: Any) -> AsyncIterator[Watched]:
    wanted = settings(lathe.endpoint, **{"security": "sign_and_encrypt", "timeout_s": 4.0, **changes})
    driver = OpcUaDriver("lathe-1", "Lathe", "lathe", wanted, SystemClock(), pki=pki)
    watch = Watched(driver)
    task = asyncio.create_task(driver.run(), name="lathe-1")
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def says(words: str) -> Callable[[MachineState], bool]:
    return lambda state: words in state.fault_reason


async def test_the_command_that_the_driver_says_lets_it_in(stack: Stack, tmp_path: Path, pki: Pki) -> None:
    made = make(uri=stack.uri)
    async with stack.lathe(tmp_path, made) as lathe, watched(lathe, pki) as watch:
        state = await watch.until(says("nobody has trusted it yet"))
        found = re.search(r"run: infomobil-edge (opcua trust .*)", state.fault_reason)
        assert found
        result = await asyncio.to_thread(CliRunner().invoke, cli, [*shlex.split(found[1]), "--yes"])
        assert result.exit_code == 0, result.output
        await watch.until_available()
        facts = await lathe.ctl("state")
        assert facts["sessions"] == 1


async def test_all_policies_and_modes_reach_the_machine(stack: Stack, tmp_path: Path, pki: Pki) -> None:
    fleet = make_authority()
    pki.trust_list.trust(fleet.certificate)
    async with stack.lathe(tmp_path, make(uri=stack.uri, issuer=fleet)) as lathe:
        for policy in ("basic256sha256", "aes128_sha256_rsaoaep"):
            for security in ("sign", "sign_and_encrypt"):
                async with watched(lathe, pki, policy=policy, security=security) as watch:
                    await watch.until_available()
        async with asyncio.timeout(PATIENCE_S):
            while (facts := await lathe.ctl("state"))["connections"]:
                await asyncio.sleep(0.05)
        assert facts["sessions"] == 0


async def test_a_machine_without_security_is_not_reached_by_settings_that_want_it(tmp_path: Path, pki: Pki) -> None:
    async with lathe_process(tmp_path, "--idle") as lathe, watched(lathe, pki) as watch:
        await watch.until(says("the server does not offer basic256sha256 with sign_and_encrypt; it offers None none"))


async def test_a_machine_with_security_is_not_reached_without(stack: Stack, tmp_path: Path, pki: Pki) -> None:
    made = make(uri=stack.uri)
    async with stack.lathe(tmp_path, made) as lathe, watched(lathe, pki, security="none") as watch:
        await watch.until(says("secured connections only"))


async def test_a_user_comes_in_with_a_password_over_a_secured_channel(stack: Stack, tmp_path: Path, pki: Pki) -> None:
    made = make(uri=stack.uri)
    pki.trust_list.trust(made.certificate)
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("turning-for-all\n", encoding="utf-8")
    options = ("--user", "ann", "--password-file", str(password))
    async with stack.lathe(tmp_path, made, *options) as lathe:
        for security in ("sign", "sign_and_encrypt"):
            async with watched(lathe, pki, security=security, user="ann", password_file=password) as watch:
                await watch.until_available()
        async with watched(lathe, pki) as watch:
            await watch.until(says("the server lets nobody in without a user"))
