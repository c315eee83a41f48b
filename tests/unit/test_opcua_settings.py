# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be set about a machine on OPC UA, and how a mistake is named."""

from __future__ import annotations

import socket
import sys
from subprocess import run
from typing import Any

import pytest
from asyncua.ua.uaerrors import BadTooManySessions, BadUnexpectedError, UaError
from pydantic import ValidationError

from edge.drivers.opcua.settings import OpcUaSettings
from edge.drivers.opcua.subscription import silence_limit_s
from edge.drivers.opcua.translate import link_error

GOOD: dict[str, Any] = {"driver": "opcua", "endpoint": "opc.tcp://192.0.2.7:4840/lathe"}
PASSWORD = {"user": "ann", "password_file": "lathe.secret"}
CERTIFICATE = {"user_certificate_file": "ann.der", "user_key_file": "ann.pem"}


def test_two_lines_are_enough() -> None:
    settings = OpcUaSettings.model_validate(GOOD)
    assert (settings.model, settings.machine, settings.inputs) == ("umati", None, ())
    assert (settings.security, settings.policy) == ("sign_and_encrypt", "basic256sha256")
    assert (settings.write, settings.job_control) == (False, False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"endpiont": "x"}, "Extra inputs are not permitted"),
        ({"endpoint": "http://192.0.2.7:4840"}, "an endpoint looks like"),
        ({"endpoint": "opc.tcp://192.0.2.7/lathe"}, "with its port"),
        ({"endpoint": "opc.tcp://192.0.2.7:99999/"}, "an endpoint looks like"),
        ({"endpoint": "opc.tcp://:4840/"}, "an endpoint looks like"),
        ({"endpoint": "opc.tcp://ann:secret@192.0.2.7:4840"}, "set `user` and `password_file`"),
        ({"user": "ann"}, "go together"),
        ({"password_file": "/etc/infomobil/lathe"}, "go together"),
        ({"publishing_ms": 1000}, "`watchdog_s` has to be at least 20"),
        ({"retry_min_s": 30}, "`retry_max_s` is shorter"),
        ({"inputs": [{"name": "door", "node": "a"}, {"name": "door", "node": "b"}]}, "the same name"),
        ({"inputs": [{"name": "door"}]}, "Field required"),
        ({"model": "plain"}, "'umati'"),
        ({"model": "mapping"}, "`mapping_file` goes with"),
        ({"mapping_file": "/etc/infomobil/mill.toml"}, "`mapping_file` goes with"),
        ({"job_control": True}, "needs `write`"),
        ({"channel": 0}, "greater than or equal to 1"),
        ({"refresh_s": 1.5}, "less than or equal to 1.2"),
        ({"program_folder": "/Programs"}, "below the machine's file system"),
        ({"program_folder": "Programs/../System"}, "below the machine's file system"),
        ({"security": "low"}, "'sign_and_encrypt'"),
        ({"policy": "basic128rsa15"}, "'basic256sha256'"),
        ({"user": ""}, "at least 1 character"),
        ({"user_key_file": "key.pem"}, "`user_certificate_file` and `user_key_file` go together"),
        ({"user_certificate_file": "ann.der"}, "`user_certificate_file` and `user_key_file` go together"),
        ({**PASSWORD, **CERTIFICATE}, "not both"),
        ({**PASSWORD, "security": "none"}, "would cross the network readable"),
        ({**CERTIFICATE, "security": "none"}, "a user certificate needs"),
        ({**PASSWORD, "password_in_clear": True}, "goes with `security` none only"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        OpcUaSettings.model_validate({**GOOD, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"model": "mapping", "mapping_file": "mill.toml"},
        {"write": True, "job_control": True, "program_folder": "Programs/Van"},
        {**PASSWORD, "security": "sign"},
        {**CERTIFICATE, "policy": "aes128_sha256_rsaoaep"},
        {**PASSWORD, "security": "none", "password_in_clear": True},
        {**PASSWORD, "security": "none", "endpoint": "opc.tcp://127.0.0.1:4840"},
        {**PASSWORD, "security": "none", "endpoint": "opc.tcp://[::1]:4840"},
        {**PASSWORD, "security": "none", "endpoint": "opc.tcp://localhost:4840"},
    ],
)
def test_what_goes_together_is_taken(change: dict[str, Any]) -> None:
    OpcUaSettings.model_validate({**GOOD, **change})


def test_the_silence_that_means_a_dead_link_follows_what_the_server_grants() -> None:
    settings = OpcUaSettings.model_validate(GOOD)
    assert silence_limit_s(settings, 250, 10) == settings.watchdog_s
    assert silence_limit_s(settings, 1000, 10) == 20


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host name in 192.0.2.7:4840 is not known"),
        (ConnectionRefusedError(111, "refused"), "nothing listens at 192.0.2.7:4840"),
        (ConnectionResetError(104, "reset"), "192.0.2.7:4840 closed the connection: is it an OPC UA server?"),
        (OSError(113, "No route to host"), "192.0.2.7:4840 cannot be reached (No route to host)"),
        (OSError("Multiple exceptions"), "192.0.2.7:4840 cannot be reached (Multiple exceptions)"),
        (BadTooManySessions(), "the server has no free session"),
        (BadUnexpectedError(), "the server answered BadUnexpectedError"),
        (UaError("No matching endpoints: 1, None"), "the server accepts secured connections only"),
        (KeyError("x"), "the server's answer makes no sense (KeyError: 'x')"),
    ],
)
def test_what_went_wrong_is_said_in_words(error: Exception, words: str) -> None:
    assert link_error(error, GOOD["endpoint"]).reason == words


def test_the_library_is_not_loaded_before_a_connection() -> None:
    code = "import sys, edge.drivers.opcua.driver, edge.drivers.opcua.inputs; sys.exit('asyncua' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
