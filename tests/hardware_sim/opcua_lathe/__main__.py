# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the lathe: `python -m tests.hardware_sim.opcua_lathe --endpoint opc.tcp://127.0.0.1:4840/lathe`.

Prints one JSON line when ready and one for each control line. Control lines on the FIFO (`--ctl`), one per line:

    start | stop                 cycle start and reset, as at the machine's panel
    mode automatic|manual        mode switch
    door open|closed             the door; while turning, opening interrupts the program
    circuit open|closed          the machine's own emergency stop circuit
    override N                   feed override, per cent
    alarm TEXT | alarm           raise an alarm with this text; clear all alarms
    silence | talk               connections stay open and nothing comes through; back to normal
    cut                          reset the TCP connections
    drop-session                 forget sessions and subscriptions without a word, keep the connections
    restart                      stop and start anew as after an update: other namespace indices, vendor's type
    subscription-delete          delete every subscription without a word
    max-sessions N|off           let in N sessions at most
    clock SECONDS                source timestamps are off by that much
    lose PER_CENT                set the feed override to that, and lose the report of it on the way
    overflow                     report the door with the bit that says that reports before it were lost
    badquality on|off            every value has a Bad status
    slow MS                      answers come MS milliseconds late
    file NAME SIZE               put a file of SIZE zeros into the program memory; SIZE 0 is an empty one
    corrupt on|off               files read back differ from what was written
    cut-upload N                 cut the wire once, after N further bytes were written to files
    refuse METHOD STATUS|N       a method fails with this status (BadUserAccessDenied), a job method with ReturnStatus N
    refuse METHOD                it works again
    delay METHOD MS              a method answers MS milliseconds late; 0: at once
    reset                        everything as at the start, the program stopped, the program memory empty
    state                        print what the lathe does and keeps, what was called and who is connected
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import stat
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

from asyncua import ua

from tests.hardware_sim.opcua_lathe.faults import Faults
from tests.hardware_sim.opcua_lathe.lathe import ChannelMode, Lathe
from tests.hardware_sim.opcua_lathe.relay import Relay
from tests.hardware_sim.opcua_lathe.server import LatheServer, Machine

TICK_S = 0.05


class Simulator:
    """The lathe, its server and its wire."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        endpoint = urlparse(arguments.endpoint)
        self._arguments = arguments
        self._path = endpoint.path
        self._password = arguments.password_file.read_text().strip() if arguments.password_file else ""
        self._lathe = Lathe(cycling=not arguments.idle)
        self._relay = Relay(endpoint.hostname or "127.0.0.1", endpoint.port or 4840)
        self._machine = Machine(self._lathe, Faults(self._relay.cut), without=arguments.without)
        self._server = self._new_server()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._pending = b""
        self._restarts = 0

    async def run(self) -> None:
        """Run until cancelled."""
        await self._server.start(self._path, updated=False)
        self._relay.server_port = self._server.port
        await self._relay.start()
        descriptor = None if self._arguments.ctl is None else self._open_fifo(self._arguments.ctl)
        try:
            self._say(ready=self._arguments.endpoint)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._live(), name="lathe")
                group.create_task(self._obey(), name="control")
        finally:
            if descriptor is not None:
                asyncio.get_running_loop().remove_reader(descriptor)
                os.close(descriptor)
            await self._relay.stop()
            await self._server.stop()

    async def _live(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            self._lathe.advance((now - before) * self._arguments.speed)
            before = now
            await self._server.advance()
            await self._server.write()

    async def _obey(self) -> None:
        while True:
            line = await self._lines.get()
            command, _, argument = line.strip().partition(" ")
            try:
                await self._command(command, argument.strip())
            except (ValueError, KeyError, AttributeError) as error:
                self._say(error=f"{line.strip()!r}: {error}")
            else:
                await self._server.write()
                self._say(done=line.strip(), **self._state())

    async def _command(self, command: str, argument: str) -> None:
        match command:
            case "start":
                self._lathe.start()
            case "stop":
                self._lathe.stop()
            case "mode":
                self._lathe.mode = {"automatic": ChannelMode.AUTOMATIC, "manual": ChannelMode.JOG_MANUAL}[argument]
            case "door":
                self._lathe.set_door(closed={"open": False, "closed": True}[argument])
            case "circuit":
                self._lathe.set_stop_circuit(closed={"open": False, "closed": True}[argument])
            case "override":
                self._lathe.feed_override = float(argument)
            case "alarm":
                await self._alarm(argument)
            case "silence" | "talk":
                self._relay.silence(silent=command == "silence")
            case "cut":
                self._relay.cut()
            case "drop-session":
                await self._server.drop_sessions()
            case "restart":
                await self._restart()
            case "lose":
                self._lathe.feed_override = float(argument)
                await self._server.write()
                self._server.lose_reports()
            case "overflow":
                await self._server.report_overflow()
            case "badquality":
                self._machine.bad_quality = {"on": True, "off": False}[argument]
            case "subscription-delete":
                await self._server.delete_subscriptions()
            case "max-sessions":
                self._machine.max_sessions = None if argument == "off" else int(argument)
            case "clock":
                self._machine.clock_offset_s = float(argument)
            case "corrupt":
                self._machine.faults.corrupt = {"on": True, "off": False}[argument]
            case "cut-upload":
                self._machine.faults.cut_after = int(argument)
            case "file":
                name, _, size = argument.partition(" ")
                await self._server.put_file(name, bytes(int(size)))
            case "refuse":
                self._refuse(*argument.split())
            case "delay":
                name, _, milliseconds = argument.partition(" ")
                self._machine.faults.delays[name] = float(milliseconds) / 1000
            case "slow":
                self._relay.delay_s = float(argument) / 1000
            case "reset":
                await self._reset()
            case "state":
                pass
            case _:
                raise ValueError("unknown command")

    async def _alarm(self, text: str) -> None:
        if text:
            code = str(700000 + len(self._lathe.alarms))
            self._lathe.alarms[code] = text
            await self._server.raise_alarm(code, text, active=True)
            return
        for code, old_text in list(self._lathe.alarms.items()):
            del self._lathe.alarms[code]
            await self._server.raise_alarm(code, old_text, active=False)

    def _refuse(self, method: str, status: str = "") -> None:
        if status and not status.isdecimal():
            getattr(ua.StatusCodes, status)
        self._machine.faults.refused[method] = status
        if not status:
            del self._machine.faults.refused[method]

    async def _reset(self) -> None:
        await self._alarm("")
        self._relay.silence(silent=False)
        self._relay.delay_s = 0.0
        machine = self._machine
        machine.bad_quality = False
        machine.clock_offset_s = 0.0
        machine.max_sessions = None
        vars(self._lathe).update(vars(Lathe(cycling=False)))
        machine.orders.clear()
        await self._server.erase_files()
        machine.faults.clear()

    async def _restart(self) -> None:
        self._relay.cut()
        await self._server.stop()
        self._restarts += 1
        server = self._new_server()
        await server.start(self._path, updated=self._restarts % 2 == 1)
        self._server = server
        self._relay.server_port = server.port

    def _new_server(self) -> LatheServer:
        given = self._arguments
        keys = (given.certificate, given.key) if given.security else None
        return LatheServer(self._machine, given.name, given.user, self._password, keys)

    def _open_fifo(self, path: Path) -> int:
        if not path.exists():
            os.mkfifo(path)
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise SystemExit(f"{path} is not a FIFO")
        # Read and write: the FIFO never reports end of file when a writer leaves.
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(descriptor, self._read_fifo, descriptor)
        return descriptor

    def _read_fifo(self, descriptor: int) -> None:
        *lines, self._pending = (self._pending + os.read(descriptor, 4096)).split(b"\n")
        for line in lines:
            if line.strip():
                self._lines.put_nowait(line.decode("utf-8", "replace"))

    def _state(self) -> dict[str, object]:
        lathe = self._lathe
        return {
            "channel": lathe.channel.name,
            "program": lathe.program_name,
            "program_state": lathe.program_state.name,
            "parts": lathe.parts,
            "door_closed": lathe.door_closed,
            "override": lathe.feed_override,
            "files": self._machine.disk.listing(),
            "folders": sorted(self._machine.disk.folders),
            "jobs": [one.facts() for one in self._machine.orders.values()],
            "calls": dict(self._machine.faults.calls),
            **self._server.counts(),
        }

    def _say(self, **facts: object) -> None:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()


async def _main(arguments: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await Simulator(arguments).run()
    except asyncio.CancelledError:
        pass


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="opcua_lathe", description="A simulated lathe that speaks OPC UA.")
    parser.add_argument("--endpoint", default="opc.tcp://127.0.0.1:4840/lathe")
    parser.add_argument("--ctl", type=Path, help="FIFO for control lines; made when missing")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster than real time")
    parser.add_argument("--name", default="Lathe", help="browse name of the machine")
    parser.add_argument("--idle", action="store_true", help="wait for `start`")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=("files", "move", "jobs"),
        help="leave out the file system, its MoveOrCopy, or job control; may be repeated",
    )
    parser.add_argument("--user", help="let in this user only")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--security", action="store_true", help="secured connections only")
    parser.add_argument("--certificate", type=Path, help="certificate (PEM) of a secured server")
    parser.add_argument("--key", type=Path, help="its key (PEM)")
    arguments = parser.parse_args()
    # The server's library logs every request that a test breaks on purpose.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    asyncio.run(_main(arguments))


if __name__ == "__main__":
    main()
