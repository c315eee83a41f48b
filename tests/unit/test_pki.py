# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own certificate, whom it trusts, and every way in which a certificate is refused."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.domain.errors import NotFound
from edge.pki import Peer, Pki
from edge.pki.certificate import from_der, grouped, read, split_chain
from edge.pki.errors import (
    CertificateRefused,
    NotACertificate,
    NotTrusted,
    NotValidNow,
    OwnCertificateUnusable,
    WrongApplication,
    WrongHost,
    WrongUse,
)
from edge.pki.own import EARLIEST, host_name
from edge.pki.trust import REJECTED_KEPT
from tests.support.certificates import DAY, SERVER_URI, Made, make, make_authority, rsa_key

ROOT = Path(__file__).parents[2]
SERVER = Peer("the server lathe:4840", "server", SERVER_URI, "127.0.0.1")


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "data" / "opcua")


def own_files(pki: Pki) -> tuple[Path, Path]:
    return pki.folder / "own" / "key.pem", pki.folder / "own" / "certificate.der"


# --- the lab's own certificate ---


def test_the_certificate_is_made_once_as_the_standard_wants_it(pki: Pki) -> None:
    own = pki.own()
    certificate = own.certificate
    assert own.application_uri == f"urn:{host_name()}:infomobil:edge"
    assert {host_name(), "localhost", "127.0.0.1"} <= set(certificate.hosts)
    assert certificate.rsa_bits == 2048
    assert certificate.is_self_signed
    assert not certificate.is_authority
    usage = certificate.x509.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.content_commitment
    assert usage.key_encipherment
    assert usage.data_encipherment
    purposes = certificate.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert certificate.not_after - datetime.now(UTC) > 3600 * DAY
    assert pki.own() == own


def test_only_its_owner_reads_the_key_and_no_sentence_shows_it(pki: Pki) -> None:
    own = pki.own()
    key, certificate = own_files(pki)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o644
    assert "PRIVATE" not in repr(own)


def test_what_root_makes_belongs_to_whom_the_data_belongs(pki: Pki) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes files for others")
    pki.folder.parent.mkdir()
    os.chown(pki.folder.parent, 65534, 65534)
    pki.own()
    pki.trust_list.trust(make().certificate)
    for path in (*own_files(pki), pki.folder, *pki.trust_list.trusted().certificates):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534), path


def test_two_processes_that_start_at_once_get_the_same_certificate(pki: Pki) -> None:
    code = "import sys, pathlib, edge.pki as p; print(p.Pki(pathlib.Path(sys.argv[1])).own().certificate.thumbprint)"
    command = [sys.executable, "-c", code, str(pki.folder)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {one.communicate(timeout=50)[0].strip() for one in both}
    assert said == {pki.own().certificate.thumbprint}


def test_a_computer_that_lives_in_the_past_dates_nothing_before_the_program(tmp_path: Path) -> None:
    pki = Pki(tmp_path, now=lambda: datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    assert pki.own().certificate.not_before == EARLIEST - DAY


def test_a_first_start_that_was_cut_is_finished_with_its_key(pki: Pki) -> None:
    pki.own()
    key, certificate = own_files(pki)
    before = key.read_bytes()
    certificate.unlink()
    assert pki.own().certificate.x509.public_key() == load_pem_private_key(before, None).public_key()
    assert key.read_bytes() == before


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _of_another(path: Path) -> None:
    path.write_bytes(make(key=rsa_key(1)).key_pem)


def _elliptic(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        (0, _cut, "is damaged; put it back from a backup, or `infomobil-edge opcua certificate --renew`"),
        (0, lambda path: path.write_bytes(b""), "is damaged"),
        (0, lambda path: path.unlink(), "is missing; put it back"),
        (0, lambda path: path.chmod(0o644), "others may read its key .*: run `chmod 600"),
        (0, _of_another, "is not the key of"),
        (0, _elliptic, "is no RSA key"),
        (1, _cut, "cannot be read"),
        (1, lambda path: path.write_bytes(make(uri=None).der), "is not the key of"),
    ],
)
def test_what_is_damaged_is_refused_in_words_and_never_made_anew(pki: Pki, file: int, damage: Any, words: str) -> None:
    pki.own()
    path = own_files(pki)[file]
    damage(path)
    left = [one.read_bytes() if one.exists() else None for one in own_files(pki)]
    for _ in range(2):
        with pytest.raises(OwnCertificateUnusable, match=words):
            pki.own()
    assert [one.read_bytes() if one.exists() else None for one in own_files(pki)] == left


def test_a_certificate_without_application_is_refused(pki: Pki) -> None:
    made = make(uri=None)
    for path, content in zip(own_files(pki), (made.key_pem, made.der), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_bytes(content)
    with pytest.raises(OwnCertificateUnusable, match="names no application URI"):
        pki.own()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "opcua").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(OwnCertificateUnusable, match="opcua"):
        Pki(tmp_path / "opcua").own()


def test_a_person_may_make_another_one_and_the_old_one_stays(pki: Pki) -> None:
    before = pki.own()
    after = pki.renew()
    assert after.certificate != before.certificate
    assert pki.own() == after
    assert own_files(pki)[1].with_name("certificate.der.old").read_bytes() == before.certificate.der


# --- the trust list ---


def refused(pki: Pki, made: Made, kind: type[CertificateRefused], peer: Peer = SERVER, *issuers: Made) -> str:
    with pytest.raises(CertificateRefused) as caught:
        pki.check(b"".join(one.der for one in (made, *issuers)), peer)
    assert type(caught.value) is kind, caught.value
    return str(caught.value)


def test_who_is_not_trusted_is_named_with_the_command_that_trusts(pki: Pki) -> None:
    made = make()
    said = refused(pki, made, NotTrusted)
    thumbprint = made.certificate.thumbprint
    assert grouped(thumbprint) in said
    assert f"infomobil-edge opcua trust {thumbprint} --store {pki.folder}" in said
    assert list(pki.trust_list.rejected().certificates.values()) == [made.certificate]

    found = pki.trust_list.find(grouped(thumbprint).lower())
    pki.trust_list.trust(found)
    assert pki.check(made.der, SERVER) == made.certificate
    assert not pki.trust_list.rejected().certificates


def test_trust_can_be_withdrawn_and_given_again(pki: Pki) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)
    pki.trust_list.trust(made.certificate)
    assert pki.trust_list.untrust(made.certificate)
    assert not pki.trust_list.untrust(made.certificate)
    refused(pki, made, NotTrusted)
    assert pki.trust_list.find(made.certificate.sha256) == made.certificate


def test_a_thumbprint_has_to_be_of_one_certificate(pki: Pki) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)
    assert pki.trust_list.find(made.certificate.thumbprint[:16]) == made.certificate
    for wrong in (made.certificate.thumbprint[:15], "0" * 40, ""):
        with pytest.raises(NotFound):
            pki.trust_list.find(wrong)


def test_a_strangers_names_steer_no_terminal_and_fill_no_screen() -> None:
    made = make("\x1b[2Klathe\n" + "e" * 40, uri="urn:\x1b[1Alathe" + "e" * 2_000, hosts=("lathe\x1b[8m",))
    certificate = from_der(made.der, "a stranger")
    assert certificate.name == "?[2Klathe?" + "e" * 40
    assert certificate.issuer == "itself"
    assert len(certificate.application_uris[0]) == 1_000
    assert all(one.isprintable() for one in (*certificate.application_uris, *certificate.hosts))


def test_strangers_cannot_fill_the_disk(pki: Pki) -> None:
    key = rsa_key()
    strangers = [make(f"stranger {number}", key=key) for number in range(REJECTED_KEPT + 3)]
    for one in strangers:
        refused(pki, one, NotTrusted)
    kept = list(pki.trust_list.rejected().certificates.values())
    assert kept == [one.certificate for one in strangers[3:]]


def test_a_refusal_needs_no_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "rejected").write_text("no folder", encoding="utf-8")
    refused(Pki(tmp_path), make(), NotTrusted)
    assert "could not be kept" in caplog.text


def test_a_damaged_file_is_named_and_the_others_count(pki: Pki) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)
    (pki.folder / "trusted" / "broken.der").write_bytes(b"\x30\x03abc")
    assert pki.check(made.der, SERVER) == made.certificate
    (damaged,) = pki.trust_list.trusted().damaged
    assert "broken.der" in damaged


def test_a_pem_file_is_trusted_too(pki: Pki) -> None:
    made = make()
    (pki.folder / "trusted").mkdir(parents=True)
    (pki.folder / "trusted" / "lathe.der").write_bytes(made.pem)
    assert pki.check(made.der, SERVER) == made.certificate


# --- authorities ---


def test_whom_a_trusted_authority_vouches_for_is_accepted(pki: Pki) -> None:
    fleet = make_authority()
    made = make(issuer=fleet)
    refused(pki, made, NotTrusted)
    pki.trust_list.trust(fleet.certificate)
    assert pki.check(made.der, SERVER) == made.certificate


def test_an_authority_between_comes_along_in_the_chain(pki: Pki) -> None:
    fleet = make_authority()
    between = make_authority("workshop", 2, issuer=fleet)
    made = make(issuer=between)
    pki.trust_list.trust(fleet.certificate)
    refused(pki, made, NotTrusted)
    assert pki.check(made.der + between.der, SERVER) == made.certificate


def test_an_authority_that_nobody_trusts_vouches_for_nothing(pki: Pki) -> None:
    pki.trust_list.trust(make_authority("another", 2).certificate)
    fleet = make_authority()
    refused(pki, make(issuer=fleet), NotTrusted, SERVER, fleet)


def test_an_authority_of_the_same_name_vouches_for_nothing(pki: Pki) -> None:
    pki.trust_list.trust(make_authority("fleet", 1).certificate)
    refused(pki, make(issuer=make_authority("fleet", 2)), NotTrusted)


def test_a_path_that_is_longer_than_permitted_leads_nowhere(pki: Pki) -> None:
    fleet = make_authority(path_length=0)
    between = make_authority("workshop", 2, issuer=fleet)
    pki.trust_list.trust(fleet.certificate)
    refused(pki, make(issuer=between), NotTrusted, SERVER, between)


def test_a_trusted_machine_vouches_for_no_other(pki: Pki) -> None:
    machine = make("mill", key=rsa_key(1), authority=True)
    pki.trust_list.trust(machine.certificate)
    refused(pki, make(issuer=machine), NotTrusted)


def test_an_expired_authority_is_named(pki: Pki) -> None:
    now = datetime.now(UTC)
    fleet = make("fleet", uri=None, hosts=(), key=rsa_key(1), authority=True, begin=now - 9 * DAY, end=now - DAY)
    pki.trust_list.trust(fleet.certificate)
    assert "its issuer fleet has expired" in refused(pki, make(issuer=fleet), NotValidNow)


# --- what else a certificate is refused for ---


def test_an_expired_certificate_tells_both_dates(pki: Pki) -> None:
    now = datetime.now(UTC)
    made = make(begin=now - 9 * DAY, end=now - DAY)
    pki.trust_list.trust(made.certificate)
    said = refused(pki, made, NotValidNow)
    assert f"has expired on {now - DAY:%Y-%m-%d}, or this lab's clock is wrong: it says {now:%Y-%m-%d}" in said


def test_a_certificate_of_tomorrow_tells_both_dates(tmp_path: Path) -> None:
    pki = Pki(tmp_path, now=lambda: datetime(2024, 2, 3, 4, 5, tzinfo=UTC))
    made = make()
    pki.trust_list.trust(made.certificate)
    said = refused(pki, made, NotValidNow)
    assert f"valid from {made.certificate.not_before:%Y-%m-%d} only" in said
    assert "it says 2024-02-03 04:05 UTC" in said


@pytest.mark.parametrize(
    ("hosts", "host", "fits"),
    [
        (("lathe.local",), "LATHE.local.", True),
        (("lathe.local",), "mill.local", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7",), "192.0.2.8", False),
        (("2001:db8::7",), "2001:DB8:0::7", True),
        (("lathe.local",), "127.0.0.1", False),
        (("localhost",), "127.0.0.1", True),
        (("127.0.0.1",), "localhost", True),
        ((host_name(),), "::1", True),
        (("localhost",), "192.0.2.7", False),
        ((host_name(),), "192.0.2.7", False),
        ((), "lathe.local", False),
    ],
)
def test_the_endpoint_has_to_be_a_host_that_the_certificate_names(
    pki: Pki, hosts: tuple[str, ...], host: str, fits: bool
) -> None:
    made = make(hosts=hosts)
    pki.trust_list.trust(made.certificate)
    peer = Peer("the server", "server", SERVER_URI, host)
    if fits:
        assert pki.check(made.der, peer) == made.certificate
    else:
        said = refused(pki, made, WrongHost, peer)
        assert (", ".join(hosts) or "no host") in said
        assert host in said


def test_an_address_written_as_a_name_counts(pki: Pki) -> None:
    made = make(hosts=("lathe", "127.0.0.1"))
    pki.trust_list.trust(made.certificate)
    assert pki.check(made.der, SERVER) == made.certificate


@pytest.mark.parametrize("uri", [None, "urn:somebody:else"])
def test_the_application_has_to_be_the_one_that_the_certificate_names(pki: Pki, uri: str | None) -> None:
    made = make(uri=uri)
    pki.trust_list.trust(made.certificate)
    said = refused(pki, made, WrongApplication)
    assert (uri or "no application") in said
    assert SERVER_URI in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": rsa_key(0, 1024)}, "an RSA key of 1024 bits"),
        ({"signs": False}, "key usage does not permit"),
        ({"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH,)}, "not that of a server"),
    ],
)
def test_a_certificate_for_something_else_is_refused(pki: Pki, changes: dict[str, Any], words: str) -> None:
    made = make(**changes)
    pki.trust_list.trust(made.certificate)
    assert words in refused(pki, made, WrongUse)


def test_a_client_needs_no_host_but_its_own_purpose(pki: Pki) -> None:
    client = Peer("the client", "client", SERVER_URI)
    made = make(hosts=(), purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    pki.trust_list.trust(made.certificate)
    assert pki.check(made.der, client) == made.certificate
    server = make(purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))
    pki.trust_list.trust(server.certificate)
    assert "not that of a client" in refused(pki, server, WrongUse, client)


def test_everything_that_is_wrong_can_be_asked_for(pki: Pki) -> None:
    now = datetime.now(UTC)
    made = make(uri="urn:x", hosts=("mill",), begin=now - 9 * DAY, end=now - DAY, signs=False)
    found = [type(one) for one in pki.refusals((made.certificate,), SERVER)]
    assert found == [NotTrusted, NotValidNow, WrongHost, WrongApplication, WrongUse]
    assert not pki.trust_list.rejected().certificates


# --- files and bytes ---


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x82\xff\xff", b"no certificate", b"\x30\x03\x02\x01\x05", bytes(70_000)]
)
def test_what_is_no_certificate_is_said(pki: Pki, data: bytes) -> None:
    with pytest.raises(NotACertificate):
        pki.check(data, SERVER)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_whatever_is_changed_in_a_certificate_it_is_refused(pki: Pki) -> None:
    fleet = make_authority()
    pki.trust_list.trust(fleet.certificate)
    right = make(issuer=fleet).der
    dice = random.Random(40501)
    for _ in range(400):
        wrong = bytearray(right)
        at = dice.randrange(len(wrong))
        wrong[at] ^= dice.randrange(1, 256)
        with pytest.raises((NotACertificate, CertificateRefused)):
            pki.check(bytes(wrong), SERVER)


def test_a_chain_is_taken_apart() -> None:
    fleet = make_authority()
    made = make(issuer=fleet)
    assert split_chain(made.der + fleet.der, "x") == (made.certificate, fleet.certificate)
    with pytest.raises(NotACertificate):
        split_chain(made.der + b"\x30\x82\x01", "x")


def test_a_file_is_read_whether_der_or_pem(tmp_path: Path) -> None:
    made = make()
    for name, content in (("a.der", made.der), ("a.pem", made.pem)):
        (tmp_path / name).write_bytes(content)
        assert read(tmp_path / name) == made.certificate
    for content in (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"x"):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(NotACertificate, match="bad"):
            read(tmp_path / "bad")
    with pytest.raises(NotACertificate, match="No such file"):
        read(tmp_path / "none")


def test_a_certificate_with_an_elliptic_key_is_refused_for_its_use(pki: Pki) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    rsa_one = make()
    builder = (
        x509.CertificateBuilder()
        .subject_name(rsa_one.certificate.x509.subject)
        .issuer_name(rsa_one.certificate.x509.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - DAY)
        .not_valid_after(datetime.now(UTC) + DAY)
    )
    for extension in rsa_one.certificate.x509.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    certificate = from_der(builder.sign(rsa_one.key, hashes.SHA256()).public_bytes(Encoding.DER), "x")
    pki.trust_list.trust(certificate)
    with pytest.raises(WrongUse, match="no RSA key"):
        pki.check(certificate.der, SERVER)
