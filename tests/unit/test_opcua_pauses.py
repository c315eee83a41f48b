# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon a lost machine is looked for again, and sequence numbers of what a server reports."""

from __future__ import annotations

import pytest

from edge.drivers.opcua.errors import CertificateRefused, CredentialsRefused, LinkError, LinkLost, ServerBusy
from edge.drivers.opcua.pauses import Pauses
from edge.drivers.opcua.settings import OpcUaSettings
from edge.drivers.opcua.subscription import Sequence32

SETTINGS = OpcUaSettings.model_validate({"driver": "opcua", "endpoint": "opc.tcp://192.0.2.7:4840"})


def longest(error: LinkError, times: int = 12, lived_s: float = 0.0) -> list[float]:
    """Return the longest of many pauses after each of `times` failures in a row."""
    runs = []
    for _ in range(40):
        pauses = Pauses(SETTINGS)
        runs.append([pauses.after(error, lived_s) for _ in range(times)])
    return [max(one) for one in zip(*runs, strict=True)]


@pytest.mark.parametrize(
    ("error", "first_s", "ceiling_s"),
    [
        (LinkLost(reason="nothing listens"), SETTINGS.retry_min_s, 1.5),
        (ServerBusy(reason="no free session"), SETTINGS.retry_min_s, 4.0),
        (LinkError(reason="nonsense"), SETTINGS.retry_min_s, SETTINGS.retry_max_s),
        (CredentialsRefused(reason="no"), SETTINGS.retry_max_s, SETTINGS.retry_max_s),
        (CertificateRefused(reason="no"), SETTINGS.retry_max_s, SETTINGS.retry_max_s),
    ],
)
def test_pauses_grow_to_a_ceiling(error: LinkError, first_s: float, ceiling_s: float) -> None:
    pauses = longest(error)
    assert first_s / 2 <= pauses[0] <= first_s
    assert ceiling_s / 2 <= pauses[-1] <= ceiling_s
    assert all(pause <= ceiling_s for pause in pauses)


def test_pauses_differ_from_machine_to_machine() -> None:
    assert len({Pauses(SETTINGS).after(LinkLost(reason="lost"), 0.0) for _ in range(20)}) == 20


def test_after_a_connection_that_lasted_the_next_comes_soon() -> None:
    pauses = Pauses(SETTINGS)
    for _ in range(10):
        pauses.after(LinkError(reason="nonsense"), 0.0)
    assert pauses.after(LinkLost(reason="lost"), 2 * SETTINGS.watchdog_s) <= SETTINGS.retry_min_s


def test_the_settings_ceiling_holds_for_all() -> None:
    pauses = Pauses(SETTINGS.model_copy(update={"retry_min_s": 0.1, "retry_max_s": 0.3}))
    for error in (LinkLost(reason="lost"), ServerBusy(reason="busy"), CredentialsRefused(reason="no")):
        assert all(pauses.after(error, 0.0) <= 0.3 for _ in range(8))


def test_messages_in_order_are_not_missed() -> None:
    numbers = Sequence32()
    assert not numbers.missed(1, keep_alive=True)
    assert not numbers.missed(1, keep_alive=False)
    assert not numbers.missed(2, keep_alive=False)
    assert not numbers.missed(3, keep_alive=True)
    assert not numbers.missed(3, keep_alive=True)
    assert not numbers.missed(3, keep_alive=False)


def test_a_missing_message_is_noticed_once() -> None:
    numbers = Sequence32()
    assert not numbers.missed(1, keep_alive=False)
    assert numbers.missed(3, keep_alive=False)
    assert not numbers.missed(4, keep_alive=False)
    assert numbers.missed(7, keep_alive=True)
    assert not numbers.missed(7, keep_alive=False)


def test_a_server_that_repeats_its_last_number_in_keep_alives() -> None:
    numbers = Sequence32()
    assert not numbers.missed(1, keep_alive=False)
    assert not numbers.missed(1, keep_alive=True)
    assert not numbers.missed(0, keep_alive=True)
    assert not numbers.missed(2, keep_alive=False)


def test_numbers_begin_again_at_one() -> None:
    numbers = Sequence32()
    assert numbers.missed(2**32 - 1, keep_alive=False)
    assert not numbers.missed(1, keep_alive=False)
    assert not numbers.missed(2, keep_alive=True)
