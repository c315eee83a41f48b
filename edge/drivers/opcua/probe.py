# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server offers, looked at once and read-only: for the person who connects a machine.

First what the server says to anybody, then, where its certificate is accepted and it lets us in, what one session
finds: models, machines, and what each machine says at this moment. What cannot be found out is a sentence.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.domain.errors import InfoMobilError
from edge.domain.machine import MachineState
from edge.drivers.opcua.connection import open_connection
from edge.drivers.opcua.discovery import POLICY_URIS, Endpoint, endpoints
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models.find import find, offer
from edge.drivers.opcua.models.model import Browser, Offer, ProgramPath
from edge.drivers.opcua.security import server_peer
from edge.drivers.opcua.settings import OpcUaSettings
from edge.pki import Pki
from edge.pki.certificate import Certificate, split_chain
from edge.pki.errors import NotACertificate

# Strongest first: encipherment before signing alone, longer keys before shorter ones.
_BEST = (
    ("sign_and_encrypt", "basic256sha256"),
    ("sign_and_encrypt", "aes128_sha256_rsaoaep"),
    ("sign", "basic256sha256"),
    ("sign", "aes128_sha256_rsaoaep"),
    ("none", "none"),
)
_BUILD = {"product": "i=2261", "maker": "i=2263", "version": "i=2264"}
_LIMITS = {
    "sessions": "i=24095",
    "subscriptions of a session": "i=24098",
    "monitored items of a subscription": "i=24104",
    "nodes of a read": "i=11705",
    "nodes of a write": "i=11707",
    "monitored items of a call": "i=11714",
    "bytes of a byte string": "i=12911",
    "ms between samples": "i=2272",
}
_NAMESPACES = "i=11715"
_VERSION = "NamespaceVersion"
_KNOWN = {
    "http://opcfoundation.org/UA/DI/": "Devices, OPC 10000-100",
    "http://opcfoundation.org/UA/IA/": "Industrial Automation, OPC 10000-200",
    "http://opcfoundation.org/UA/Machinery/": "Machinery, OPC 40001-1",
    "http://opcfoundation.org/UA/Machinery/Jobs/": "Machinery jobs, OPC 40001-3",
    "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/": "job control, OPC 10031-4",
    "http://opcfoundation.org/UA/MachineTool/": "machine tools (umati), OPC 40501-1",
    "http://opcfoundation.org/UA/CNC": "CNC systems, OPC 40502",
    "http://opcfoundation.org/UA/CNC/": "CNC systems, OPC 40502",
}


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of the server: meaning is the standard that we know it by, version what the server tells of it."""

    uri: str
    meaning: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """A machine as a model reads it: its state now, how programs get in, and what is missing, in words."""

    model: str
    name: str
    controller: str
    watched: int
    alarms: bool
    programs: tuple[str, ...]
    missing: tuple[str, ...]
    state: MachineState


@dataclass(frozen=True, slots=True)
class Inside:
    """What a session finds."""

    build: Mapping[str, str]
    limits: Mapping[str, int]
    namespaces: tuple[Namespace, ...]
    offers: Mapping[str, Offer]
    machines: tuple[Look, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found: settings are those that were tried; where inside is None, trouble says why."""

    endpoints: tuple[Endpoint, ...]
    settings: OpcUaSettings
    certificate: Certificate | None
    refusals: tuple[InfoMobilError, ...]
    inside: Inside | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person said about the connection; security None is the strongest that the server offers."""

    endpoint: str
    security: str | None = None
    policy: str | None = None
    machine: str | None = None
    who: Mapping[str, object] = field(default_factory=dict)
    timeout_s: float = 4.0

    def settings(self, offered: Sequence[Endpoint]) -> OpcUaSettings:
        """Return the settings of a connection to a server that offers this. Raises ValueError (pydantic's)."""
        security, policy = self.security, self.policy
        if security is None:
            there = [(one.mode, one.policy_uri) for one in offered]
            fitting = [one for one in _BEST if (one[0], POLICY_URIS[one[1]]) in there and policy in (None, one[1])] or [
                _BEST[0]
            ]
            security, policy = fitting[0][0], policy or fitting[0][1]
        given: dict[str, object] = {"driver": "opcua", "endpoint": self.endpoint, "security": security, **self.who}
        if policy not in (None, "none"):
            given["policy"] = policy
        if self.machine is not None:
            given["machine"] = self.machine
        return OpcUaSettings.model_validate({**given, "timeout_s": self.timeout_s})


async def probe(wanted: Wanted, pki: Pki) -> Probe:
    """Look at a server. Raises LinkError where it cannot be reached, ValueError where settings do not go together."""
    offered = await endpoints(wanted.endpoint, wanted.timeout_s)
    return await probe_with(wanted.settings(offered), pki, offered)


async def probe_with(settings: OpcUaSettings, pki: Pki, offered: tuple[Endpoint, ...] | None = None) -> Probe:
    """Look at a server by the settings of a machine. Raises LinkError where it cannot be reached."""
    if offered is None:
        offered = await endpoints(settings.endpoint, settings.timeout_s)
    certificate, refusals = judge(settings.endpoint, offered, pki)
    try:
        async with open_connection(settings, pki) as connection:
            inside = await _inside(connection, settings)
    except LinkError as error:
        return Probe(offered, settings, certificate, refusals, trouble=str(error.reason))
    return Probe(offered, settings, certificate, refusals, inside)


def judge(url: str, offered: Sequence[Endpoint], pki: Pki) -> tuple[Certificate | None, tuple[InfoMobilError, ...]]:
    """Return the certificate that a server shows, and everything for which it is refused."""
    shown = next((one for one in offered if one.certificate), None)
    if shown is None:
        return None, ()
    peer = server_peer(url, shown)
    try:
        chain = split_chain(shown.certificate, f"what {peer.name} shows")
    except NotACertificate as error:
        return None, (error,)
    return chain[0], tuple(pki.refusals(chain, peer))


async def _inside(session: Browser, settings: OpcUaSettings) -> Inside:
    remarks: list[str] = []
    build = await _texts(session, _BUILD)
    limits = {
        name: round(value)
        for name, value in zip(_LIMITS, await session.read(list(_LIMITS.values())), strict=True)
        if isinstance(value, int | float) and value > 0
    }
    offers: Mapping[str, Offer] = {}
    try:
        offers = await offer(session)
    except LinkError as error:
        remarks.append(str(error.reason))
    machines = []
    for model, offered in offers.items():
        for name in offered.machines:
            if settings.machine not in (None, name):
                continue
            try:
                machines.append(await _look(session, _as(settings, model, name), name))
            except LinkError as error:
                remarks.append(f"{name}: {error.reason}")
    if settings.model == "mapping":
        try:
            machines.append(await _look(session, settings, settings.machine or "the mapping"))
        except LinkError as error:
            remarks.append(str(error.reason))
    namespaces = await _namespaces(session)
    return Inside(build, limits, namespaces, offers, tuple(machines), tuple(remarks))


def _as(settings: OpcUaSettings, model: str, name: str) -> OpcUaSettings:
    return settings.model_copy(update={"model": model, "machine": name, "mapping_file": None})


async def _look(session: Browser, settings: OpcUaSettings, name: str) -> Look:
    machine = await find(session, settings)
    items = machine.monitored()
    values = await session.read([item.node_id for item in items.values()])
    # No clock of ours is compared with it: the reading is shown once.
    state = machine.state_of(dict(zip(items, values, strict=True)), time.monotonic_ns())
    return Look(
        model=settings.model,
        name=name,
        controller=machine.controller,
        watched=len(items),
        alarms=machine.alarms is not None,
        programs=tuple(_program_words(machine.programs)),
        missing=tuple(machine.missing),
        state=state,
    )


def _program_words(path: ProgramPath) -> list[str]:
    words = []
    if path.directory is not None:
        writable = "CreateFile" in path.directory.methods
        words.append("a file system" + ("" if writable else " that takes no files"))
    for what, methods in (("file methods", path.files), ("selecting", path.select), ("job control", path.jobs)):
        if methods is not None:
            words.append(f"{what} ({', '.join(sorted(methods.methods))})")
    return words


async def _texts(session: Browser, nodes: Mapping[str, str]) -> dict[str, str]:
    values = await session.read(list(nodes.values()))
    return {name: str(value) for name, value in zip(nodes, values, strict=True) if value}


async def _namespaces(session: Browser) -> tuple[Namespace, ...]:
    versions: dict[str, str] = {}
    for one in await session.browse(_NAMESPACES):
        properties = {child.name: child.node_id for child in await session.browse(one.node_id)}
        if _VERSION in properties and "NamespaceUri" in properties:
            uri, version = await session.read([properties["NamespaceUri"], properties[_VERSION]])
            if isinstance(uri, str) and isinstance(version, str):
                versions[uri] = version
    return tuple(Namespace(uri, _KNOWN.get(uri, ""), versions.get(uri, "")) for uri in session.namespaces)
