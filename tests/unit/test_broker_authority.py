# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker's authority: what it issues, revokes, writes and refuses; no broker is needed for it."""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typer.testing import CliRunner

from office.broker import Authority, Kind
from office.broker.certificates import LAST_DAY, LIST_BACKDATED
from office.broker.errors import (
    AlreadyIssued,
    AuthorityExists,
    AuthorityUnusable,
    NameRefused,
    NoAuthority,
    NotIssued,
)
from office.broker.files import write_whole
from office.broker.mosquitto import Listening, configuration, rights
from office.broker.names import OFFICE
from office.cli import app

NOW = datetime(2026, 9, 1, 8, 0, 0, 500, tzinfo=UTC)
AT = Listening(Path("/etc/mosquitto/infomobil"))


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> Authority:
    made = Authority(tmp_path / "broker", clock)
    made.init(("office.example.org", "192.0.2.7", "office.example.org"), AT)
    return made


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def revoked_list(authority: Authority) -> x509.CertificateRevocationList:
    return x509.load_pem_x509_crl((authority.broker_folder / "revoked.pem").read_bytes())


def test_what_is_made_belongs_together_and_its_keys_to_their_owner_alone(authority: Authority) -> None:
    authority.issue("van-1")
    ca = certificate(authority.folder / "ca.pem")
    for path in (
        authority.broker_folder / "server.pem",
        authority.folder / "office" / "office.pem",
        authority.folder / "labs" / "van-1" / "van-1.pem",
    ):
        certificate(path).verify_directly_issued_by(ca)
        assert (path.parent / "ca.pem").read_bytes() == (authority.folder / "ca.pem").read_bytes()
    keys = list(authority.folder.rglob("*.key"))
    assert len(keys) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    assert revoked_list(authority).is_signature_valid(ca.public_key())  # type: ignore[arg-type]  # it is of P-256


def test_a_certificate_says_who_it_is_for_and_is_good_for_that_alone(authority: Authority) -> None:
    authority.issue("van-1")
    lab = certificate(authority.folder / "labs/van-1/van-1.pem")
    server = certificate(authority.broker_folder / "server.pem")
    office = certificate(authority.folder / "office/office.pem")

    def names(of: x509.Certificate) -> list[str]:
        found = of.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [str(one.value) for one in found]

    def purposes(of: x509.Certificate) -> list[x509.ObjectIdentifier]:
        return list(of.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

    assert names(server) == ["office.example.org", "192.0.2.7"]
    assert (names(lab), names(office)) == (["van-1"], [OFFICE])
    assert lab.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "van-1"
    assert purposes(server) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert purposes(lab) == purposes(office) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not lab.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    years = (lab.not_valid_after_utc - NOW).days / 365
    assert 2.9 < years < 3.1
    assert lab.not_valid_before_utc < NOW


@pytest.mark.parametrize("seconds", [60, 2_150_000_000], ids=["1970", "2038"])
def test_a_van_without_a_clock_can_check_the_broker(authority: Authority, seconds: int) -> None:
    command = ["openssl", "verify", "-attime", str(seconds), "-purpose", "sslserver", "-verify_hostname"]
    command += ["office.example.org", "-CAfile", "ca.pem", "mosquitto/server.pem"]
    try:
        done = subprocess.run(command, cwd=authority.folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert done.returncode == 0, done.stderr


def test_a_lab_has_one_certificate_unless_another_is_wanted(authority: Authority) -> None:
    first = certificate(authority.issue("van-1") / "van-1.pem")
    with pytest.raises(AlreadyIssued, match="van-1 has a certificate until 2029-08-31: say --again"):
        authority.issue("van-1")
    second = certificate(authority.issue("van-1", again=True) / "van-1.pem")
    assert first.serial_number != second.serial_number
    assert [one.name for one in authority.issued()[2:]] == ["van-1", "van-1"]
    assert {one.state(NOW) for one in authority.issued()} == {"in force"}


def test_what_is_revoked_is_on_the_list_and_shut_out_until_it_has_another(authority: Authority) -> None:
    authority.issue("van-1")
    authority.issue("van-2")
    (gone,) = authority.revoke("van-1", "lost")
    assert (gone.reason, gone.state(NOW)) == ("lost", "revoked")
    assert [one.serial_number for one in revoked_list(authority)] == [gone.serial]
    acl = authority.broker_folder / "acl"
    assert "user van-1\ntopic deny #\n" in acl.read_text()
    assert "van-2" not in acl.read_text()
    authority.issue("van-1")
    assert "van-1" not in acl.read_text()
    assert [one.serial_number for one in revoked_list(authority)] == [gone.serial]


def test_revoking_again_does_no_harm_and_writes_what_was_lost(authority: Authority) -> None:
    authority.issue("van-1")
    first = authority.revoke("van-1", "lost")
    (authority.broker_folder / "acl").unlink()
    (authority.broker_folder / "revoked.pem").unlink()
    assert authority.revoke("van-1", "sold") == first
    assert len(list(revoked_list(authority))) == 1
    assert "user van-1" in (authority.broker_folder / "acl").read_text()


def test_all_but_the_newest_can_be_revoked(authority: Authority) -> None:
    authority.issue("van-1")
    newest = certificate(authority.issue("van-1", again=True) / "van-1.pem")
    (gone,) = authority.revoke("van-1", keep_newest=True)
    assert gone.serial != newest.serial_number
    assert "van-1" not in (authority.broker_folder / "acl").read_text()


def test_each_list_is_younger_than_the_one_before_also_within_a_second(authority: Authority, clock: Clock) -> None:
    made = [revoked_list(authority).last_update_utc]
    for number in range(3):
        authority.issue(f"van-{number}")
        authority.revoke(f"van-{number}")
        made.append(revoked_list(authority).last_update_utc)
    clock.now -= timedelta(days=400)  # a clock that was set back
    authority.revoke("van-0")
    made.append(revoked_list(authority).last_update_utc)
    assert all(one < next_ for one, next_ in itertools.pairwise(made))
    assert made[-2] < NOW
    assert made[0] == (NOW - LIST_BACKDATED).replace(microsecond=0)
    assert revoked_list(authority).next_update_utc == LAST_DAY
    numbers = revoked_list(authority).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert numbers == 8


def test_time_passes_over_certificates(authority: Authority, clock: Clock) -> None:
    authority.issue("van-1")
    (lab,) = (one for one in authority.issued() if one.kind is Kind.LAB)
    assert lab.state(lab.ends - timedelta(days=59)) == "ends soon"
    assert lab.state(lab.ends) == "expired"
    clock.now = lab.ends
    authority.issue("van-1")  # nothing is in force: no need to say "again"
    assert len(authority.issued()) == 4


@pytest.mark.parametrize("name", ["Van-1", "van_1", "-van", "", "a" * 33, "van/1", "+", "#", "van 1"])
def test_names_that_no_lab_can_have_are_refused(authority: Authority, name: str) -> None:
    with pytest.raises(NameRefused, match="cannot be the name of a lab"):
        authority.issue(name)
    assert len(authority.issued()) == 2


@pytest.mark.parametrize("host", ["", "office_1", "-a.b", "a..b", "300.1.1.1/8", "x" * 254])
def test_hosts_that_cannot_be_are_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(NameRefused, match="cannot be the name of the broker's host"):
        Authority(tmp_path / "broker").init((host,), AT)
    with pytest.raises(NameRefused):
        Authority(tmp_path / "broker").init((), AT)
    assert not (tmp_path / "broker").exists()


def test_a_lab_cannot_be_called_like_the_broker(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "broker")
    authority.init(("office",), AT)
    with pytest.raises(NameRefused, match="the broker is called so"):
        authority.issue("office")


def test_the_office_and_the_broker_get_new_ones_by_their_names(authority: Authority) -> None:
    with pytest.raises(AlreadyIssued):
        authority.issue(OFFICE)
    assert authority.issue(OFFICE, again=True) == authority.folder / "office"
    before = (authority.broker_folder / "server.pem").read_bytes()
    assert authority.issue("server", again=True) == authority.broker_folder
    assert (authority.broker_folder / "server.pem").read_bytes() != before
    assert [one.kind.value for one in authority.issued()] == ["server", "office", "office", "server"]


def _remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _fill(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def _other_key(folder: Path) -> None:
    other = Authority(folder.parent / "other")
    other.init(("h",), AT)
    (folder / "ca.key").write_bytes((other.folder / "ca.key").read_bytes())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_remove("ca.key"), "ca.key is missing"),
        (_remove("ca.pem"), "ca.pem is missing"),
        (_fill("ca.key", "nothing"), "damaged"),
        (_fill("ca.pem", "nothing"), "damaged"),
        (_other_key, "is not the key of"),
        (_fill("register.json", "{"), "register.json is damaged"),
        (_fill("register.json", '{"hosts": [], "lists": 0, "issued": [{}]}'), "register.json is damaged"),
        (_fill("register.json", "[]"), "register.json is damaged"),
    ],
)
def test_a_damaged_authority_says_what_is_damaged(
    authority: Authority, damage: Callable[[Path], object], said: str
) -> None:
    damage(authority.folder)
    with pytest.raises(AuthorityUnusable, match=said):
        authority.issue("van-1")


def test_a_register_without_a_time_zone_is_damaged(authority: Authority) -> None:
    path = authority.folder / "register.json"
    facts = json.loads(path.read_text())
    facts["issued"][0]["ends"] = "2029-01-01T00:00:00"
    path.write_text(json.dumps(facts))
    with pytest.raises(AuthorityUnusable, match="says no time zone"):
        authority.issued()


def test_there_must_be_an_authority_and_only_one(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(AuthorityExists):
        authority.init(("h",), AT)
    nowhere = Authority(tmp_path / "nowhere")
    for call in (lambda: nowhere.issue("van-1"), lambda: nowhere.revoke("van-1"), nowhere.issued):
        with pytest.raises(NoAuthority, match="broker init"):
            call()
    with pytest.raises(NotIssued):
        authority.revoke("van-9")


def test_a_beginning_that_was_cut_short_can_be_made_again(authority: Authority) -> None:
    (authority.folder / "register.json").unlink()  # the last thing of the first steps
    authority.init(("office.example.org",), AT)
    authority.issue("van-1")


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    write_whole(path, b"before", 0o600)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"after", 0o600)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_configuration_names_what_it_was_told() -> None:
    text = configuration(Listening(Path("/p"), Path("/s"), 1, "192.0.2.7", 2, "::1", 3, 4, 5))
    for line in (
        "listener 1 192.0.2.7",
        "listener 2 ::1",
        "max_connections 3",
        "max_queued_messages 4",
        "max_queued_bytes 5",
        "persistence_location /s/",
        "crlfile /p/revoked.pem",
        "acl_file /p/acl",
    ):
        assert line in text.splitlines()
    assert "{" not in text
    assert "listener 8883\n" in configuration(AT)


def test_the_example_in_deploy_is_what_the_command_writes() -> None:
    folder = Path(__file__).parents[2] / "deploy" / "mosquitto"
    assert (folder / "mosquitto.conf.example").read_text() == configuration(AT)
    assert (folder / "acl.example").read_text() == rights(["van-9"])


def test_the_role_brings_every_file_to_the_broker_and_no_other(authority: Authority) -> None:
    tasks = (Path(__file__).parents[2] / "deploy/ansible/roles/broker/tasks/main.yml").read_text()
    brought = {name.strip() for listed in re.findall(r"loop: \[(.*)\]", tasks) for name in listed.split(",")}
    assert brought == {path.name for path in authority.broker_folder.iterdir()}


def told(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["broker", *words], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_the_command_line_from_the_first_to_the_last_step(tmp_path: Path) -> None:
    at = ["-f", str(tmp_path / "broker")]
    assert told("issue", "van-1", *at) == (2, f'{tmp_path / "broker"} holds no authority: make one with "infomobil-office broker init".\n')  # fmt: skip  # noqa: E501
    code, said = told("init", "--host", "office.example.org", "--connections", "7", *at)
    assert code == 0
    assert "Keep ca.key off the broker's computer" in said
    assert "max_connections 7" in (tmp_path / "broker/mosquitto/mosquitto.conf").read_text()
    assert told("init", "--host", "x", *at)[0] == 2
    code, said = told("issue", "van-1", "van-2", *at)
    assert code == 0
    assert str(tmp_path / "broker/labs/van-2") in said
    assert told("issue", "van-1", "--again", *at)[0] == 0
    code, said = told("revoke", "van-1", "--keep-newest", "--reason", "card lost", *at)
    assert (code, "1 revoked in total" in said) == (0, True)
    assert told("revoke", "van-7", *at)[0] == 2
    code, said = told("list", *at)
    assert code == 0
    assert "card lost" in said
    assert said.count("van-1") == 2
    (tmp_path / "broker/register.json").unlink()
    (tmp_path / "broker/register.json").mkdir()
    code, said = told("list", *at)
    assert (code, "Is a directory" in said) == (2, True)
