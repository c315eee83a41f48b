# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's end of TLS makes of a broker that ends the connection, with a word or without."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.sync.settings import SyncSettings
from edge.sync.tls import BrokerSocket, context, words
from office.broker import Authority
from office.broker.mosquitto import Listening

_ABORT = struct.pack("ii", 1, 0)


def _fill(ours: BrokerSocket) -> None:
    while True:
        ours.send(bytes(1 << 16))


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "the broker refused our certificate: it was revoked"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "the broker speaks no TLS of 1.2 or later"),
        ("TLSV1_ALERT_NO_RENEGOTIATION", "the broker ended TLS: no renegotiation"),
        ("WRONG_VERSION_NUMBER", ""),
        ("", ""),
    ],
)
def test_alerts_are_told_in_words_and_nothing_else_is_one(reason: str, said: str) -> None:
    assert words(alert(reason)) == said


@pytest.fixture
def settings(tmp_path: Path) -> SyncSettings:
    authority = Authority(tmp_path / "broker")
    authority.init(("localhost",), Listening(tmp_path))
    folder = authority.issue("van-1")
    files = {"ca_file": folder / "ca.pem", "cert_file": folder / "van-1.pem", "key_file": folder / "van-1.key"}
    return SyncSettings.model_validate({"host": "localhost", **files})


@pytest.fixture
def ends(tmp_path: Path, settings: SyncSettings) -> Iterator[tuple[BrokerSocket, ssl.SSLSocket]]:
    """Both ends of a connection: ours, and the broker's, which has no list of what is revoked."""
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "broker/mosquitto/server.pem", tmp_path / "broker/mosquitto/server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[ssl.SSLSocket] = []

        def accept() -> None:
            accepted.append(served.wrap_socket(listener.accept()[0], server_side=True))

        thread = threading.Thread(target=accept)
        thread.start()
        plain = socket.create_connection(listener.getsockname())
        ours = context(settings).wrap_socket(plain, server_hostname="localhost")
        thread.join(15)
    assert isinstance(ours, BrokerSocket)
    with ours, accepted[0]:
        yield ours, accepted[0]


def test_what_is_said_goes_through(ends: tuple[BrokerSocket, ssl.SSLSocket]) -> None:
    ours, theirs = ends
    assert ours.send(b"to") == 2
    assert theirs.recv(10) == b"to"
    theirs.send(b"fro")
    assert ours.recv(10) == b"fro"
    ours.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        ours.recv(10)
    with pytest.raises(ssl.SSLWantWriteError):
        _fill(ours)
    assert ours.refusal == ""


def test_a_connection_that_breaks_without_a_word_has_no_refusal(ends: tuple[BrokerSocket, ssl.SSLSocket]) -> None:
    ours, theirs = ends
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    theirs.close()
    with pytest.raises(OSError, match=r"reset|Broken pipe|EOF"):
        _fill(ours)
    assert ours.refusal == ""


def test_files_that_are_not_there_are_named_by_the_system(settings: SyncSettings) -> None:
    assert settings.key_file is not None
    settings.key_file.unlink()
    with pytest.raises(FileNotFoundError):
        context(settings)
