# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.hardware_sim.lab``: the demo, and with ``--tour`` the whole main job by itself."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from tests.hardware_sim.lab.laboratory import OFFICE_ACCOUNT, Laboratory, Options
from tests.hardware_sim.lab.processes import ROOT, NotReady
from tests.hardware_sim.lab.tour import Tour

console = Console()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="A laboratory with simulated machines.")
    parser.add_argument("--tour", action="store_true", help="run a school visit by itself, then end")
    parser.add_argument("--speed", type=float, help="how much faster than real machines (demo 1, tour 20)")
    parser.add_argument("--folder", type=Path, default=ROOT / ".run" / "demo", help="files of the demo, made anew")
    return parser.parse_args()


def _addresses(lab: Laboratory) -> Table:
    table = Table(title="InfoMobil: a laboratory on this computer", title_justify="left")
    table.add_column("for")
    table.add_column("open", no_wrap=True)
    table.add_row("visitors: three kiosks", f"{lab.kiosk_url}/?kiosk=k1   ... k2   ... k3")
    table.add_row("operator: console", f"{lab.console_url}/   PIN {lab.pin}")
    table.add_row("central office", f"{lab.office_url}/   login {OFFICE_ACCOUNT}, password {lab.office_password}")
    table.add_row("broker (MQTT 5)", f"127.0.0.1:{lab.broker_port}" if lab.broker else "none: the outbox keeps all")
    table.add_row("router (GRBL)", str(lab.serial_link))
    table.add_row("lathe (OPC UA)", lab.endpoint)
    table.add_row("all machines (OPC UA, to read)", lab.server_endpoint)
    table.add_row("open the router's door", f"echo door open > {lab.router_ctl}")
    table.add_row("stop the lathe, to load it", f"echo stop > {lab.lathe_ctl}")
    return table


async def _until_signal() -> None:
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()


async def _run(arguments: argparse.Namespace) -> int:
    shutil.rmtree(arguments.folder, ignore_errors=True)
    speed = arguments.speed or (20.0 if arguments.tour else 1.0)
    options = Options(
        arguments.folder,
        speed=speed,
        console_port=8080,
        kiosk_port=8081,
        office_port=8090,
        opcua_port=4840,
        server_port=4841,
    )
    end = asyncio.create_task(_until_signal())
    main = asyncio.create_task(_demo(arguments, options))
    await asyncio.wait({end, main}, return_when=asyncio.FIRST_COMPLETED)
    for task in (end, main):
        task.cancel()
    (result, _) = await asyncio.gather(main, end, return_exceptions=True)
    if isinstance(result, asyncio.CancelledError):
        console.print("Everything has ended.")
        return 0
    if isinstance(result, BaseException):
        raise result
    return result


async def _demo(arguments: argparse.Namespace, options: Options) -> int:
    async with Laboratory(options) as lab:
        await lab.make_office_account(OFFICE_ACCOUNT)
        console.print(_addresses(lab))
        if arguments.tour:
            return await Tour(lab, console).run()
        console.print(Panel("Reset the interlock and home the router at the console first. Ctrl-C ends all.", width=90))
        await asyncio.Event().wait()
    return 0


def main() -> None:
    """Run the demo."""
    try:
        sys.exit(asyncio.run(_run(_arguments())))
    except NotReady as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(1)


main()
