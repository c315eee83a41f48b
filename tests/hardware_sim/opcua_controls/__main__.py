# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a control: `python -m tests.hardware_sim.opcua_controls --model cnc|sinumerik|generic --ctl FIFO`.

Prints one JSON line when ready and one for each control line. Control lines on the FIFO, one per line:

    set NAME VALUE       set a variable; VALUE is JSON, NAME as `state` prints it
    bad NAME             give a variable a Bad status
    alarm TEXT | alarm   raise an alarm with this text; clear all alarms
    garble on|off        what is written into the program memory is kept with a fault
    reject on|off        Select answers 4
    silence | talk       connections stay open and nothing comes through; back to normal
    cut                  reset the TCP connections
    state                print every variable, the alarms, the program memory (bytes by path) and who is connected
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
from pathlib import Path
from urllib.parse import urlparse

from asyncua import Server, ua

from tests.hardware_sim.opcua_controls import cnc, generic, sinumerik
from tests.hardware_sim.opcua_controls.space import Space
from tests.hardware_sim.opcua_lathe.relay import Relay

_FIRST_ALARM = 700000


class Simulator:
    """A control, its server and its wire."""

    def __init__(self, model: str, endpoint: str, ctl: Path | None) -> None:
        self._model = model
        self._endpoint = endpoint
        self._ctl = ctl
        url = urlparse(endpoint)
        self._path = url.path
        self._relay = Relay(url.hostname or "127.0.0.1", url.port or 4840)
        self._server = Server()
        self._memory: sinumerik.Memory | None = None
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._pending = b""

    async def run(self) -> None:
        """Run until cancelled."""
        server = self._server
        await server.init()
        server.name = f"InfoMobil simulated control ({self._model})"
        server.set_endpoint(f"opc.tcp://127.0.0.1:0{self._path}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        space = await self._build()
        await server.start()
        assert server.bserver is not None
        self._relay.server_port = server.bserver.port
        await self._relay.start()
        descriptor = None if self._ctl is None else self._open_fifo(self._ctl)
        try:
            _say(ready=self._endpoint)
            while True:
                await self._obey(space, (await self._lines.get()).strip())
        finally:
            if descriptor is not None:
                asyncio.get_running_loop().remove_reader(descriptor)
                os.close(descriptor)
            await self._relay.stop()
            await server.stop()

    async def _build(self) -> Space:
        match self._model:
            case "cnc":
                return await cnc.build(self._server)
            case "sinumerik":
                space, self._memory = await sinumerik.build(self._server, self._relay.cut)
                return space
            case _:
                return await generic.build(self._server)

    async def _obey(self, space: Space, line: str) -> None:
        command, _, argument = line.partition(" ")
        try:
            await self._command(space, command, argument.strip())
        except (ValueError, KeyError, TypeError) as error:
            _say(error=f"{line!r}: {error}")
        else:
            _say(done=line, **self._state(space))

    async def _command(self, space: Space, command: str, argument: str) -> None:
        match command:
            case "set":
                # Names have blanks in them, values need not.
                name, _, value = argument.rpartition(" ")
                await space.set(name, json.loads(value))
            case "bad":
                await space.set(argument, space.value(argument), good=False)
            case "alarm" if argument:
                await space.raise_alarm(str(_FIRST_ALARM + len(space.alarms)), argument, active=True)
            case "alarm":
                for code, text in list(space.alarms.items()):
                    await space.raise_alarm(code, text, active=False)
            case "garble" | "reject" if self._memory is not None:
                on = {"on": True, "off": False}[argument]
                if command == "garble":
                    self._memory.garble(on=on)
                else:
                    self._memory.rejects = on
            case "silence" | "talk":
                self._relay.silence(silent=command == "silence")
            case "cut":
                self._relay.cut()
            case "state":
                pass
            case _:
                raise ValueError("unknown command")

    def _state(self, space: Space) -> dict[str, object]:
        server = self._server
        assert server.bserver is not None
        return {
            "values": {name: space.value(name) for name in space.variables},
            "alarms": space.alarms,
            "files": {} if self._memory is None else self._memory.files,
            "connections": len(server.bserver.clients),
            "sessions": len(server.iserver._external_sessions),
            "subscriptions": len(server.iserver.subscription_service.subscriptions),
        }

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


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def _main(arguments: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await Simulator(arguments.model, arguments.endpoint, arguments.ctl).run()
    except asyncio.CancelledError:
        pass


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="opcua_controls", description="A simulated control that speaks OPC UA.")
    parser.add_argument("--model", choices=("cnc", "sinumerik", "generic"), required=True)
    parser.add_argument("--endpoint", default="opc.tcp://127.0.0.1:4840/control")
    parser.add_argument("--ctl", type=Path, help="FIFO for control lines; made when missing")
    # The server's library logs every request that a test breaks on purpose.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
