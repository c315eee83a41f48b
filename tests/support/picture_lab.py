# SPDX-License-Identifier: GPL-3.0-or-later
"""Console and kiosk of a laboratory with one router that does not move: for the pictures of its programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

import httpx

from edge.api.access import COOKIE
from edge.api.app import create_app as create_console
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.kiosk.app import create_app as create_kiosk
from edge.services.bus import EventBus
from edge.services.jobs import JobService
from edge.services.lab import Lab
from edge.services.operators import OperatorDesk
from edge.services.programs import ProgramCatalog
from edge.services.recorder import Recorder
from edge.services.scenes import Packed, Scenes
from edge.services.supervisor import MachineSupervisor
from edge.services.twin import TwinStatus
from edge.store.pieces import load_piece
from edge.store.shelf import ProgramShelf
from tests.support.bare_lab import bare_lab
from tests.support.fakes import FakeClock, FakeDriver, MemoryJournal, MemoryStore
from tests.support.job_bench import here
from tests.support.scene import Unpacked, unpack

P = ParamSpec("P")
T = TypeVar("T")
CONTENT = Path(__file__).parents[2] / "content" / "programs"
PIECES = {name: load_piece(CONTENT / name) for name in ("gear", "name-tag")}
TOOLS = {1: Tool(1, "Ball 4 mm", ToolShape.BALL, diameter=4.0, flute_length=12.0)}
UPLOAD = b"G21 G90\nT1\nM3 S700\nG0 Z5\nG0 X10 Y10\nG1 Z-2 F400\nG1 X50 F900\nG53 G0 Z-1\nM5\nM30\n"


class AnyPin:
    """A PIN that takes everything."""

    def matches(self, pin: str) -> bool:
        return bool(pin)


@dataclass
class Shown:
    """A machine's twin as it is told."""

    told: TwinStatus | None = None
    packed: Packed | None = None
    path: Packed | None = None
    begun: bool = False

    def status(self, _machine_id: str) -> TwinStatus | None:
        return self.told

    def coming(self, _machine_id: str) -> bool:
        return self.begun

    async def relief(self, _machine_id: str) -> Packed | None:
        return self.packed

    async def scene(self, _machine_id: str) -> Packed | None:
        return self.path


@dataclass
class Place:
    """Console and kiosk of a laboratory with one router, and what was given to the worker."""

    lab: Lab
    driver: FakeDriver
    console: httpx.AsyncClient
    stranger: httpx.AsyncClient
    kiosk: httpx.AsyncClient
    twin: Shown
    upload: str
    file: Path
    made: list[str] = field(default_factory=list)

    async def get(self, path: str, **headers: str) -> Unpacked:
        answer = await self.console.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/octet-stream"
        return unpack(answer.content)


def _holding(folder: Path, content: bytes) -> Path:
    """Return the file under `folder` that holds `content`."""
    return next(file for file in folder.rglob("*") if file.is_file() and file.read_bytes() == content)


@asynccontextmanager
async def picture_lab(tmp_path: Path) -> AsyncIterator[Place]:
    """Yield a laboratory with two pieces and an upload, whose worker is this process."""
    clock, store, bus, made = FakeClock(), MemoryStore(), EventBus(), []
    driver, recorder = FakeDriver(clock), Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [], clock=clock, bus=bus, recorder=recorder, guardian=None)

    async def counted(function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
        made.append(function.__name__)
        return await here(function, *arguments, **named)

    catalog = ProgramCatalog(PIECES, ProgramShelf(tmp_path / "programs"), counted, bus, {"router": TOOLS})
    driver.ready()
    driver.show(work_offset=Position(-200.0, -150.0, -40.0))
    entry, prepared = await catalog.upload("a.nc", UPLOAD, driver.info(), Position(-200.0, -150.0, -40.0))
    assert entry is not None, prepared.diagnostics
    file = _holding(tmp_path, UPLOAD)
    made.clear()
    nothing: Any = SimpleNamespace(record=None, needed=False, lines=dict, bell_in_s=lambda: None)
    machines = {"router": supervisor}
    jobs = JobService(
        machines,
        catalog,
        store=store,
        journal=MemoryJournal(),
        recorder=recorder,
        bus=bus,
        clock=clock,
        visit_id=lambda: None,
    )
    twin: Any = Shown()
    desk = OperatorDesk(AnyPin(), clock)
    lab = bare_lab(
        machines,
        desk,
        bus,
        jobs=jobs,
        programs=catalog,
        scenes=Scenes(catalog, counted),
        twins=twin,
        nothing=nothing,
    )
    wire = httpx.ASGITransport(app=create_console(lab))
    tablet = httpx.ASGITransport(app=create_kiosk(lab))
    cookies = {COOKIE: await desk.login("123456")}
    async with (
        httpx.AsyncClient(transport=wire, base_url="http://lab", cookies=cookies) as console,
        httpx.AsyncClient(transport=wire, base_url="http://lab") as stranger,
        httpx.AsyncClient(transport=tablet, base_url="http://lab") as kiosk,
    ):
        yield Place(lab, driver, console, stranger, kiosk, twin, entry.program_id, file, made)
    supervisor._unsubscribe()
