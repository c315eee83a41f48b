# SPDX-License-Identifier: GPL-3.0-or-later
"""Stays connected to the broker. A broker that is away is normal: it is logged once, and its return once."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from edge.domain.air import Outgoing, TooLarge
from edge.sync.connection import Connection
from edge.sync.settings import SyncSettings
from wire import topics
from wire.batch import Presence
from wire.codec import encode_presence

log = logging.getLogger(__name__)

STEADY_S = 10.0
"""A connection that ended sooner counts as a failed attempt: a broker that lets nobody stay is not asked in a hurry."""


NAMED_EPOCH = 8
"""Characters of the epoch in the name: MQTT brokers must take names of 23, and most take longer ones."""


def offline(lab: str, epoch: str = "") -> Outgoing:
    """Return the retained word that the lab is away: its will, and its farewell."""
    return Outgoing(topics.presence(lab), encode_presence(Presence(lab, "offline", epoch=epoch)), qos=1, retain=True)


class MqttPublisher:
    """Publisher over MQTT 5 with clean start and session expiry 0: the broker keeps nothing for us but presence.

    The client's name has the epoch in it: a lab and the clone of its card, whose epochs differ, would otherwise throw
    each other out for ever, and neither would send what it holds. Nor can another lab guess it to end our connection.
    """

    def __init__(self, settings: SyncSettings, lab: str, epoch: str = "") -> None:
        self._settings = settings
        self._lab = lab
        self._connection: Connection | None = None
        self.renew(epoch)
        self._on_link: Callable[[bool], None] = lambda up: None
        self._on_message: Callable[[str, bytes], None] = lambda topic, payload: None
        self._reported = False
        self._error = ""
        self._refusals: dict[str, str] = {}

    def renew(self, epoch: str) -> None:
        """Go by another epoch: a connection that is there is made anew, for its will names the one before."""
        self._client_id = f"infomobil-{self._lab}-{epoch[:NAMED_EPOCH]}" if epoch else f"infomobil-{self._lab}"
        self._farewell = offline(self._lab, epoch)
        if self._connection is not None and not self._connection.lost.done():
            self._connection.lost.set_result("a new epoch has begun")

    @property
    def connected(self) -> bool:
        """Return whether the broker accepted us and our subscriptions, and the connection is not known to be lost."""
        return self._connection is not None and not self._connection.lost.done()

    @property
    def last_error(self) -> str:
        """Return what the broker refuses now, or why there is, or last was, no connection; empty where all was well."""
        return next(iter(self._refusals.values()), self._error)

    @property
    def window(self) -> int:
        """Return how many messages of QoS 1 the broker takes before it has confirmed one; at least 1."""
        return self._connection.allowance.window if self._connection is not None else 1

    def fits(self, message: Outgoing) -> bool:
        """Return whether the broker takes a message as large as this one; any, while there is none."""
        return self._connection is None or self._connection.fits(message)

    def listen(self, on_link: Callable[[bool], None], on_message: Callable[[str, bytes], None]) -> None:
        """Call `on_link` when the connection is there or gone, and `on_message` with topic and payload."""
        self._on_link, self._on_message = on_link, on_message

    def publish(self, message: Outgoing) -> None:
        """Hand over one message now; raises ConnectionError while away or congested, TooLarge beyond the limit."""
        if self._connection is None:
            raise ConnectionError("not connected")
        try:
            self._connection.publish(message)
        except TooLarge as error:
            self._refusals[message.topic] = str(error)
            raise

    async def run(self) -> None:
        """Connect and stay connected until cancelled; then leave the word that the lab is away."""
        delay = self._settings.retry_min_s
        while True:
            came_up, since = False, 0.0
            connection = Connection(self._settings, self._client_id, self._farewell, topics.PRESENCE_WILL_DELAY_S)
            try:
                await connection.connect([topics.ack_filter(self._lab)])
                came_up, since = True, asyncio.get_running_loop().time()
                self._came_up(connection)
                self._failed(await asyncio.shield(connection.lost))
            except TimeoutError:
                self._failed("the broker does not answer")
            except (OSError, ValueError) as error:
                self._failed(_words(error))
            except asyncio.CancelledError:
                if came_up:
                    await connection.goodbye(self._farewell)
                raise
            finally:
                connection.close()
                self._connection = None
                self._refusals.clear()
                if came_up:
                    self._on_link(False)  # noqa: FBT003 - the callback's only argument
            # Jitter: ten thousand labs must not come back in the same second after an outage of the broker.
            steady = came_up and asyncio.get_running_loop().time() - since >= STEADY_S
            delay = self._settings.retry_min_s if steady else min(delay * 2, self._settings.retry_max_s)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))

    def _came_up(self, connection: Connection) -> None:
        connection.on_message = lambda topic, payload: self._on_message(topic, payload)
        connection.on_confirmed = self._confirmed
        self._connection = connection
        if self._reported:
            log.info("The broker %s:%s is there again.", self._settings.host, self._settings.port)
        self._reported = False
        self._on_link(True)  # noqa: FBT003 - the callback's only argument

    def _confirmed(self, topic: str, refusal: str) -> None:
        if refusal:
            if topic not in self._refusals:
                log.warning("%s", refusal)
            self._refusals[topic] = refusal
        else:
            self._refusals.pop(topic, None)

    def _failed(self, reason: str) -> None:
        self._error = reason
        if not self._reported:
            log.warning(
                "No connection to the broker %s:%s (%s): facts wait.", self._settings.host, self._settings.port, reason
            )
        self._reported = True


def _words(error: OSError | ValueError) -> str:
    """Return the error without its number, with the file where one is to blame."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
