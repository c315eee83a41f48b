# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-edge opcua`: look at a server, trust its certificate, know one's own. No running edge is needed.

Everything ends with 0 where it was done, 1 where it could not be done, 2 where it was asked wrongly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console

from edge.config import ConfigError, EdgeSettings, load_settings
from edge.domain.errors import InfoMobilError
from edge.drivers.opcua.settings import OpcUaSettings
from edge.pki import Certificate, Pki
from edge.pki.certificate import grouped, read

T = TypeVar("T")

USUAL_CONFIG = Path("/etc/infomobil/edge.toml")
_SCHEME = "opc.tcp://"
_USUAL_PORT = 4840

opcua = typer.Typer(no_args_is_help=True, help="Machines on OPC UA: what a server offers, and whom this lab trusts.")
out = Console()
err = Console(stderr=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help=f"The laboratory's TOML file; {USUAL_CONFIG} where it is there.")
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="The folder of certificates instead: the lab's data_dir with /opcua.")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.2, max=30.0, help="Seconds for each answer.")]


def say(line: str = "", style: str = "") -> None:
    """Print a line as it is: a path or a thumbprint that a narrow terminal cuts is of no use."""
    out.print(line, style=style or None, highlight=False, markup=False, soft_wrap=True)


def fail(why: object, code: int = 1) -> NoReturn:
    """Print why and end."""
    err.print(str(why), style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _config(path: Path | None) -> EdgeSettings | None:
    if path is None and not USUAL_CONFIG.exists():
        return None
    try:
        return load_settings(path or USUAL_CONFIG)
    except ConfigError as error:
        fail(error, 2)


def _pki(config: Path | None, store: Path | None) -> Pki:
    if store is not None:
        return Pki(store)
    settings = _config(config)
    if settings is None:
        fail("Say where the certificates are: --config FILE (the laboratory's TOML file) or --store FOLDER.", 2)
    return Pki(settings.lab.data_dir / "opcua")


def _run(work: Coroutine[Any, Any, T]) -> T:
    # The library logs what it meets with tracebacks; here it is said once, in words.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    try:
        return asyncio.run(work)
    except InfoMobilError as error:
        fail(error)


@opcua.command()
def probe(
    target: Annotated[str, typer.Argument(metavar="URL|MACHINE", help="opc.tcp://HOST:PORT/PATH, or a machine's id.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    security: Annotated[
        Literal["sign_and_encrypt", "sign", "none"] | None,
        typer.Option(help="How to secure the session; otherwise the strongest way that the server offers."),
    ] = None,
    policy: Annotated[Literal["basic256sha256", "aes128_sha256_rsaoaep"] | None, typer.Option()] = None,
    machine: Annotated[str | None, typer.Option(help="Look at this machine only, by its browse name.")] = None,
    user: Annotated[str | None, typer.Option(help="Log in as this user.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="The file with the user's password.")] = None,
    password_in_clear: Annotated[bool, typer.Option("--password-in-clear", help="Send the password readable.")] = False,  # noqa: FBT002
    user_certificate: Annotated[Path | None, typer.Option(help="Log in with this certificate (DER or PEM).")] = None,
    user_key: Annotated[Path | None, typer.Option(help="The key of the user certificate (PEM).")] = None,
    timeout: TimeoutOption = 4.0,
) -> None:
    """Show what a server offers, and the lines for the configuration. Nothing is written to the server."""
    from edge.drivers.opcua.probe import Wanted, probe_with
    from edge.drivers.opcua.probe import probe as look
    from edge.opcua_report import report

    pki = _pki(config, store)
    if not target.startswith(_SCHEME):
        return _end_with(report(_run(probe_with(_machine(config, target), pki))))
    given = {
        "user": user,
        "password_file": password_file,
        "password_in_clear": password_in_clear or None,
        "user_certificate_file": user_certificate,
        "user_key_file": user_key,
    }
    who = {key: value for key, value in given.items() if value is not None}
    try:
        # What does not go together is said before anything is sent.
        OpcUaSettings.model_validate({"driver": "opcua", "endpoint": target, "security": security or "sign", **who})
        return _end_with(report(_run(look(Wanted(target, security, policy, machine, who, timeout), pki))))
    except ValidationError as error:
        fail(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.", 2)


def _end_with(looked_inside: bool) -> None:  # noqa: FBT001 - it is the answer to one question
    if not looked_inside:
        raise typer.Exit(1)


def _machine(config: Path | None, machine_id: str) -> OpcUaSettings:
    settings = _config(config)
    machines = () if settings is None else settings.machine
    for machine in machines:
        if machine.id == machine_id and isinstance(machine.connection, OpcUaSettings):
            return machine.connection
    fail(f"{machine_id} is neither an address that begins with {_SCHEME} nor a machine on OPC UA of this lab.", 2)


@opcua.command()
def discover(
    host: Annotated[str, typer.Argument(metavar="[HOST|URL]", help="Whom to ask; this computer by default.")] = (
        "localhost"
    ),
    timeout: TimeoutOption = 4.0,
) -> None:
    """List the servers that a discovery server, or a machine's server, knows."""
    from edge.drivers.opcua.discovery import servers, servers_on_network
    from edge.drivers.opcua.errors import LinkError
    from edge.opcua_report import report_servers

    url = host if host.startswith(_SCHEME) else f"{_SCHEME}{host}:{_USUAL_PORT}"
    known = _run(servers(url, timeout))
    report_servers(url, known)
    try:
        heard = asyncio.run(servers_on_network(url, timeout))
    except LinkError:
        return  # an optional service, which few servers have
    strangers = [one for one in heard if not any(set(one.urls) & set(other.urls) for other in known)]
    if strangers:
        say()
        report_servers("the network", tuple(strangers))


@opcua.command()
def trust(
    target: Annotated[
        str, typer.Argument(metavar="THUMBPRINT|FILE|URL", help="A certificate that was refused, a file, or a server.")
    ],
    config: ConfigOption = None,
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,  # noqa: FBT002
    timeout: TimeoutOption = 4.0,
) -> None:
    """Trust a machine, a client or an authority by its certificate, after a look at it."""
    pki = _pki(config, store)
    try:
        certificate = _certificate(target, pki, timeout)
        show(certificate)
        if certificate in pki.trust_list.trusted().certificates.values():
            return say("This lab trusts it already.", "green")
        if certificate.is_authority:
            say("It is an authority: whatever it vouches for is trusted as well.", "yellow")
        say("Compare the thumbprint with what the other side shows at its own screen.")
        if not yes and not typer.confirm("Trust it?"):
            fail("Nothing was changed.")
        path = pki.trust_list.trust(certificate)
    except InfoMobilError as error:
        fail(error)
    except OSError as error:
        fail(f"The folder {pki.folder} cannot be written ({error.strerror}).")
    say(f"Trusted from now on: {path}", "green")


@opcua.command()
def untrust(
    thumbprint: Annotated[str, typer.Argument(help="The thumbprint, or its first 16 digits or more.")],
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Trust a certificate no more. A connection that is open stays open until it ends."""
    pki = _pki(config, store)
    try:
        certificate = pki.trust_list.find(thumbprint)
        was_trusted = pki.trust_list.untrust(certificate)
    except InfoMobilError as error:
        fail(error)
    except OSError as error:
        fail(f"The folder {pki.folder} cannot be written ({error.strerror}).")
    if not was_trusted:
        fail(f"This lab does not trust {certificate.name} ({grouped(certificate.thumbprint)}).")
    say(f"Not trusted any more: {certificate.name} ({grouped(certificate.thumbprint)})", "green")


@opcua.command()
def trusted(config: ConfigOption = None, store: StoreOption = None) -> None:
    """List whom this lab trusts, and who was refused for want of trust."""
    pki = _pki(config, store)
    for title, listing in (("Trusted", pki.trust_list.trusted()), ("Refused", pki.trust_list.rejected())):
        say(f"{title}: {len(listing.certificates) or 'none'}", "bold")
        for certificate in listing.certificates.values():
            kind = "authority" if certificate.is_authority else ", ".join(certificate.application_uris)
            say(f"  {certificate.thumbprint}  {certificate.name}  {kind}  until {certificate.not_after:%Y-%m-%d}")
        for damaged in listing.damaged:
            say(f"  cannot be read: {damaged}", "yellow")


@opcua.command()
def certificate(
    config: ConfigOption = None,
    store: StoreOption = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the certificate, without its key, to this file: PEM for *.pem, else DER.")
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Make another one; every machine has to trust it.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Show this lab's own certificate, which machines have to trust; it is made where there is none yet."""
    pki = _pki(config, store)
    if renew and not yes and not typer.confirm("Every machine has to trust the new one. Make it?"):
        fail("Nothing was changed.")
    try:
        own = pki.renew() if renew else pki.own()
        show(own.certificate)
        say(f"file         {own.certificate_file}")
        if export is not None:
            export.write_bytes(own.certificate.pem if export.suffix == ".pem" else own.certificate.der)
            say(f"Written to {export}", "green")
    except InfoMobilError as error:
        fail(error)
    except OSError as error:
        fail(f"{export} cannot be written ({error.strerror}).")
    if renew:
        say("A running edge uses it from its next connection on.", "yellow")


def show(certificate: Certificate) -> None:
    """Print what a person compares and wants to know of a certificate."""
    say(f"name         {certificate.name}", "bold")
    say(f"thumbprint   {grouped(certificate.thumbprint)}")
    say(f"SHA-256      {grouped(certificate.sha256)}")
    say(f"application  {', '.join(certificate.application_uris) or 'none'}")
    say(f"hosts        {', '.join(certificate.hosts) or 'none'}")
    say(f"issued by    {certificate.issuer}")
    say(f"valid        {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}")


def _certificate(target: str, pki: Pki, timeout: float) -> Certificate:
    """Return the certificate that a person means. Raises InfoMobilError."""
    if target.startswith(_SCHEME):
        from edge.drivers.opcua.discovery import endpoints
        from edge.drivers.opcua.probe import judge

        found, refusals = judge(target, _run(endpoints(target, timeout)), pki)
        for refusal in refusals:
            if found is None or type(refusal).__name__ != "NotTrusted":
                err.print(str(refusal), style="yellow", highlight=False, markup=False, soft_wrap=True)
        if found is None:
            fail(f"The server at {target} shows no certificate.")
        return found
    if Path(target).is_file():
        return read(Path(target))
    return pki.trust_list.find(target)
