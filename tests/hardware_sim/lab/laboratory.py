# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory itself: files, processes, addresses, and the hands that misbehave with it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from asyncio.subprocess import PIPE, STDOUT
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import serial

from edge.pki import Pki
from edge.store.pin import write_pin
from tests.hardware_sim.lab.ports import free_port
from tests.hardware_sim.lab.processes import NotReady, Process, find, port_answers, python
from tests.support.certificates import make

LAB_ID = "demo"
OFFICE_ACCOUNT = "demo"
SHAFT = "VELENAS.MPF"
SHAFT_PROGRAM = b"""; velenas, 20 x 45 mm
G54 G18 G90 G95 G71
T1 D1
G96 S180 LIMS=2500 M4
G0 X24 Z0.2
G1 X-1 F0.12
G0 X20 Z1
G1 Z-45 F0.2
G0 X24
G0 Z100
M5
M30
"""
"""A program in the dialect of the lathe's control, as the lab keeps it for the lathe: nobody here reads it."""
ZERO = (-250.0, -170.0, -40.0)
"""Machine coordinates (mm) of the fixture plate's front left corner: G54 of the simulated router."""


@dataclass
class Options:
    """What differs between a demo, a tour and a test.

    sync_extra, store_extra and ingest_extra are further lines of the edge's [sync] and [store] and of the office's
    [broker]; data_dir is where the edge keeps its files, by default a folder of its own below `folder`; zero is the G54
    of the simulated router, machine coordinates in mm; server_port is where the lab's own OPC UA server lets everybody
    read, 0 for any port, None for no server, and server_niceness how far it stands behind; realtime gives edge and
    router the priority that they have in a van, where nothing else runs: a guardian cannot tell a computer that is
    busy with other tests from a hanging edge.
    """

    folder: Path
    speed: float = 1.0
    console_port: int = 0
    kiosk_port: int = 0
    office_port: int = 0
    broker_port: int = 0
    opcua_port: int = 0
    server_port: int | None = None
    server_niceness: int = 10
    pin: str = ""
    router_settings: dict[str, str] = field(default_factory=dict)
    database: str = ""
    with_lathe: bool = True
    sync_extra: str = ""
    store_extra: str = ""
    ingest_extra: str = ""
    data_dir: Path | None = None
    zero: tuple[float, float, float] = ZERO
    realtime: bool = True


class Laboratory:
    """``async with Laboratory(options) as lab``: everything runs inside, and nothing is left outside."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder = options.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.office_password = ""
        self.pin = options.pin or f"{secrets.randbelow(900_000) + 100_000}"
        self.console_port = free_port(options.console_port)
        self.kiosk_port = free_port(options.kiosk_port)
        self.office_port = free_port(options.office_port)
        self.broker_port = free_port(options.broker_port)
        self.opcua_port = free_port(options.opcua_port)
        self.server_port = None if options.server_port is None else free_port(options.server_port)
        self.serial_link = self.folder / "router"
        self.router_ctl = self.folder / "router.ctl"
        self.wirelog = self.folder / "router.wire.jsonl"
        self.lathe_ctl = self.folder / "lathe.ctl"
        self.data_dir = options.data_dir or self.folder / "data"
        self.edge_config = self.folder / "edge.toml"
        self.office_config = self.folder / "office.toml"
        self.broker = self._broker()
        self.router = self._router()
        self.lathe = self._lathe()
        self.office = self._office()
        self.edge = self._edge()
        self._write_files()

    @property
    def console_url(self) -> str:
        """Return the address of the operator's console."""
        return f"http://127.0.0.1:{self.console_port}"

    @property
    def kiosk_url(self) -> str:
        """Return the address of the visitors' kiosk."""
        return f"http://127.0.0.1:{self.kiosk_port}"

    @property
    def office_url(self) -> str:
        """Return the address of the central office."""
        return f"http://127.0.0.1:{self.office_port}"

    @property
    def endpoint(self) -> str:
        """Return the address of the lathe's OPC UA server."""
        return f"opc.tcp://127.0.0.1:{self.opcua_port}/lathe"

    @property
    def server_endpoint(self) -> str:
        """Return the address of the lab's own OPC UA server."""
        return f"opc.tcp://127.0.0.1:{self.server_port}/infomobil"

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _broker(self) -> Process | None:
        mosquitto = find("mosquitto")
        if mosquitto is None:
            return None
        config = self.folder / "mosquitto.conf"

        async def ready() -> bool:
            return await port_answers(self.broker_port)

        return Process("broker", [mosquitto, "-c", str(config)], self._log("broker"), ready)

    def _router(self) -> Process:
        async def ready() -> bool:
            return self.serial_link.exists()

        command = python(
            "tests.hardware_sim.grbl",
            *("--link", self.serial_link, "--ctl", self.router_ctl, "--wirelog", self.wirelog),
            *("--speed", self.options.speed, "--build", "door", "--settings", self.folder / "router.json"),
            "--physical=-60,-40,-20",
        )
        return Process("router", command, self._log("router"), ready, self.options.realtime)

    def _lathe(self) -> Process:
        async def ready() -> bool:
            return await port_answers(self.opcua_port)

        command = python(
            "tests.hardware_sim.opcua_lathe",
            *("--endpoint", self.endpoint, "--ctl", self.lathe_ctl, "--speed", self.options.speed),
            *("--security", "--certificate", self.folder / "lathe.cert.pem", "--key", self.folder / "lathe.key.pem"),
        )
        return Process("lathe", command, self._log("lathe"), ready)

    def _office(self) -> Process:
        async def ready() -> bool:
            return await port_answers(self.office_port)

        return Process("office", python("office", "run", "--config", self.office_config), self._log("office"), ready)

    def _edge(self) -> Process:
        async def ready() -> bool:
            return await port_answers(self.console_port) and await port_answers(self.kiosk_port)

        command = python("edge", "run", "--config", self.edge_config)
        return Process("edge", command, self._log("edge"), ready, self.options.realtime)

    def _write_files(self) -> None:
        # As root the broker would change its user, and with that forget to end with whoever started it.
        user = "user root\n" if os.geteuid() == 0 else ""
        (self.folder / "mosquitto.conf").write_text(
            f"{user}listener {self.broker_port} 127.0.0.1\nallow_anonymous true\npersistence false\n", encoding="utf-8"
        )
        settings = {"$20": "1", "$21": "1", "$22": "1", "$30": "12000", **self.options.router_settings}
        (self.folder / "router.json").write_text(json.dumps(settings), encoding="utf-8")
        if self.options.with_lathe:
            self._make_lathe_trusted()
            shelf = self.data_dir / "machine-files" / "lathe"
            shelf.mkdir(parents=True, exist_ok=True)
            (shelf / SHAFT).write_bytes(SHAFT_PROGRAM)
        write_pin(self.folder / "pin", self.pin)
        database = self.options.database or f"sqlite:///{self.folder / 'office.sqlite3'}"
        self.office_config.write_text(
            f'database = "{database}"\n\n[http]\nport = {self.office_port}\n\n[broker]\nport = {self.broker_port}\n'
            f"{self.options.ingest_extra}",
            encoding="utf-8",
        )
        self.edge_config.write_text(self._edge_toml(), encoding="utf-8")

    def _make_lathe_trusted(self) -> None:
        """Give the lathe a certificate and let the lab trust it, as its technician did when it was connected."""
        made = make("lathe", uri="urn:freeopcua:python:server")
        (self.folder / "lathe.cert.pem").write_bytes(made.pem)
        (self.folder / "lathe.key.pem").write_bytes(made.key_pem)
        Pki(self.data_dir / "opcua").trust_list.trust(made.certificate)

    def _edge_toml(self) -> str:
        lathe = f"""
[[machine]]
id = "lathe"
name = "Tekinimo staklės"
kind = "lathe"
[machine.connection]
driver = "opcua"
endpoint = "{self.endpoint}"
write = true
"""
        serves = f"port = {self.server_port}\nanonymous = true\nniceness = {self.options.server_niceness}\n"
        server = f"[opcua_server]\n{serves}" if self.server_port else ""
        return f"""[lab]
id = "{LAB_ID}"
name = "InfoMobil"
data_dir = "{self.data_dir}"

[http]
console_port = {self.console_port}
kiosk_port = {self.kiosk_port}

[operator]
pin_file = "{self.folder / "pin"}"

[sync]
host = "127.0.0.1"
port = {self.broker_port}
{self.options.sync_extra}

[store]
{self.options.store_extra}

{server}
[[machine]]
id = "router"
name = "Frezavimo staklės"
kind = "router"
[machine.connection]
driver = "grbl"
port = "{self.serial_link}"
door_pin = true
stop_pin = true
[[machine.interlock]]
input = "door"
source = "controller"
label = "Staklių durelės"
remedy = "Uždarykite dureles, tada spauskite „Atkurti“."
[[machine.interlock]]
input = "stop-circuit"
source = "controller"
label = "Stabdymo grandinė"
remedy = "Atleiskite stabdymo mygtuką prie staklių, tada spauskite „Atkurti“."
[machine.hand]
max_feed = 1500.0
park = [-5.0, -5.0, -5.0]
plate = 12.0
tool_setter = [-20.0, -20.0]
[machine.hand.corner]
x = 10.0
y = 10.0
z = 12.0
length = 25.0
[machine.hand.probe]
fast = 180.0
[[machine.tools]]
number = 1
name = "Galinė freza 3 mm"
shape = "flat"
diameter_mm = 3.0
flute_mm = 12.0
max_plunge = 400.0
[[machine.tools]]
number = 2
name = "Sferinė freza 3 mm"
shape = "ball"
diameter_mm = 3.0
flute_mm = 12.0
max_plunge = 300.0
[[machine.tools]]
number = 3
name = "Graviravimo freza 60°"
shape = "v"
diameter_mm = 3.175
flute_mm = 2.5
tip_angle_deg = 60.0
tip_diameter_mm = 0.1
max_plunge = 400.0
[[machine.tools]]
number = 4
name = "Galinė freza 1 mm"
shape = "flat"
diameter_mm = 1.0
flute_mm = 4.0
max_plunge = 300.0
{lathe if self.options.with_lathe else ""}"""

    def prepare_router(self) -> None:
        """Set the fixture plate's zero once, as whoever built the van did: it stays in the controller's EEPROM."""
        with serial.Serial(str(self.serial_link), 115200, timeout=5) as port:
            port.read_until(b"unlock]\r\n")
            for line in ("$X", "G10L2P1X{:g}Y{:g}Z{:g}".format(*self.options.zero)):
                port.write(line.encode() + b"\n")
                reply = b""
                while not reply.startswith((b"ok", b"error")):
                    reply = port.readline()
                    if not reply:
                        raise NotReady("the router did not answer while its zero was set")
                if not reply.startswith(b"ok"):
                    raise NotReady(f"the router refused {line}: {reply.decode()}")

    async def __aenter__(self) -> Laboratory:
        """Start everything; what has started is ended again where a later part fails."""
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def _start(self) -> None:
        machines = [self.router.start()]
        if self.options.with_lathe:
            machines.append(self.lathe.start())
        if self.broker is not None:
            machines.append(self.broker.start())
        await asyncio.gather(*machines, self.office.start(), self._edge_after_router())

    async def _edge_after_router(self) -> None:
        while not self.serial_link.exists():
            await asyncio.sleep(0.02)
        await asyncio.to_thread(self.prepare_router)
        await self.edge.start()

    async def __aexit__(self, *_: object) -> None:
        """End everything, screens first."""
        await self._stop()

    async def _stop(self) -> None:
        await self.edge.stop()
        await asyncio.gather(
            *(part.stop() for part in (self.office, self.lathe, self.router, self.broker) if part is not None)
        )

    async def make_office_account(self, name: str) -> None:
        """Make an admin of the office with the password `office_password`: from then on a login is asked for."""
        self.office_password = secrets.token_urlsafe(9)
        command = python("office", "account", "add", name, "--role", "admin", "--password-file", "-")
        adding = await asyncio.create_subprocess_exec(
            *command, "--config", self.office_config, stdin=PIPE, stdout=PIPE, stderr=STDOUT
        )
        output, _ = await adding.communicate(self.office_password.encode())
        if adding.returncode != 0:
            raise NotReady(f"the office's account was not made: {output.decode()}")

    def tell_router(self, line: str) -> None:
        """Send a control line to the simulated router: what happens to the hardware."""
        self._tell(self.router_ctl, line)

    def tell_lathe(self, line: str) -> None:
        """Send a control line to the simulated lathe."""
        self._tell(self.lathe_ctl, line)

    async def lathe_truth(self) -> dict[str, Any]:
        """Return the true state of the simulated lathe, as its own panel would tell it."""
        log = self._log("lathe")
        read = len(log.read_bytes())
        self.tell_lathe("state")
        async with asyncio.timeout(5):
            while True:
                for line in log.read_bytes()[read:].splitlines(keepends=True):
                    if line.startswith(b'{"done": "state"') and line.endswith(b"\n"):
                        truth: dict[str, Any] = json.loads(line)
                        return truth
                await asyncio.sleep(0.01)

    async def router_truth(self) -> dict[str, Any]:
        """Return the true state of the simulated router, as no message on the wire tells it."""
        file = self.router_ctl.with_name(f"{self.router_ctl.name}.state")
        file.unlink(missing_ok=True)
        self.tell_router("state")
        async with asyncio.timeout(5):
            while not file.exists():
                await asyncio.sleep(0.01)
        truth: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return truth

    @staticmethod
    def _tell(fifo: Path, line: str) -> None:
        with fifo.open("w", encoding="utf-8") as pipe:
            pipe.write(line + "\n")
