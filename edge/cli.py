# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the edge: `infomobil-edge`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge import __version__
from edge.config import NO_TOOLS, EdgeSettings, MachineSettings, load_settings
from edge.domain.errors import InfoMobilError
from edge.drivers.opcua.settings import OpcUaSettings
from edge.opcua_cli import opcua
from edge.program_cli import program
from edge.services.hand_settings import HandSettings
from edge.services.opening import Item
from edge.stick_cli import export, key
from edge.store.library import PieceLibrary, pieces_dir
from edge.store.pin import write_pin
from edge.store.recordings import load as load_recording
from edge.store_cli import store
from edge.story.export import to_json_lines
from edge.story.tell import story

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Edge controller of one mobile laboratory.")
cli.add_typer(opcua, name="opcua")
cli.add_typer(program, name="program")
cli.add_typer(store, name="store")
cli.command()(export)
cli.command()(key)
out = Console()
err = Console(stderr=True)

ConfigFile = Annotated[Path, typer.Argument(help="The laboratory's TOML file.")]


def _say_why(error: InfoMobilError) -> None:
    """Print the error's sentence as it is: square brackets are TOML here, not rich's markup."""
    err.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)


def _load(path: Path) -> EdgeSettings:
    try:
        return load_settings(path)
    except InfoMobilError as error:
        _say_why(error)
        raise typer.Exit(2) from error


def _say(line: str) -> None:
    """Print a line as it is: a path that a narrow terminal cuts is of no use."""
    out.print(line, highlight=False, markup=False, soft_wrap=True)


@cli.command()
def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="The laboratory's TOML file.")],
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,  # noqa: FBT002
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    settings = _load(config)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    for noisy in ("asyncio", "gpiozero", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # It logs each loss several times with tracebacks; the driver logs it once, in words.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    # Imported here: check-config and set-pin answer at once, without drivers and servers.
    from edge.app import run_edge

    try:
        asyncio.run(run_edge(settings, config))
    except InfoMobilError as error:
        _say_why(error)
        raise typer.Exit(1) from error


def _reached(machine: MachineSettings) -> str:
    connection = machine.connection
    match connection.driver:
        case "grbl":
            return connection.port
        case "grblhal-laser":
            return connection.grbl.port
        case "opcua":
            return connection.endpoint


def _by_hand(hand: HandSettings) -> str:
    park = "no parking position" if hand.park is None else "parked at {:g}, {:g}, {:g}".format(*hand.park)
    probes = [] if hand.plate is None else [f"touch plate of {hand.plate:g} mm"]
    probes += ["corner plate"] if hand.corner is not None else []
    probes += ["tool setter"] if hand.tool_setter is not None else []
    return f"{hand.max_feed:g} mm/min at most, {park}, {', '.join(probes) or 'no plate'}"


def _checklist(machine: MachineSettings) -> str:
    seen = [f"{item.value} by {', '.join(names)}" for item, names in machine.checklist.items()]
    told = [item.value for item in (Item.STOP_CIRCUIT, Item.DOOR, Item.CLAMPS) if item not in machine.checklist]
    return "; ".join((f"seen: {', '.join(seen) or 'nothing'}", f"told: {', '.join(told)}"))


def _tools(machine: MachineSettings) -> str:
    rows = [
        f"T{tool.number} {tool.name} ({tool.shape.value}, {tool.diameter:g} mm, to {tool.flute_length:g} mm deep)"
        for tool in machine.tools.values()
    ]
    return ", ".join(rows) or "none described, so what a program's tools can do is not known"


def _library(settings: EdgeSettings) -> list[str]:
    """Return what the library holds, and what is left out of it."""
    folder, keys = pieces_dir(settings.lab.content_dir), settings.library.keys
    found = PieceLibrary(folder, keys)
    signed = f"keys of the office: {', '.join(f'{one[:16]}..' for one in keys) or 'none'}"
    pieces = f"library: {folder}, {', '.join(found.pieces) or 'no piece'}; {signed}"
    return [pieces, *(f"  left out: {item.piece_id}: {item.sentence}" for item in found.left_out.values())]


class FileUnusable(InfoMobilError):
    """Machine {machine}: {reason}."""


def _programs(connection: OpcUaSettings) -> str:
    if not connection.write:
        return "watched only, nothing is written to it"
    return "loaded and started from here" if connection.job_control else "loaded from here, started at the machine"


def _require_files(settings: EdgeSettings) -> None:
    """Read the files that machines on OPC UA and the lab's own server name. Raises what is wrong with one."""
    # Imported here: a van without such machines needs neither.
    from edge.drivers.opcua.errors import NeedsPerson
    from edge.drivers.opcua.models.mapping_file import load_mapping
    from edge.drivers.opcua.secrets import identity_of
    from edge.opcua_server.passwords import passwords_of

    if settings.opcua_server is not None:
        passwords_of({user.name: user.password_file for user in settings.opcua_server.users})
    for machine in settings.machine:
        if isinstance(machine.connection, OpcUaSettings):
            try:
                identity_of(machine.connection)
            except NeedsPerson as error:
                raise FileUnusable(machine=machine.id, reason=error.facts["reason"]) from error
            if machine.connection.mapping_file is not None:
                load_mapping(machine.connection.mapping_file)


@cli.command("check-config")
def check_config(config: ConfigFile) -> None:
    """Say whether a configuration file can be used, and what it means."""
    settings = _load(config)
    try:
        _require_files(settings)
    except InfoMobilError as error:
        _say_why(error)
        raise typer.Exit(2) from error
    _say(f"{settings.lab.name} ({settings.lab.id})")
    for machine in settings.machine:
        connection = machine.connection
        _say(f"  {machine.name}: {machine.kind}, {connection.driver} at {_reached(machine)}")
        if connection.driver == "opcua":
            _say(f"    programs: {_programs(connection)}")
        for item in machine.interlock:
            _say(f"    interlock: {item.input} ({item.source}), {item.label}, unknown after {item.max_age_ms} ms")
        if not machine.interlock:
            _say("    interlock: none, so motion is never permitted from here")
        if connection.driver != "opcua":
            _say(f"    by hand: {_by_hand(machine.hand)}")
        if machine.kind not in NO_TOOLS:
            _say(f"    tools: {_tools(machine)}")
        if machine.is_commanded:
            _say(f"    after a drive: {_checklist(machine)}")
    for line in _library(settings):
        _say(line)
    office = f"{settings.sync.host}:{settings.sync.port}" if settings.sync else "none: facts stay in the outbox"
    _say(f"office broker: {office}")
    server = settings.opcua_server
    _say(f"OPC UA server: {f'port {server.port}' if server else 'none'}")
    out.print("The file can be used.", style="green")


@cli.command("set-pin")
def set_pin(
    path: Annotated[Path, typer.Argument(help="The file that keeps the hash.")],
    pin: Annotated[str, typer.Option(prompt="PIN (digits)", hide_input=True, confirmation_prompt=True)],
) -> None:
    """Set the operator's PIN."""
    try:
        write_pin(path, pin)
    except InfoMobilError as error:
        _say_why(error)
        raise typer.Exit(2) from error
    out.print("The PIN is set.", style="green")


@cli.command()
def explain(
    recording: Annotated[Path, typer.Argument(help="A recording of the black box, or its export.")],
    export: Annotated[bool, typer.Option("--export", help="Print the recording as JSON lines instead.")] = False,  # noqa: FBT002
) -> None:
    """Tell the story of a recording: what ran, what came first, what was done, and what to do next."""
    try:
        found = load_recording(recording)
    except InfoMobilError as error:
        _say_why(error)
        raise typer.Exit(2) from error
    for line in to_json_lines(found) if export else story(found):
        _say(line)


@cli.command()
def version() -> None:
    """Print the version."""
    out.print(f"infomobil {__version__}", highlight=False)


def main() -> None:
    """Run the command line."""
    cli()
