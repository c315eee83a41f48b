# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is plugged into whom. The only room that knows which class stands behind which port."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from edge import __version__
from edge.api.app import create_app as create_console
from edge.config import EdgeSettings, MachineSettings, settings_hash
from edge.domain.errors import InfoMobilError
from edge.domain.ports import MachineDriver, SafetyInputSource
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.laser_hal.settings import LaserSettings
from edge.drivers.opcua.settings import OpcUaSettings
from edge.guardian.client import GuardianClient
from edge.http.server import bind, serve
from edge.keys import KeyUnusable, lab_key
from edge.kiosk.app import create_app as create_kiosk
from edge.opcua_server.feed import OpcUaServerFeed
from edge.services.anchors import ClockWatch
from edge.services.bus import EventBus
from edge.services.clock import SystemClock, kernel_time
from edge.services.estimate import Estimates
from edge.services.hand import MachineHand
from edge.services.inputs import InputRouter
from edge.services.jobs import JobService
from edge.services.lab import Lab
from edge.services.lineage import Lineage, tell_start
from edge.services.observation import Observation
from edge.services.opening import Opening
from edge.services.operators import OperatorDesk
from edge.services.probing import WorkZero
from edge.services.profile import SettingsProfile
from edge.services.programs import ProgramCatalog
from edge.services.recorder import Recorder
from edge.services.scenes import Scenes
from edge.services.supervisor import MachineSupervisor
from edge.services.survey import Survey
from edge.services.transfer import ProgramTransfer
from edge.services.twin import Twins
from edge.services.visits import VisitCounter
from edge.services.workers import Workers
from edge.store.database import Database
from edge.store.journal import SqliteJournal
from edge.store.keeper import RecordKeeper
from edge.store.library import PieceLibrary, pieces_dir
from edge.store.machine_files import MachineFiles
from edge.store.outbox import SqliteOutbox
from edge.store.pin import StoredPin
from edge.store.recordings import Recordings
from edge.store.shelf import ProgramShelf
from edge.store.sqlite_store import SqliteStore
from edge.sync.status import LabIdentity
from edge.uplink import LabHealth, Uplink

log = logging.getLogger(__name__)

DRAIN_S = 2.0
FLUSH_S = 1.0
GARBAGE_S = 30.0
PICTURE_S = 60.0
NEVER = 1_000_000
M_MMAP_THRESHOLD = -3
MAPPED_BYTES = 256 * 1024


class PartEnded(InfoMobilError):
    """The part {name} of the service ended by itself."""


class ShutdownAsked(Exception):
    """A signal asked for the end: what ends the root task group."""


def _public_key(data_dir: Path) -> str:
    """Return the public half of the lab's key, empty where the disk gives none: people are counted all the same."""
    try:
        return lab_key(data_dir / "keys").public_hex
    except KeyUnusable as error:
        log.error("%s Sticks cannot be written.", error)  # noqa: TRY400 - the reason is the sentence
        return ""


class Edge:
    """One laboratory's service, assembled. `run` is its whole life."""

    def __init__(self, settings: EdgeSettings, config_path: Path) -> None:
        self._settings = settings
        self._config_hash = settings_hash(config_path)
        self._clock = SystemClock()
        self._bus = EventBus()
        self._router = InputRouter()
        self._workers = Workers()
        self._painters = Workers(limit_s=PICTURE_S)
        self._machines: dict[str, MachineSupervisor] = {}
        self._hands: dict[str, MachineHand] = {}
        self._sources: list[tuple[str, SafetyInputSource]] = []

    async def run(self) -> None:
        """Open, run until a signal comes, close: everything that was started is awaited, in the reverse order."""
        settings = self._settings
        pin = StoredPin(settings.operator.pin_file)
        library = await asyncio.to_thread(PieceLibrary, pieces_dir(settings.lab.content_dir), settings.library.keys)
        library.log_left_out()
        async with AsyncExitStack() as stack:
            console_socket = bind(settings.http.host, settings.http.console_port)
            stack.callback(console_socket.close)
            kiosk_socket = bind(settings.http.host, settings.http.kiosk_port)
            stack.callback(kiosk_socket.close)
            path = settings.store.database(settings.lab.data_dir)
            database = await asyncio.to_thread(Database.open, path, settings.store, self._clock.boot_id())
            stack.callback(database.close)
            store, outbox = SqliteStore(database), SqliteOutbox(database)
            identity = LabIdentity(
                settings.lab.id,
                self._clock.boot_id(),
                database.epoch,
                __version__,
                self._config_hash,
                install=database.install,
                ordinal=database.ordinal,
                key=await asyncio.to_thread(_public_key, settings.lab.data_dir),
            )
            certificate = settings.sync.cert_file if settings.sync is not None else None
            folder, reserve_mb = settings.lab.data_dir, settings.store.reserve_mb
            health = LabHealth(folder, reserve_mb, store.room, lambda: watch.quality, certificate)
            uplink = Uplink(settings.sync, outbox, self._clock, identity, health.words)
            recorder = Recorder(store, self._clock, uplink.notify)

            async def begin_epoch() -> None:
                aside = database.set_aside is not None
                lineage = Lineage(database.install, database.ordinal, database.previous_epoch, aside)
                await tell_start(recorder, lineage, self._clock.boot_id(), __version__)

            async def renewed() -> None:
                epoch, install, ordinal = database.epoch, database.install, database.ordinal
                uplink.renew(replace(identity, epoch=epoch, install=install, ordinal=ordinal))
                await begin_epoch()

            await begin_epoch()
            keeper = RecordKeeper(database, self._clock, on_renewed=renewed, changed=uplink.review)
            uplink.report(keeper.look_soon)
            watch = ClockWatch(recorder, self._clock, kernel_time)
            uplink.hear(lambda heard: watch.heard(heard.sent_ns, heard.heard_ns, heard.office_ns))
            notes = settings.lab.data_dir / "guardian"
            guardian = GuardianClient(self._guardian_acted, self._guardian_gone, notes)
            await guardian.start()
            stack.push_async_callback(guardian.stop)
            stack.callback(self._workers.close)
            stack.callback(self._painters.close)
            self._plug_machines(guardian, recorder)
            shelf = ProgramShelf(settings.lab.data_dir / "programs")
            tables = {machine.id: machine.tools for machine in settings.machine}
            catalog = ProgramCatalog(library.pieces, shelf, self._workers, self._bus, tables, library)
            visits = VisitCounter(store, recorder, self._bus, self._clock, settings.lab.language)
            survey = Survey(store, recorder, lambda: visits.visit)
            jobs = JobService(
                self._machines,
                catalog,
                store=store,
                journal=SqliteJournal(database),
                recorder=recorder,
                bus=self._bus,
                clock=self._clock,
                visit_id=lambda: visits.visit.visit_id if visits.visit else None,
            )
            # Checks and starts wait for the one process; pictures and estimates, which may wait, have their own.
            scenes = Scenes(catalog, self._painters)
            twins = Twins(self._machines, jobs, scenes, self._bus)
            estimates = Estimates(self._machines, jobs, catalog, scenes, self._painters, self._bus)
            jobs.estimate_by(estimates.left)
            zeros = {
                key: WorkZero(machine, self._hands[key], store, recorder) for key, machine in self._machines.items()
            }
            for work_zero in zeros.values():
                await work_zero.load()
            profiles = {
                key: SettingsProfile(machine, self._hands[key], store=store, recorder=recorder, bus=self._bus)
                for key, machine in self._machines.items()
            }
            for profile in profiles.values():
                await profile.load()
            opening = Opening(
                self._machines,
                {machine.id: machine.checklist for machine in settings.machine if machine.is_commanded},
                store=store,
                recorder=recorder,
                bus=self._bus,
                working=lambda machine_id: jobs.running_on(machine_id) is not None,
            )
            reserve = round(settings.store.reserve_mb * 1_000_000)
            files = MachineFiles(settings.lab.data_dir / "machine-files", reserve)
            transfers = {
                key: ProgramTransfer(machine, files, recorder, self._bus) for key, machine in self._machines.items()
            }
            observation = Observation(self._machines, store=store, recorder=recorder, bus=self._bus, clock=self._clock)
            await observation.load()
            await opening.load()
            await visits.load()
            await survey.load()
            await jobs.load()
            server = self._opcua_server(jobs)
            lab = Lab(
                lab_id=settings.lab.id,
                name=settings.lab.name,
                language=settings.lab.language.value,
                machines=self._machines,
                hands=self._hands,
                zeros=zeros,
                profiles=profiles,
                opening=opening,
                jobs=jobs,
                programs=catalog,
                visits=visits,
                survey=survey,
                scenes=scenes,
                twins=twins,
                desk=OperatorDesk(pin, self._clock),
                recordings=Recordings(settings.lab.data_dir / "recordings"),
                bus=self._bus,
                sync_status=uplink.status,
                transfers=transfers,
                files=files,
                observation=observation,
                opcua_server=server,
            )
            uplink.follow(self._bus, self._machines)
            console, kiosk = create_console(lab), create_kiosk(lab)
            await self._live(
                {
                    "garbage": self._collect_garbage,
                    "recorder": recorder.run,
                    "record": keeper.run,
                    "clock": watch.run,
                    "uplink": uplink.run,
                    "jobs": jobs.run,
                    "twins": twins.run,
                    "estimates": estimates.run,
                    "opening": opening.run,
                    "observation": observation.run,
                    **({"opcua server": server.run} if server else {}),
                    **{f"loads {key}": transfer.run for key, transfer in transfers.items()},
                    **{f"settings {key}": profile.run for key, profile in profiles.items()},
                    **{f"machine {key}": machine.run for key, machine in self._machines.items()},
                    **{
                        f"inputs {name}": partial(source.run, self._router.reporter(name))
                        for name, source in self._sources
                    },
                    "console": partial(serve, console, console_socket),
                    "kiosk": partial(serve, kiosk, kiosk_socket),
                },
                lambda: self._settle(lab, recorder, uplink),
            )

    async def _live(
        self,
        parts: dict[str, Callable[[], Coroutine[None, None, None]]],
        settle: Callable[[], Coroutine[None, None, None]],
    ) -> None:
        try:
            async with asyncio.TaskGroup() as root:
                for name, run in parts.items():
                    root.create_task(self._eternal(name, run), name=name)
                root.create_task(self._until_signal(settle), name="signals")
        except* ShutdownAsked:
            log.info("the service has ended")

    @staticmethod
    async def _eternal(name: str, run: Callable[[], Coroutine[None, None, None]]) -> None:
        await run()
        raise PartEnded(name=name)

    async def _collect_garbage(self) -> None:
        """Collect the oldest generation while nothing moves: walking it takes the loop some 20 ms away from a trip."""
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, NEVER)
        gc.collect()
        gc.freeze()
        while True:
            await asyncio.sleep(GARBAGE_S)
            if not any(machine.moving for machine in self._machines.values()):
                gc.collect()

    async def _settle(self, lab: Lab, recorder: Recorder, uplink: Uplink) -> None:
        """Stop what moves, then bring what was noted to the disk and, where it can be reached, to the office."""
        await asyncio.gather(*(machine.shut_down() for machine in self._machines.values()))
        await asyncio.gather(*(transfer.shut_down() for transfer in lab.transfers.values()))
        await lab.observation.settle()
        await recorder.drain(DRAIN_S)
        await uplink.flush(FLUSH_S)

    async def _until_signal(self, settle: Callable[[], Coroutine[None, None, None]]) -> None:
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.set)
        log.info(
            "%s: console on port %d, kiosk on port %d",
            self._settings.lab.name,
            self._settings.http.console_port,
            self._settings.http.kiosk_port,
        )
        await asked.wait()
        log.info("the service ends: stopping what moves")
        await settle()
        raise ShutdownAsked

    def _guardian_acted(self, machine_id: str) -> None:
        if machine_id in self._machines:
            self._machines[machine_id].guardian_acted()

    def _guardian_gone(self, machine_id: str) -> None:
        if machine_id in self._machines:
            self._machines[machine_id].guardian_gone()

    def _opcua_server(self, jobs: JobService) -> OpcUaServerFeed | None:
        """Return the way to the lab's own OPC UA server, where the configuration has one."""
        settings, server = self._settings, self._settings.opcua_server
        if server is None:
            return None
        plates = [
            one.identification.nameplate(one.id, one.name, one.kind, one.connection.driver) for one in settings.machine
        ]
        pki = settings.lab.data_dir / "opcua"
        plan = server.plan(settings.lab.id, settings.lab.name, __version__, pki, plates)
        return OpcUaServerFeed(plan, self._machines, jobs, self._bus, self._clock)

    def _plug_machines(self, guardian: GuardianClient, recorder: Recorder) -> None:
        gpio = self._settings.gpio
        for machine in self._settings.machine:
            guarded = isinstance(machine.connection, GrblSettings | LaserSettings)
            driver, inputs = self._drive(machine, guardian)
            supervisor = MachineSupervisor(
                driver,
                [item.rule() for item in machine.interlock],
                clock=self._clock,
                bus=self._bus,
                recorder=recorder,
                guardian=guardian if guarded else None,
            )
            self._machines[machine.id] = supervisor
            self._hands[machine.id] = MachineHand(supervisor, machine.hand)
            for item in machine.interlock:
                self._router.watch(supervisor, item.rule())
            kind = "controller" if guarded else "opcua"
            self._sources.append((f"{kind}:{machine.id}", inputs))
        if gpio.inputs:
            # Imported where it is used: a van without GPIO inputs needs no pin library.
            from edge.drivers.safety_io.driver import GpioInputs

            self._sources.append(("gpio", GpioInputs(gpio, self._clock)))

    def _drive(self, machine: MachineSettings, guardian: GuardianClient) -> tuple[MachineDriver, SafetyInputSource]:
        """Return the machine's driver and the inputs that come over the same wire. Imports what is configured only."""
        recordings = self._settings.lab.data_dir / "recordings"
        match machine.connection:
            case GrblSettings() as grbl:
                from edge.drivers.grbl import GrblDriver, GrblPinInputs

                serial = GrblDriver(machine.id, machine.name, machine.kind, grbl, self._clock, guardian, recordings)
                return serial, GrblPinInputs(serial, f"the controller of {machine.name}", self._clock)
            case LaserSettings() as laser:
                from edge.drivers.grbl import GrblPinInputs
                from edge.drivers.laser_hal.driver import LaserDriver

                beam = LaserDriver(machine.id, machine.name, machine.kind, laser, self._clock, guardian, recordings)
                return beam, GrblPinInputs(beam, f"the controller of {machine.name}", self._clock)
            case OpcUaSettings() as opcua:
                from edge.drivers.opcua.driver import OpcUaDriver
                from edge.drivers.opcua.inputs import OpcUaInputs
                from edge.pki import Pki

                pki = Pki(self._settings.lab.data_dir / "opcua")
                remote = OpcUaDriver(machine.id, machine.name, machine.kind, opcua, self._clock, pki=pki)
                return remote, OpcUaInputs(remote)


def _return_large_blocks() -> None:
    """Have what is larger than MAPPED_BYTES go back to the computer as soon as it is freed.

    The C library else takes a limit from the largest block that was ever freed, up to 32 MB, and keeps what is
    below it: after one long program the process would stay as large as its checks were (mallopt(3)).
    """
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)


async def run_edge(settings: EdgeSettings, config_path: Path) -> None:
    """Run one laboratory until SIGTERM or SIGINT. Raises the errors of what cannot be opened."""
    _return_large_blocks()
    await Edge(settings, config_path).run()
