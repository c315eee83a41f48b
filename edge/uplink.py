# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the office as `app.py` plugs it in: relay and publisher, or the outbox alone where no broker is set."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from cryptography import x509

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Scalar
from edge.domain.ports import Clock, Outbox
from edge.services.bus import EventBus, MachineChanged, Message
from edge.services.lab import SyncStatus
from edge.services.supervisor import MachineSupervisor
from edge.store.sqlite_store import Room
from edge.sync.live import LiveTopics
from edge.sync.publisher import MqttPublisher
from edge.sync.relay import OutboxRelay
from edge.sync.settings import SyncSettings
from edge.sync.status import AckHeard, Health, LabIdentity, waiting

LOOK_S = 0.5
FLUSHED_EVERY_S = 0.02
FULL_MB = 1.0
NOT_CONFIGURED = "No broker is configured: everything waits in the outbox."


class LabHealth:
    """What presence says of the lab's health: disk_free_mb, disk_state, clock, metrics_dropped, certificate_ends.

    `room` tells how many readings the disk had no room for, `clock` what the raw wall clock is worth, and `certificate`
    is the file with the one that we show to the broker: the office judges by its own clock when it is time for another.
    """

    def __init__(
        self,
        folder: Path,
        reserve_mb: float,
        room: Callable[[], Awaitable[Room]],
        clock: Callable[[], str],
        certificate: Path | None = None,
    ) -> None:
        self._folder = folder
        self._reserve_mb = reserve_mb
        self._room = room
        self._clock = clock
        self._certificate = certificate

    async def words(self) -> dict[str, Scalar]:
        """Return the words. Raises StoreUnavailable."""
        dropped = (await self._room()).metrics_dropped
        return {"clock": self._clock(), "metrics_dropped": dropped, **self._disk(), **self._ends()}

    def _disk(self) -> dict[str, Scalar]:
        """Return how much is free: MB in steps of 100, so that presence is not said again for each file."""
        try:
            free_mb = shutil.disk_usage(self._folder).free / 1e6
        except OSError:
            return {"disk_state": "unreadable"}
        state = "full" if free_mb < FULL_MB else "low" if free_mb < self._reserve_mb else "ok"
        return {"disk_free_mb": int(free_mb // 100 * 100), "disk_state": state}

    def _ends(self) -> dict[str, Scalar]:
        """Return the last day (UTC) of our certificate; nothing without one, for then there is no connection either."""
        if self._certificate is None:
            return {}
        try:
            certificate = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (OSError, ValueError):
            return {}
        return {"certificate_ends": f"{certificate.not_valid_after_utc:%Y-%m-%d}"}


class _Connected:
    """Relay, publisher and live topics over one broker."""

    def __init__(
        self, settings: SyncSettings, outbox: Outbox, clock: Clock, identity: LabIdentity, health: Health
    ) -> None:
        self._clock = clock
        self._publisher = MqttPublisher(settings, identity.lab, identity.epoch)
        self._live = LiveTopics(self._publisher, identity.lab)
        self._relay = OutboxRelay(outbox, self._publisher, clock, identity, settings, health=health)
        self.notify = self._relay.notify
        self.review = self._relay.review
        self.hear = self._relay.hear
        self.report = self._relay.report

    def renew(self, identity: LabIdentity) -> None:
        """Go on in another epoch."""
        self._relay.renew(identity)
        self._publisher.renew(identity.epoch)

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._relay.run(), name="relay")
                group.create_task(self._publisher.run(), name="publisher")
        finally:
            self._live.close()

    def follow(self, bus: EventBus, machines: Mapping[str, MachineSupervisor]) -> None:
        """Publish the live state of machines."""

        def changed(message: Message) -> None:
            if isinstance(message, MachineChanged):
                self._live.show(message.machine_id, machines[message.machine_id].state)

        bus.subscribe(changed)

    def status(self) -> SyncStatus:
        """Return what the console shows."""
        status = self._relay.status()
        acknowledged = status.acknowledged
        age_ns = self._clock.boot_ns() - acknowledged.boot_ns if acknowledged else None
        return SyncStatus(
            connected=status.connected,
            waiting=status.waiting,
            oldest_waiting_s=None if status.oldest_waiting_s is None else round(status.oldest_waiting_s, 1),
            last_ack_age_s=None if age_ns is None else round(age_ns / 1e9, 1),
            sent=status.batches_sent,
            resent=status.batches_resent,
            last_error=status.last_error,
        )


class _OutboxOnly:
    """Counts what waits, for the console."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wake = asyncio.Event()
        self._wake.set()
        self._status = SyncStatus(connected=False, waiting=waiting([]), last_error=NOT_CONFIGURED)
        self.notify = self.review = self._wake.set

    async def run(self) -> None:
        """Look whenever facts came, at most twice a second, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                counted, error = waiting(await self._outbox.heads()), NOT_CONFIGURED
            except StoreUnavailable as unavailable:
                counted, error = dict(self._status.waiting), str(unavailable)
            self._status = SyncStatus(connected=False, waiting=counted, last_error=error)
            await asyncio.sleep(LOOK_S)

    def follow(self, bus: EventBus, machines: Mapping[str, MachineSupervisor]) -> None:
        """Publish nothing: there is nobody to hear it."""

    def renew(self, identity: LabIdentity) -> None:
        """Go on in another epoch: count anew."""
        self.notify()

    def hear(self, on_ack: Callable[[AckHeard], None]) -> None:
        """Never call `on_ack`: nobody acknowledges."""

    def report(self, on_damage: Callable[[], None]) -> None:
        """Never call `on_damage`: nothing is read."""

    def status(self) -> SyncStatus:
        """Return what the console shows."""
        return self._status


class Uplink:
    """What `app.py` and the console need of the way to the office. `hear` passes on what acks tell of the clock.

    `report` passes on that waiting facts are damaged, `review` takes the word that the record was put right.
    """

    def __init__(
        self, sync: SyncSettings | None, outbox: Outbox, clock: Clock, identity: LabIdentity, health: Health
    ) -> None:
        self._way = _OutboxOnly(outbox) if sync is None else _Connected(sync, outbox, clock, identity, health)
        self.notify = self._way.notify
        self.review = self._way.review
        self.hear = self._way.hear
        self.report = self._way.report
        self.renew = self._way.renew
        self.status = self._way.status
        self.run = self._way.run
        self.follow = self._way.follow

    async def flush(self, timeout: float) -> None:
        """Wait until the office has everything, where it can be reached; at most `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                # Polled: the end of a service is no place for one more subscription.
                while self.status().connected and any(self.status().waiting.values()):  # noqa: ASYNC110
                    await asyncio.sleep(FLUSHED_EVERY_S)
        except TimeoutError:
            return
