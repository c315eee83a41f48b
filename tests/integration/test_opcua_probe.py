# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-edge opcua`, as a technician types it, on real servers."""

from __future__ import annotations

import asyncio
import re
import shlex
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import Client, ua
from click.testing import Result
from cryptography import x509
from typer.testing import CliRunner

from edge import opcua_cli
from edge.cli import cli
from edge.config import load_settings
from edge.domain.machine import MachineState
from edge.drivers.opcua.probe import Look
from edge.drivers.opcua.settings import OpcUaSettings
from edge.opcua_report import connection_lines
from edge.pki import Pki
from tests.hardware_sim.lab.ports import free_port
from tests.support.certificates import make, make_authority, rsa_key
from tests.support.opcua import Lathe, lathe_process, settings
from tests.support.opcua_secured import PASSWORD, Host

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[Host]:
    host = Host()
    await host.load()
    yield host
    await host.unload()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lathe(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lathe]:
    async with lathe_process(tmp_path_factory.mktemp("lathe"), "--idle") as lathe:
        yield lathe


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "data" / "opcua")


async def typed(line: str, answer: str = "") -> Result:
    """Run a command line in a thread of its own, as in a process of its own."""
    program, *arguments = shlex.split(line)
    assert program == "infomobil-edge"
    result = await asyncio.to_thread(CliRunner().invoke, cli, arguments, input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


async def done(line: str, answer: str = "") -> str:
    result = await typed(line, answer)
    assert result.exit_code == 0, result.output
    return result.output


async def failed(line: str, code: int = 1, answer: str = "") -> str:
    result = await typed(line, answer)
    assert result.exit_code == code, result.output
    return result.output


def suggested(output: str) -> OpcUaSettings:
    """Return the settings that a probe printed, read as the configuration is read."""
    (table,) = re.findall(r"^\[machine\.connection\]\n(?:.+\n)+", output, re.MULTILINE)
    return OpcUaSettings.model_validate(tomllib.loads(table)["machine"]["connection"])


# --- probe ---


async def test_a_server_that_nobody_trusts_says_the_command_that_lets_it_in(host: Host, pki: Pki) -> None:
    made = make()
    async with host.secured(made) as server:
        line = f"infomobil-edge opcua probe {server.endpoint} --store {pki.folder}"
        first = await failed(line)
        assert "nobody has trusted it yet" in first
        assert server.clients == []
        (command,) = set(re.findall(r"run: (infomobil-edge opcua trust .*?)\.?$", first, re.MULTILINE))
        assert "Trusted from now on" in await done(f"{command} --yes")
        second = await done(line)
        assert "This lab accepts the certificate." in second
        assert "Looked at with security sign_and_encrypt, basic256sha256, as nobody." in second
        assert server.clients == [pki.own().certificate.der]
        assert suggested(second).model == "mapping"
        assert suggested(second).security == "sign_and_encrypt"


async def test_a_probe_logs_in_as_told(host: Host, pki: Pki, tmp_path: Path) -> None:
    made, ann = make(), make("ann", uri=None, key=rsa_key(1))
    pki.trust_list.trust(made.certificate)
    secret = tmp_path / "password"
    secret.touch(0o600)
    secret.write_text(PASSWORD, encoding="utf-8")
    certificate, key = ann.write(tmp_path, "ann")
    async with host.secured(made, nobody=False, user=ann) as server:
        probe = f"infomobil-edge opcua probe {server.endpoint} --store {pki.folder}"
        who = f"{probe} --security sign --policy aes128_sha256_rsaoaep --user ann --password-file {secret}"
        said = await done(who)
        assert "security sign, aes128_sha256_rsaoaep, as ann." in said
        found = suggested(said)
        assert (found.user, found.password_file, found.policy) == ("ann", secret, "aes128_sha256_rsaoaep")
        said = await done(f"{probe} --user-certificate {certificate} --user-key {key}")
        assert "as a user with a certificate." in said
        assert suggested(said).user_key_file == key
        assert "No session: " in await failed(probe)
        secret.write_text("wrong", encoding="utf-8")
        assert "No session: the server refuses this user and password." in await failed(who)


async def test_a_machine_is_shown_and_its_lines_can_be_pasted(lathe: Lathe, pki: Pki) -> None:
    said = await done(f"infomobil-edge opcua probe {lathe.endpoint} --store {pki.folder}")
    for words in (
        "InfoMobil training lathe",
        "urn:freeopcua:python:server",
        "nodes of a read",
        "http://opcfoundation.org/UA/MachineTool/ (machine tools (umati), OPC 40501-1",
        "umati: Lathe",
        "channels Channel1",
        "cnc: nothing",
        "sinumerik: nothing",
        "Lathe, read as umati",
        "now       AVAILABLE, READY, AUTOMATIC",
        "programs  a file system; job control (",
        "with alarms",
    ):
        assert words in said, words
    found = suggested(said)
    assert (found.endpoint, found.model, found.machine, found.security) == (lathe.endpoint, "umati", "Lathe", "none")
    assert not pki.folder.exists(), "without security no certificate is needed"
    said = await done(f"infomobil-edge opcua probe {lathe.endpoint} --machine Mill --store {pki.folder}")
    assert "Lathe, read as umati" not in said


async def test_a_machine_of_the_configuration_is_looked_at_by_its_settings(lathe: Lathe, tmp_path: Path) -> None:
    config = write_config(tmp_path, lathe.endpoint)
    said = await done(f"infomobil-edge opcua probe lathe-1 --config {config}")
    assert "Lathe, read as umati" in said
    assert "neither an address" in await failed(f"infomobil-edge opcua probe lathe-2 -c {config}", 2)
    assert "neither an address" in await failed(f"infomobil-edge opcua probe router -c {config}", 2)


def write_config(folder: Path, endpoint: str) -> Path:
    config = folder / "edge.toml"
    config.write_text(
        f"""[lab]
id = "van"
name = "Van"
data_dir = "data"
[operator]
pin_file = "pin"
[[machine]]
id = "lathe-1"
name = "Lathe"
kind = "lathe"
[machine.connection]
driver = "opcua"
endpoint = "{endpoint}"
security = "none"
[[machine]]
id = "router"
name = "Router"
kind = "router"
[machine.connection]
driver = "grbl"
port = "/dev/ttyUSB0"
""",
        encoding="utf-8",
    )
    load_settings(config)
    return config


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("opc.tcp://192.0.2.7:4840 --user ann", "`user` and `password_file` go together"),
        (
            "opc.tcp://192.0.2.7:4840 --user ann --password-file p --security none",
            "the password would cross the network readable",
        ),
        ("opc.tcp://192.0.2.7", "an endpoint looks like"),
        ("opc.tcp://192.0.2.7:4840 --user-key k", "go together"),
        ("192.0.2.7", "neither an address that begins with opc.tcp://"),
    ],
)
async def test_what_does_not_go_together_is_said_before_anything_is_sent(pki: Pki, options: str, words: str) -> None:
    assert words in await failed(f"infomobil-edge opcua probe {options} --store {pki.folder}", 2)


async def test_a_server_that_is_not_there_is_said(pki: Pki) -> None:
    nowhere = f"opc.tcp://127.0.0.1:{free_port()}"
    for command in ("probe", "trust"):
        said = await failed(f"infomobil-edge opcua {command} {nowhere} --store {pki.folder}")
        assert f"nothing listens at {nowhere.removeprefix('opc.tcp://')}" in said
    assert "nothing listens" in await failed(f"infomobil-edge opcua discover {nowhere}")


async def test_discovery_lists_the_servers_that_a_server_knows(lathe: Lathe) -> None:
    said = await done(f"infomobil-edge opcua discover {lathe.endpoint}")
    assert "knows 1 server." in said
    assert lathe.endpoint in said


async def test_discovery_lists_what_a_server_has_heard_of_on_the_network(
    lathe: Lathe, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = [
        ua.ServerOnNetwork(ServerName="Lathe again", DiscoveryUrl=lathe.endpoint),
        ua.ServerOnNetwork(ServerName="Mill", DiscoveryUrl="opc.tcp://mill.local:4840"),
    ]

    async def answer(_client: Client) -> ua.FindServersOnNetworkResult:
        return ua.FindServersOnNetworkResult(Servers=heard)

    monkeypatch.setattr(Client, "find_servers_on_network", answer)
    said = await done(f"infomobil-edge opcua discover {lathe.endpoint}")
    assert "the network knows 1 server." in said
    assert "opc.tcp://mill.local:4840" in said
    assert "Lathe again" not in said


def look(model: str, programs: tuple[str, ...] = ()) -> Look:
    return Look(model, 'Lathe "1"', "", 1, alarms=False, programs=programs, missing=(), state=MachineState())


@pytest.mark.parametrize(
    ("given", "machine", "expected"),
    [
        ({}, look("umati"), {"model": "umati", "machine": 'Lathe "1"'}),
        ({}, look("cnc", ("a file system",)), {"model": "cnc", "machine": 'Lathe "1"'}),
        ({}, look("sinumerik"), {"model": "sinumerik", "machine": None}),
        ({}, None, {"model": "mapping", "mapping_file": Path("machine.toml")}),
        (
            {"model": "mapping", "mapping_file": "mill.toml"},
            look("mapping"),
            {"model": "mapping", "mapping_file": Path("mill.toml")},
        ),
        (
            {"user": "ann", "password_file": "p", "password_in_clear": True},
            look("umati"),
            {"user": "ann", "password_in_clear": True},
        ),
        ({"security": "sign", "policy": "aes128_sha256_rsaoaep"}, None, {"policy": "aes128_sha256_rsaoaep"}),
    ],
)
async def test_the_lines_for_the_configuration_are_settings(
    given: dict[str, object], machine: Look | None, expected: dict[str, object]
) -> None:
    tried = settings("opc.tcp://192.0.2.7:4840/x", **given)
    found = suggested("\n".join(connection_lines(tried, machine)) + "\n")
    for key in ("endpoint", "security", "policy", "user", "password_file", "password_in_clear"):
        assert getattr(found, key) == getattr(tried, key), key
    for key, value in expected.items():
        assert getattr(found, key) == value, key


# --- trust ---


async def test_a_server_is_trusted_by_its_address(host: Host, pki: Pki) -> None:
    made = make()
    async with host.secured(made) as server:
        line = f"infomobil-edge opcua trust {server.endpoint} --store {pki.folder}"
        said = await failed(line, answer="n\n")
        assert "Nothing was changed." in said
        assert made.certificate.thumbprint in said.replace(" ", "")
        assert not pki.trust_list.trusted().certificates
        assert "Trusted from now on" in await done(line, answer="y\n")
        assert "trusts it already" in await done(line)


async def test_what_trust_cannot_put_right_is_said_before(host: Host, pki: Pki) -> None:
    async with host.secured(make(hosts=("mill",))) as server:
        said = await failed(f"infomobil-edge opcua trust {server.endpoint} --store {pki.folder}", answer="n\n")
        assert "it is that of mill, and the endpoint says 127.0.0.1" in said


async def test_files_and_thumbprints_are_trusted_and_withdrawn(pki: Pki, tmp_path: Path) -> None:
    fleet, made = make_authority(), make()
    (tmp_path / "fleet.pem").write_bytes(fleet.pem)
    at = f"--store {pki.folder}"
    said = await done(f"infomobil-edge opcua trust {tmp_path / 'fleet.pem'} {at} --yes")
    assert "It is an authority" in said
    pki.trust_list.reject(made.certificate)
    (pki.folder / "rejected" / "broken.der").write_bytes(b"broken")
    listed = await done(f"infomobil-edge opcua trusted {at}")
    assert re.search(rf"Trusted: 1\n  {fleet.certificate.thumbprint}  fleet  authority", listed)
    assert re.search(rf"Refused: 1\n  {made.certificate.thumbprint}  lathe  urn:test:lathe", listed)
    assert "cannot be read: " in listed
    short = fleet.certificate.thumbprint[:16].lower()
    assert "Not trusted any more: fleet" in await done(f"infomobil-edge opcua untrust {short} {at}")
    assert "does not trust fleet" in await failed(f"infomobil-edge opcua untrust {short} {at}")
    assert "There is no one certificate" in await failed(f"infomobil-edge opcua untrust 00000000 {at}")
    assert "There is no one certificate" in await failed(f"infomobil-edge opcua trust 00000000 {at}")
    (tmp_path / "text").write_text("no certificate", encoding="utf-8")
    assert "is not a certificate" in await failed(f"infomobil-edge opcua trust {tmp_path / 'text'} {at}")


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cert.der").write_bytes(make().der)
    (tmp_path / "store").write_text("a file", encoding="utf-8")
    said = await failed(f"infomobil-edge opcua trust {tmp_path / 'cert.der'} --store {tmp_path / 'store'} --yes")
    assert "cannot be written" in said


async def test_a_server_without_a_certificate_has_nothing_to_trust(lathe: Lathe, pki: Pki) -> None:
    said = await failed(f"infomobil-edge opcua trust {lathe.endpoint} --store {pki.folder}")
    assert "shows no certificate" in said


async def test_the_folder_has_to_be_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opcua_cli, "USUAL_CONFIG", tmp_path / "none.toml")
    assert "Say where the certificates are" in await failed("infomobil-edge opcua trusted", 2)
    config = write_config(tmp_path, "opc.tcp://192.0.2.7:4840")
    Pki(tmp_path / "data" / "opcua").trust_list.trust(make().certificate)
    assert "Trusted: 1" in await done(f"infomobil-edge opcua trusted -c {config}")
    monkeypatch.setattr(opcua_cli, "USUAL_CONFIG", config)
    assert "Trusted: 1" in await done("infomobil-edge opcua trusted")
    assert "it cannot be read" in await failed(f"infomobil-edge opcua trusted -c {tmp_path / 'none'}", 2)


# --- the lab's own certificate ---


async def test_the_own_certificate_is_shown_exported_and_renewed(pki: Pki, tmp_path: Path) -> None:
    line = f"infomobil-edge opcua certificate --store {pki.folder}"
    first = await done(f"{line} --export {tmp_path / 'lab.pem'}")
    own = pki.own()
    assert own.certificate.thumbprint in first.replace(" ", "")
    assert own.application_uri in first
    exported = (tmp_path / "lab.pem").read_bytes()
    assert x509.load_pem_x509_certificate(exported) == own.certificate.x509
    assert b"PRIVATE" not in exported
    await done(f"{line} --export {tmp_path / 'lab.der'}")
    assert (tmp_path / "lab.der").read_bytes() == own.certificate.der
    assert "Nothing was changed." in await failed(f"{line} --renew", answer="n\n")
    assert pki.own() == own
    assert "from its next connection on" in await done(f"{line} --renew --yes")
    assert pki.own() != own
    assert "cannot be written" in await failed(f"{line} --export {tmp_path / 'no' / 'lab.der'}")
    pki.own().key_file.chmod(0o640)
    assert "run `chmod 600" in await failed(line)
