# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a machine that must not be accepted, on the second stack, and the way to accept one.

What asyncua's server shows is tried in test_opcua_security.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.drivers.opcua.settings import OpcUaSettings
from edge.pki import Pki
from tests.support.certificates import DAY, Made, make
from tests.support.opcua import Lathe, settings
from tests.support.opcua_node import node_lathe_process
from tests.support.opcua_trial import trial

NODE_URI = "urn:infomobil:simulator:node-lathe"


@asynccontextmanager
async def shown(folder: Path, made: Made, *arguments: str) -> AsyncIterator[Lathe]:
    """Run a lathe that takes secured connections only and shows this certificate."""
    _, key = made.write(folder, "node")
    certificate = folder / "node.crt"
    certificate.write_bytes(made.pem)
    security = ("--security", "--certificate", str(certificate), "--key", str(key))
    async with node_lathe_process(folder, "--idle", *security, *arguments) as lathe:
        yield lathe


def secured(endpoint: str, **changes: Any) -> OpcUaSettings:
    """Return settings with short times and a secured channel."""
    return settings(endpoint, **{"security": "sign_and_encrypt", "timeout_s": 4.0, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"begin": datetime.now(UTC) - 9 * DAY, "end": datetime.now(UTC) - DAY}, "has expired on"),
        (
            {"hosts": ("mill.local", "192.0.2.9")},
            "it is that of mill.local, 192.0.2.9, and the endpoint says 127.0.0.1",
        ),
    ],
    ids=["expired", "wrong host"],
)
async def test_a_trusted_certificate_that_is_wrong_opens_no_session(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    made = make(uri=NODE_URI, **changes)
    pki = Pki(tmp_path / "pki")
    pki.trust_list.trust(made.certificate)
    async with shown(tmp_path, made) as lathe, trial(lathe, secured, pki) as one:
        await one.watch.until(lambda state: words in state.fault_reason, words)
        assert one.census.most_sessions == 0
        assert one.facts == []


@pytest.mark.parametrize("policy", ["basic256sha256", "aes128_sha256_rsaoaep"])
async def test_an_unknown_certificate_is_refused_until_somebody_trusts_it(tmp_path: Path, policy: str) -> None:
    made = make(uri=NODE_URI)
    pki = Pki(tmp_path / "pki")
    thumbprint = made.certificate.thumbprint
    async with (
        shown(tmp_path, made) as lathe,
        trial(lathe, lambda endpoint: secured(endpoint, policy=policy, retry_max_s=0.5), pki) as one,
    ):
        state = await one.watch.until(lambda state: thumbprint in state.fault_reason, "a refusal with the thumbprint")
        assert f"infomobil-edge opcua trust {thumbprint}" in state.fault_reason
        assert one.census.most_sessions == 0
        pki.trust_list.trust(pki.trust_list.find(thumbprint))
        await one.watch.until_available()
        one.proxy.cut()
        await one.watch.until(lambda _state: len(one.gaps) == 1, "a gap")


async def test_a_machine_that_does_not_trust_the_lab_is_told_with_our_thumbprint(tmp_path: Path) -> None:
    made = make(uri=NODE_URI)
    pki = Pki(tmp_path / "pki")
    pki.trust_list.trust(made.certificate)
    async with shown(tmp_path, made, "--strict") as lathe, trial(lathe, secured, pki) as one:
        state = await one.watch.until(lambda state: "refuses this lab's certificate" in state.fault_reason, "a refusal")
        assert pki.own().certificate.thumbprint[:4] in state.fault_reason.replace(" ", "")
        assert one.census.most_sessions == 0
