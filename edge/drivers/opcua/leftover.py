# SPDX-License-Identifier: GPL-3.0-or-later
"""The session that a lost connection left on the server.

A server keeps such a session until its time-out, and a control may have as few as five. So it is the first thing that
the next connection ends: it takes the session over on its own channel (OPC 10000-4, 5.6.3 and 6.7) and closes it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from asyncua.ua.uaerrors import UaStatusCodeError

from edge.drivers.opcua.errors import NeedsPerson

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Session:
    """What proves that a session is ours: whoever knows it may act in our name on an unsecured channel."""

    token: Any = field(repr=False)
    nonce: bytes | None = field(repr=False)
    policies: Any
    certificate: bytes | None = field(repr=False)


class Leftover:
    """At most one session, over the connections of one machine."""

    def __init__(self) -> None:
        self._session: _Session | None = None

    def keep(self, client: Any) -> None:
        """Remember the session of `client`: it is on the server until `forget`."""
        self._session = _Session(
            client.uaclient.session.authentication_token,
            client._server_nonce,  # noqa: SLF001
            client._policy_ids,  # noqa: SLF001
            client.security_policy.peer_certificate,
        )

    def forget(self) -> None:
        """Nothing is left: the server has closed the session."""
        self._session = None

    async def end(self, client: Any) -> None:
        """Close what was left, over the channel of `client`, which has no session yet.

        It is tried once: a server that has forgotten the session, or gives it to no other channel, says so, and how it
        says it tells nothing of the session that is opened next. Raises what asyncua raises where the connection is
        lost.
        """
        left, self._session = self._session, None
        if left is None:
            return
        client.uaclient.session.restore_authentication_token(left.token)
        client._server_nonce = left.nonce  # noqa: SLF001
        client._policy_ids = left.policies  # noqa: SLF001
        shown = client.security_policy.peer_certificate
        client.security_policy.peer_certificate = shown or left.certificate
        try:
            await client._activate_with_credentials()  # noqa: SLF001
            await client.uaclient.close_session(delete_subscriptions=True)
        except (UaStatusCodeError, NeedsPerson) as error:
            _log.debug("the session that was left is not ended: %r", error)
        finally:
            client.security_policy.peer_certificate = shown
            client._server_nonce = None  # noqa: SLF001
            client._policy_ids = []  # noqa: SLF001
            client.uaclient.session.reset_authentication_token()
