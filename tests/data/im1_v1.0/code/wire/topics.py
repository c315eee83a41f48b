# SPDX-License-Identifier: GPL-3.0-or-later
"""Topics of IM-1 under ``im/v1/``. A lab id is 1-32 characters of ``a-z 0-9 -``."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROOT = "im/v1"
STREAMS = ("visits", "safety", "jobs", "metrics")
LAB_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

INGEST_FILTER = f"$share/ingest/{ROOT}/+/up/+"
PRESENCE_FILTER = f"{ROOT}/+/presence"

PRESENCE_WILL_DELAY_S = 30
LIVE_EXPIRY_S = 30


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic: lab, channel (up, live, presence, ack, cmd) and what follows it (stream, machine, name)."""

    lab: str
    channel: str
    name: str


def up(lab: str, stream: str) -> str:
    """Return the topic of batches of `stream`."""
    return f"{ROOT}/{lab}/up/{stream}"


def live(lab: str, machine: str) -> str:
    """Return the topic of the live state of a machine."""
    return f"{ROOT}/{lab}/live/{machine}"


def presence(lab: str) -> str:
    """Return the topic of the lab's retained presence."""
    return f"{ROOT}/{lab}/presence"


def ack(lab: str, stream: str) -> str:
    """Return the topic of the office's acknowledgements of `stream`."""
    return f"{ROOT}/{lab}/ack/{stream}"


def ack_filter(lab: str) -> str:
    """Return the filter for all acknowledgements of a lab."""
    return f"{ROOT}/{lab}/ack/+"


def parse(topic: str) -> Topic | None:
    """Return the parts of `topic`, or None where it is not one of IM-1."""
    match topic.split("/"):
        case ["im", "v1", lab, "presence"] if LAB_ID.fullmatch(lab):
            return Topic(lab, "presence", "")
        case ["im", "v1", lab, ("up" | "ack") as channel, stream] if LAB_ID.fullmatch(lab) and stream in STREAMS:
            return Topic(lab, channel, stream)
        case ["im", "v1", lab, ("live" | "cmd") as channel, name] if LAB_ID.fullmatch(lab) and name:
            return Topic(lab, channel, name)
        case _:
            return None
