# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server may answer when it is asked to end the session of a connection that was lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from asyncua.ua.uaerrors import (
    BadApplicationSignatureInvalid,
    BadIdentityTokenRejected,
    BadSecurityChecksFailed,
    BadSessionIdInvalid,
)

from edge.drivers.opcua.leftover import Leftover
from edge.drivers.opcua.security import SecuredClient
from tests.support.certificates import make
from tests.support.opcua import settings


class Answers:
    """The part of asyncua's client that knows the session; each activation is answered as the test says."""

    def __init__(self, answer: Exception | None) -> None:
        self.session = self
        self.authentication_token: object = "lost"
        self.tokens: list[object] = []
        self.closed = 0
        self._answer = answer

    def restore_authentication_token(self, token: object) -> None:
        self.authentication_token = token

    def reset_authentication_token(self) -> None:
        self.authentication_token = None

    async def activate_session(self, _parameters: Any) -> Any:
        self.tokens.append(self.authentication_token)
        if self._answer is not None:
            raise self._answer
        return SimpleNamespace(ServerNonce=b"next")

    async def close_session(self, *, delete_subscriptions: bool) -> None:
        assert delete_subscriptions
        self.closed += 1


def secured(answer: Exception | None = None) -> tuple[Any, Answers]:
    client: Any = SecuredClient(settings("opc.tcp://127.0.0.1:4840"), None)
    client._own = SimpleNamespace(certificate=make().certificate, certificate_file="own.der")
    client._server_nonce = b"nonce"
    answers = client.uaclient = Answers(answer)
    return client, answers


@pytest.mark.parametrize(
    "answer",
    [
        None,
        BadSessionIdInvalid(),
        BadSecurityChecksFailed(),
        BadApplicationSignatureInvalid(),
        BadIdentityTokenRejected(),
    ],
)
async def test_however_a_server_refuses_a_lost_session_the_next_one_is_opened(answer: Exception | None) -> None:
    leftover = Leftover()
    leftover.keep(secured()[0])
    client, answers = secured(answer)
    answers.authentication_token = None
    await leftover.end(client)
    assert answers.tokens == ["lost"]
    assert answers.closed == (answer is None)
    assert (answers.authentication_token, client._server_nonce, client._policy_ids) == (None, None, [])
    await leftover.end(client)
    assert answers.tokens == ["lost"]


async def test_a_link_that_is_lost_meanwhile_is_lost() -> None:
    leftover = Leftover()
    leftover.keep(secured()[0])
    client, _ = secured(ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        await leftover.end(client)
