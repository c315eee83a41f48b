# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe and a discovery found, on the terminal: facts first, then the lines for the configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from edge.domain.machine import MachineState
from edge.drivers.opcua.discovery import Application, Endpoint
from edge.drivers.opcua.probe import Inside, Look, Probe
from edge.drivers.opcua.settings import OpcUaSettings, is_loopback
from edge.pki.certificate import Certificate, grouped

out = Console()


def _say(line: str = "", style: str = "") -> None:
    out.print(line, style=style or None, highlight=False, markup=False, soft_wrap=True)


def report(found: Probe) -> bool:
    """Print a probe; return whether a session was opened."""
    settings = found.settings
    for application in dict.fromkeys(one.application for one in found.endpoints):
        _say(application.name or "a server without a name", "bold")
        _say(f"application  {application.uri or 'none'}")
        _say(f"product      {application.product_uri or 'none'}")
    _say()
    _endpoints(found.endpoints)
    _say()
    _trust(found)
    _say()
    if found.inside is None:
        _say(f"No session: {found.trouble}.", "yellow")
    else:
        secured = settings.security if settings.security == "none" else f"{settings.security}, {settings.policy}"
        _say(f"Looked at with security {secured}, as {settings.user or _certificate_user(settings)}.")
        _say()
        _inside(found.inside)
    _suggestions(found)
    return found.inside is not None


def report_servers(asked: str, known: Sequence[Application]) -> None:
    """Print the servers that were found."""
    _say(f"{asked} knows {len(known) or 'no'} server{'' if len(known) == 1 else 's'}.", "bold")
    for one in known:
        _say(f"  {one.name or 'without a name'} ({one.kind}){f', {one.uri}' if one.uri else ''}")
        for url in one.urls:
            _say(f"    {url}")


def _certificate_user(settings: OpcUaSettings) -> str:
    return "nobody" if settings.user_certificate_file is None else "a user with a certificate"


def _endpoints(offered: Sequence[Endpoint]) -> None:
    table = Table("policy", "mode", "who may come", box=None, header_style="bold", pad_edge=False)
    rows = dict.fromkeys(
        (one.policy, one.mode, ", ".join(dict.fromkeys(t.kind for t in one.tokens))) for one in offered
    )
    for row in rows:
        table.add_row(*row)
    out.print(table)


def _kinds(endpoint: Endpoint) -> list[str]:
    return list(dict.fromkeys(token.kind for token in endpoint.tokens))


def _trust(found: Probe) -> None:
    certificate = found.certificate
    if certificate is None:
        return _say("The server shows no certificate that can be read.", "yellow")
    _certificate(certificate)
    for refusal in found.refusals:
        _say(str(refusal), "yellow")
    if not found.refusals:
        _say("This lab accepts the certificate.", "green")


def _certificate(certificate: Certificate) -> None:
    _say(
        f"certificate  {certificate.name}, valid {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    )
    _say(f"thumbprint   {grouped(certificate.thumbprint)}")


def _inside(inside: Inside) -> None:
    if inside.build:
        _say(f"software     {', '.join(inside.build.values())}")
    if inside.limits:
        _say(f"limits       {', '.join(f'{value} {name}' for name, value in inside.limits.items())}")
    _say("namespaces", "bold")
    for number, one in enumerate(inside.namespaces):
        known = ", ".join(part for part in (one.meaning, one.version) if part)
        _say(f"  {number} {one.uri}{f' ({known})' if known else ''}")
    _say("models", "bold")
    for model, offer in inside.offers.items():
        _say(f"  {model}: {', '.join(offer.machines) or 'nothing'}")
        for remark in offer.remarks:
            _say(f"    {remark}")
    for machine in inside.machines:
        _machine(machine)
    for remark in inside.remarks:
        _say(remark, "yellow")
    _say()


def _machine(machine: Look) -> None:
    _say(f"{machine.name}, read as {machine.model}", "bold")
    _say(f"  maker     {machine.controller or 'not said'}")
    _say(f"  now       {_now(machine.state)}")
    _say(f"  watched   {machine.watched} values, {'with' if machine.alarms else 'without'} alarms")
    _say(f"  programs  {'; '.join(machine.programs) or 'no way in over OPC UA'}")
    for one in machine.missing:
        _say(f"  missing   {one}", "yellow")


def _now(state: MachineState) -> str:
    words = [state.availability.value, state.execution.value, state.mode.value]
    words += [f"program {state.program}"] if state.program else []
    words += [f"{state.part_count} parts"] if state.part_count is not None else []
    return ", ".join(words)


def _suggestions(found: Probe) -> None:
    """Print what to put into the configuration, one block for each machine that was found."""
    if found.inside is None:
        return
    machines: Sequence[Look | None] = found.inside.machines or (None,)
    for machine in machines:
        _say("For the configuration:", "bold")
        for line in connection_lines(found.settings, machine):
            _say(line)
        _say()


def connection_lines(settings: OpcUaSettings, machine: Look | None) -> list[str]:
    """Return the lines of a [machine.connection]; without a machine they name a mapping, which is to be written."""
    lines = ["[machine.connection]", 'driver = "opcua"', f"endpoint = {_quoted(settings.endpoint)}"]
    if machine is None and settings.model != "mapping":
        lines += [
            'model = "mapping"',
            'mapping_file = "machine.toml"  # no known model: see docs/how-to/opcua-mapping.md',
        ]
    elif machine is None or machine.model == "mapping":
        lines += ['model = "mapping"', f"mapping_file = {_quoted(str(settings.mapping_file))}"]
    else:
        lines += [f"model = {_quoted(machine.model)}"]
        lines += [f"machine = {_quoted(machine.name)}"] if machine.model != "sinumerik" else []
    lines += [f"security = {_quoted(settings.security)}"]
    lines += [f"policy = {_quoted(settings.policy)}"] if settings.security != "none" else []
    for key in ("user", "password_file", "user_certificate_file", "user_key_file"):
        if (value := getattr(settings, key)) is not None:
            lines.append(f"{key} = {_quoted(str(value))}")
    if settings.user is not None and settings.security == "none" and not is_loopback(settings.endpoint):
        lines.append("password_in_clear = true")
    if machine is not None and machine.programs:
        lines.append("# write = true  # programs may be brought into the machine")
    return lines


def _quoted(text: str) -> str:
    # TOML's basic strings are written as JSON's.
    return json.dumps(text, ensure_ascii=False)
