# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session of the OPC UA server acknowledges."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.subscription_service import SubscriptionService

from edge.opcua_server.sessions import Session


class Kept:
    """A subscription that remembers what was acknowledged."""

    def __init__(self, session_id: ua.NodeId) -> None:
        self.session_id = session_id
        self.acknowledged: list[int] = []

    def publish(self, numbers: list[int]) -> None:
        self.acknowledged += numbers


@pytest.fixture
def book() -> Any:
    return SubscriptionService(aspace=None)  # type: ignore[arg-type]


@pytest.fixture
def session(book: Any) -> Session:
    return Session(SimpleNamespace(), None, book, "one")  # type: ignore[arg-type]


def test_only_its_own_notifications_are_acknowledged(book: Any, session: Session) -> None:
    book.subscriptions = {7: Kept(ua.NodeId(1)), 8: Kept(session.session_id), 9: Kept(ua.NodeId(1))}
    acks = [ua.SubscriptionAcknowledgement(number, 5) for number in (7, 8, 9, 10)]
    many, results = session.publish(acks)
    assert many == 1
    invalid = ua.StatusCodes.BadSubscriptionIdInvalid
    assert [one.value for one in results] == [invalid, 0, invalid, invalid]
    assert [one.acknowledged for one in book.subscriptions.values()] == [[], [5], []]


def test_who_has_no_subscription_waits_for_nothing(book: Any, session: Session) -> None:
    book.subscriptions = {7: Kept(ua.NodeId(1))}
    with pytest.raises(ServiceError) as refused:
        session.publish()
    assert refused.value.code == ua.StatusCodes.BadNoSubscription
