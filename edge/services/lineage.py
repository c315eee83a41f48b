# SPDX-License-Identifier: GPL-3.0-or-later
"""The first fact of every epoch: which copy of which card went on from where, so that the office can order epochs."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from edge.domain.errors import StoreUnavailable
from edge.domain.events import EventType, Scalar
from edge.services.recorder import Recorder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where an epoch comes from: the database file's name, the epoch's number in it from 1, and the one before.

    set_aside tells that a damaged database was put aside and this one is new.
    """

    install: str
    ordinal: int
    previous: str | None
    set_aside: bool


async def tell_start(recorder: Recorder, lineage: Lineage, boot: str, software: str) -> None:
    """Write lab.started; to be called before anything else is noted or committed.

    While the disk refuses, the fact waits as the first in the queue: a lab that starts must be able to go on.
    """
    body: dict[str, Scalar] = {
        "install": lineage.install,
        "ordinal": lineage.ordinal,
        "previous": lineage.previous,
        "boot": boot,
        "software": software,
        "set_aside": lineage.set_aside,
    }
    try:
        await recorder.commit([recorder.event(EventType.LAB_STARTED, body)])
    except StoreUnavailable as error:
        log.warning("the beginning of the epoch waits for the disk: %s", error)
        recorder.note(EventType.LAB_STARTED, body)
