# SPDX-License-Identifier: GPL-3.0-or-later
"""What Mosquitto reads: its configuration and its list of rights, as texts.

Rights as Mosquitto 2.0.11 applies them (mosquitto.conf(5), acl_file): a denial goes before any permission; a pattern
holds for every user, with the user's name for %u; subscribing is never refused, but nothing is delivered without the
right to read; the name is that of the client's certificate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from office.broker.names import OFFICE
from wire.batch import MAX_PAYLOAD
from wire.topics import ROOT, STREAMS

HEADERS = 64 << 10
"""Room beside the payload for topic and properties."""

_TLS = """cafile {place}/ca.pem
certfile {place}/server.pem
keyfile {place}/server.key
crlfile {place}/revoked.pem
require_certificate true
use_identity_as_username true
tls_version tlsv1.2"""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the broker listens and what it bears.

    place is the folder of its files on the broker's computer, state that of what it retains. bind limits the labs'
    listener to one address. A lab has a connection, and another for each copy of its card, and at most 16 batches under
    way: the office's queue holds those of all labs for as long as bytes allow.
    """

    place: Path
    state: Path = Path("/var/lib/mosquitto")
    port: int = 8883
    bind: str = ""
    office_port: int = 8884
    office_bind: str = "127.0.0.1"
    connections: int = 2_000
    queued: int = 20_000
    queued_bytes: int = 256 << 20


def configuration(at: Listening) -> str:
    """Return mosquitto.conf."""
    template = files("office.broker").joinpath("mosquitto.conf.template").read_text(encoding="utf-8")
    return template.format(
        place=at.place,
        state=at.state,
        port=at.port,
        bind=f" {at.bind}" * bool(at.bind),
        office_port=at.office_port,
        office_bind=at.office_bind,
        connections=at.connections,
        queued=at.queued,
        queued_bytes=at.queued_bytes,
        packet=MAX_PAYLOAD + HEADERS,
        tls=_TLS.format(place=at.place),
    )


def rights(shut_out: Iterable[str]) -> str:
    """Return the list of rights. shut_out are the names whose every right is taken away at the next reload.

    Where a name is let in again, restart the broker in place of a reload: a connection of before would revive.
    """
    lines = [
        '# Who may do what at the broker. Written by "infomobil-office broker"; changes here are overwritten.',
        "",
        "# The office.",
        f"user {OFFICE}",
        *(f"topic read {ROOT}/+/{channel}" for channel in ("up/+", "presence", "live/+")),
        *(f"topic write {ROOT}/+/{channel}" for channel in ("ack/+", "cmd/+")),
        # The patterns below would make a lab of it.
        f"topic deny {ROOT}/{OFFICE}/#",
    ]
    for name in shut_out:
        lines += ["", "# Revoked.", f"user {name}", "topic deny #"]
    lines += [
        "",
        "# Labs, by the name in the certificate.",
        # Each stream by its name: what a lab has retained there is a few topics, not as many as it can think of.
        *(f"pattern write {ROOT}/%u/up/{stream}" for stream in STREAMS),
        *(f"pattern write {ROOT}/%u/{channel}" for channel in ("live/+", "presence")),
        *(f"pattern read {ROOT}/%u/{channel}" for channel in ("ack/+", "cmd/+")),
    ]
    return "\n".join(lines) + "\n"
