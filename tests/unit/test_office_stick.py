# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a stick is total: any bytes give a stick or a sentence, and only what a van signed is a stick."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.keys import LabKey, lab_key
from edge.stick.archive import Archive
from office.stick import BadStick, read_stick
from office.stick import archive as office_archive
from tests.support.office import Sender, headcount
from wire.batch import BadMessage
from wire.stick import (
    MANIFEST,
    MAX_FILES,
    MAX_MANIFEST,
    PRESENCE,
    SIGNATURE,
    Listed,
    Manifest,
    batch_name,
    decode_manifest,
    encode_manifest,
    stream_of,
    to_sign,
)

NAME = batch_name("visits", "e1", 1)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> LabKey:
    return lab_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def good(key: LabKey, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("stick")
    with Archive(folder, "van-1") as archive:
        archive.add(PRESENCE, b'{"v":1}')
        archive.add(NAME, Sender().payload([headcount("v1", 20)]))
        return archive.finish("van-1", "1.1", key).read_bytes()


def contents(good: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()


def signed(key: LabKey, manifest: bytes, files: dict[str, bytes]) -> bytes:
    return packed({**files, MANIFEST: manifest, SIGNATURE: key.sign(to_sign(manifest))})


def refusal(content: bytes) -> str:
    with pytest.raises(BadStick) as refused:
        read_stick(io.BytesIO(content))
    return str(refused.value)


def test_what_a_van_wrote_is_read_as_it_wrote_it(good: bytes, key: LabKey) -> None:
    stick = read_stick(io.BytesIO(good))
    assert (stick.manifest.lab, stick.manifest.key, stick.manifest.software) == ("van-1", key.public_hex, "1.1")
    assert {item.name: content for item, content in stick.contents()} == {
        name: content for name, content in contents(good).items() if name not in (MANIFEST, SIGNATURE)
    }
    assert [item.stream for item in stick.manifest.files] == [None, "visits"]


def test_any_zip_program_can_look_into_it_and_the_labs_clock_is_not_in_it(good: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_stick_that_was_changed_anywhere_is_refused_or_says_the_same(good: bytes, data: st.DataObject) -> None:
    """The archive's own directory and its times are not signed, and say nothing that is read."""
    at = data.draw(st.integers(0, len(good) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "drop"]))
    bad = {
        "flip": good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :],
        "cut": good[:at],
        "insert": good[:at] + data.draw(st.binary(min_size=1, max_size=40)) + good[at:],
        "drop": good[:at] + good[at + data.draw(st.integers(1, 40)) :],
    }[how]
    try:
        stick = read_stick(io.BytesIO(bad))
    except BadStick:
        return
    before = read_stick(io.BytesIO(good))
    assert stick.manifest == before.manifest
    assert list(stick.contents()) == list(before.contents())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_a_sentence(content: bytes) -> None:
    assert refusal(content).startswith("The stick is not taken in: ")
    assert refusal(b"PK\x03\x04" + content).endswith(".")


def test_a_bomb_does_not_go_off(good: bytes, key: LabKey) -> None:
    zeros = {"batches/visits-e1-1.imb": bytes(50_000_000)}
    assert "packed in a way" in refusal(packed({**contents(good), **zeros}, zipfile.ZIP_DEFLATED))
    manifest = encode_manifest(Manifest("van-1", key.public_hex, "1.1", (Listed(NAME, 1 << 20, "0" * 64),)))
    assert "not as the van wrote it" in refusal(signed(key, manifest, {NAME: bytes(3 << 20)}))


def test_more_bytes_or_files_than_a_stick_has_are_not_looked_at(good: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_archive, "MAX_FILES", 1)
    assert "more than 1 files" in refusal(good)
    monkeypatch.setattr(office_archive, "MAX_STICK", 10)
    monkeypatch.setattr(office_archive, "_END_ROOM", 10)
    assert "more than 10" in refusal(good)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda files: files.pop(MANIFEST), "manifest.json is missing"),
        (lambda files: files.pop(SIGNATURE), "manifest.sig is missing"),
        (lambda files: files.pop(NAME), f"{NAME} is missing: copy the file again"),
        (lambda files: files.update({"notes.txt": b"x"}), "notes.txt is not among what the van wrote"),
        (lambda files: files.update({NAME: files[NAME] + b"x"}), "is not as the van wrote it"),
        (lambda files: files.update({NAME: files[NAME][:-1] + b"x"}), "is not as the van wrote it"),
        (lambda files: files.update({SIGNATURE: bytes(64)}), "signature does not hold"),
        (lambda files: files.update({SIGNATURE: bytes(65)}), "65 bytes, more than 64"),
        (lambda files: files.update({SIGNATURE: b""}), "signature does not hold"),
        (
            lambda files: files.update({MANIFEST: files[MANIFEST].replace(b"van-1", b"van-2")}),
            "signature does not hold",
        ),
        (lambda files: files.update({MANIFEST: bytes(MAX_MANIFEST + 1)}), f"more than {MAX_MANIFEST}"),
        (lambda files: files.update({MANIFEST: b"{}"}), "not one of version 1"),
        (lambda files: files.update({"../../etc/passwd": b"x"}), "../../etc/passwd is not among"),
        (lambda files: files.update({"ž": b"x"}), "name that vans do not give"),
        (lambda files: files.update({"a" * 121: b"x"}), "name that vans do not give"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    good: bytes, change: Callable[[dict[str, bytes]], object], why: str
) -> None:
    files = contents(good)
    change(files)
    assert why in refusal(packed(files))


def test_a_name_that_is_there_twice_is_refused(good: bytes) -> None:
    files = contents(good)
    other = NAME.replace("1.imb", "2.imb")
    whole = packed({**files, other: b"another"}).replace(other.encode(), NAME.encode())
    assert f"{NAME} twice" in refusal(whole)


def test_what_another_key_signed_does_not_hold(good: bytes, tmp_path: Path) -> None:
    files = contents(good)
    files[SIGNATURE] = lab_key(tmp_path).sign(to_sign(files[MANIFEST]))
    assert "signature does not hold" in refusal(packed(files))


def test_a_signature_of_the_manifest_alone_is_none(good: bytes, key: LabKey) -> None:
    files = contents(good)
    files[SIGNATURE] = key.sign(files[MANIFEST])
    assert "signature does not hold" in refusal(packed(files))


def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(good: bytes) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(BadStick, match="Input/output error"):
        read_stick(Broken(good))


def listing(*files: object, **changes: object) -> bytes:
    base: dict[str, object] = {"v": 1, "lab": "van-1", "key": "a1" * 32, "software": "1", "files": list(files)}
    return json.dumps({**base, **changes}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        listing(v=2),
        listing(lab="VAN 1"),
        listing(lab=1),
        listing(key="a1"),
        listing(key=None),
        listing(software=1),
        listing(software="x" * 201),
        listing(files={}),
        listing(*([NAME, 1, "0" * 64],) * (MAX_FILES + 1)),
        listing([NAME, 1, "0" * 64], [NAME, 1, "0" * 64]),
        listing([NAME, 0, "0" * 64]),
        listing([NAME, (1 << 20) + 1, "0" * 64]),
        listing([NAME, True, "0" * 64]),
        listing([NAME, 1.0, "0" * 64]),
        listing([NAME, 1, "0" * 63]),
        listing([NAME, 1]),
        listing(["batches/people-e1-1.imb", 1, "0" * 64]),
        listing([MANIFEST, 1, "0" * 64]),
        listing(["/etc/passwd", 1, "0" * 64]),
        bytes(MAX_MANIFEST + 1),
    ],
)
def test_what_is_no_manifest_is_told_so(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_manifest(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_bad(payload: bytes) -> None:
    with suppress(BadMessage):
        decode_manifest(payload)


def test_names_of_batches_tell_their_stream() -> None:
    for stream in ("visits", "safety", "jobs", "metrics"):
        assert stream_of(batch_name(stream, "0af1", 501)) == stream
    for name in (PRESENCE, "batches/visits-e1.imb", "batches/visits-../-1.imb", "x/batches/visits-e1-1.imb"):
        assert stream_of(name) is None
