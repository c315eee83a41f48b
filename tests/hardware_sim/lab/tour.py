# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole main job by itself: a school visit from the first tap to the office's number, with the link away."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.hardware_sim.lab.laboratory import OFFICE_ACCOUNT, SHAFT, SHAFT_PROGRAM, Laboratory
from tests.hardware_sim.lab.people import Office, Operator, Visitor, Wrong, until

KIOSKS = ("k1", "k2", "k3")
LANGUAGES = ("lt", "en", "lv", "et", "de")
VISITORS = 15
PUPILS, TEACHERS, TRAINERS, TRAINEES = 24, 2, 1, 3
SQUARE = b"G21 G90\nG0 X5 Y5 Z5\nM3 S8000\nG1 Z-0.5 F300\nG1 X25 F800\nG1 Y25\nG1 X5\nG1 Y5\nG0 Z5\nM5\nM30\n"


def expect(what: str, found: object, wanted: object) -> None:
    """Raise Wrong where something is not as it has to be."""
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, expected {wanted!r}")


class Tour:
    """Runs the steps, prints each, returns an exit code."""

    def __init__(self, lab: Laboratory, console: Console) -> None:
        self.lab = lab
        self.console = console
        self.visit = ""
        self.wishes: list[str] = []
        self.visitors: list[Visitor] = []

    async def run(self) -> int:
        """Run everything; 0 where every step and the final count were right."""
        steps = (
            ("the operator logs in and opens the visit", self.open_visit),
            ("the connection to the office goes away", self.cut_link),
            (f"{VISITORS} visitors check in at three kiosks, in five languages", self.check_in),
            ("three of them guess, and ask for a piece", self.make_wishes),
            ("the operator counts the group by role", self.count_heads),
            ("interlock reset by a person, router homed", self.ready),
            ("a name tag is approved, started, cut", self.cut_name_tag),
            ("the door is opened in mid cut: hold, stop, latched", self.trip),
            ("the gear goes on from the line that was being cut", self.recover),
            ("a program with a faulty line is refused, a good one is cut", self.upload),
            ("the lathe is watched over OPC UA", self.watch_lathe),
            ("a program is loaded into the lathe's memory, byte for byte", self.load_lathe),
            ("the connection comes back", self.restore_link),
            ("the office has the right number", self.final_count),
        )
        columns = (TextColumn("{task.description:<62}"), BarColumn(24), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as self.bar:
            for number, (title, step) in enumerate(steps, 1):
                self.task = self.bar.add_task(f"{number:>2}. {title}", total=1.0)
                try:
                    async with self._people():
                        await step()
                except (Wrong, OSError) as error:
                    self.bar.stop()
                    self.console.print(f"[red]Step {number} went wrong:[/red] {error}", soft_wrap=True)
                    self.console.print(f"Logs are in {self.lab.folder}", soft_wrap=True)
                    return 1
                self.bar.update(self.task, completed=1.0)
        self.console.print("[green]The tour is complete: every step and the final count are right.[/green]")
        return 0

    @asynccontextmanager
    async def _people(self) -> AsyncIterator[None]:
        async with Operator(self.lab.console_url) as self.operator, Office(self.lab.office_url) as self.office:
            await self.operator.login(self.lab.pin)
            if self.lab.office_password:
                await self.office.login(OFFICE_ACCOUNT, self.lab.office_password)
            yield

    def _progress(self, done: float) -> None:
        self.bar.update(self.task, completed=done)

    async def open_visit(self) -> None:
        """Open the visit."""
        visit = await self.operator.post(
            "/api/visits",
            {
                "school": "Kretingos technologijos ir verslo mokykla",
                "municipality": "Kretingos r.",
                "date": time.strftime("%Y-%m-%d"),
                "group": "8a",
                "expected": PUPILS,
                "language": "lt",
            },
        )
        self.visit = visit["id"]
        await self.operator.post(f"/api/visits/{self.visit}/bell", {"in_minutes": 45})

    async def cut_link(self) -> None:
        """Kill the broker, as a valley does."""
        if self.lab.broker is not None:
            await self.lab.broker.kill()

    async def check_in(self) -> None:
        """Check in at the kiosks, each visitor with a double tap."""
        for number in range(VISITORS):
            visitor = Visitor(self.lab.kiosk_url, KIOSKS[number % 3], LANGUAGES[number % 5])
            async with visitor:
                await visitor.check_in()
            self.visitors.append(visitor)
            self._progress((number + 1) / VISITORS)
        snapshot = await self.operator.get("/api/snapshot")
        expect("kiosk sessions", snapshot["visit"]["kiosk_sessions"], VISITORS)

    async def make_wishes(self) -> None:
        """Ask for three pieces."""
        for visitor, piece, extra in zip(
            self.visitors, ("name-tag", "gear", "bolt"), ({"text": "ĄŽUOLAS", "depth": "normal"}, {}, {}), strict=False
        ):
            async with Visitor(self.lab.kiosk_url, visitor.kiosk) as again:
                again.session = visitor.session
                pieces = {item["id"]: item for item in await again.get("/api/kiosk/pieces")}
                guess = pieces[piece]["guess_choices_s"][1]
                wished = await again.wish(piece, guess, **extra)
                self.wishes.append(wished["job"])

    async def count_heads(self) -> None:
        """Enter headcounts, one of them wrong and corrected with a reason."""
        counts = (
            ("pupil", PUPILS + 1, ""),
            ("pupil", -1, "one pupil was counted twice"),
            ("teacher", TEACHERS, ""),
            ("vet_trainer", TRAINERS, ""),
            ("trainee", TRAINEES, ""),
        )
        for number, (role, count, reason) in enumerate(counts):
            entry = f"00000000-0000-4000-8000-{number:012d}"
            body = {"entry": entry, "group": "8a", "role": role, "count": count, "reason": reason}
            await self.operator.post(f"/api/visits/{self.visit}/headcounts", body)
            visit = await self.operator.post(f"/api/visits/{self.visit}/headcounts", body)
        expect("people", visit["people"], {"pupil": 24, "teacher": 2, "vet_trainer": 1, "trainee": 3})

    async def ready(self) -> None:
        """Reset and home."""
        machine = await self.operator.until_machine("router", "the router answers", lambda m: bool(m["capabilities"]))
        expect("the interlock before anyone has looked", machine["interlock"]["state"], "UNKNOWN")
        await self.operator.ready_router()
        machine = await self.operator.machine("router")
        expect("what stands against a start", machine["refusals"]["start"], [])

    async def cut_name_tag(self) -> None:
        """Approve, start, watch, and let the visitor compare."""
        job = self.wishes[0]
        await self.operator.post(f"/api/jobs/{job}/approve")
        ended = await self.operator.run_job(job, self._progress)
        expect("the name tag", (ended["state"], ended["reason"]), ("FINISHED", ""))
        async with Visitor(self.lab.kiosk_url, "k1") as visitor:
            seen = await visitor.job(job)
        if not (seen["guess_s"] and seen["actual_s"]):
            raise Wrong("the visitor cannot compare the guess with the true time")

    async def trip(self) -> None:
        """Open the door while the gear is being cut."""
        job = self.wishes[1]
        await self.operator.post(f"/api/jobs/{job}/approve")
        await self.operator.post(f"/api/jobs/{job}/start", {"area_clear": True})
        await self.operator.until_machine("router", "the gear is being cut", lambda m: (m["progress"] or 0) > 0.1)
        self.lab.tell_router("door open")
        ended = await self.operator.watch_job(job, self._progress)
        expect("the gear", ended["state"], "INTERRUPTED")
        machine = await self.operator.until_machine(
            "router", "the router stands", lambda m: m["execution"] in ("READY", "INTERRUPTED", "FEED_HOLD")
        )
        expect("the interlock", machine["interlock"]["state"], "TRIPPED")
        self.lab.tell_router("door closed")
        machine = await self.operator.until_machine(
            "router", "a reset is possible", lambda m: not m["refusals"]["reset"]
        )
        expect("the interlock with the door closed again", machine["interlock"]["state"], "TRIPPED")
        await self.operator.post(f"/api/jobs/{self.wishes[2]}/approve")
        await self.operator.post(f"/api/jobs/{self.wishes[2]}/start", {"area_clear": True}, expect=409)
        await self.operator.post("/api/machines/router/reset")
        machine = await self.operator.machine("router")
        expect("motion after the reset", machine["execution"] == "ACTIVE", False)
        await self.operator.post(f"/api/jobs/{self.wishes[2]}/decline", {"reason": "The bell rings."})

    async def recover(self) -> None:
        """Read the plan, approve it, and let the interrupted gear be cut to its end."""
        job = self.wishes[1]
        plan = await self.operator.get(f"/api/jobs/{job}/recovery")
        expect("the router's position", plan["position"], "kept")
        expect("what stands against the recovery", plan["refusals"], [])
        expect("the sentences and moves of the plan", (len(plan["plan"]), len(plan["moves"])), (3, 10))
        if not 1 < plan["line"] < plan["total_lines"]:
            raise Wrong(f"the recovery would begin at line {plan['line']}")
        wanted = {"line": plan["line"], "area_clear": True, "approved": True}
        await self.operator.post(f"/api/jobs/{job}/recover", wanted)
        ended = await self.operator.watch_job(job, self._progress)
        expect("the gear, recovered", (ended["state"], ended["reason"]), ("FINISHED", ""))

    async def upload(self) -> None:
        """Upload two programs; run the good one."""
        refused = await self.operator.upload("faulty.nc", b"G21\nG1 X10 F500\nG1 X9999\n")
        expect("the faulty program", refused.status_code, 422)
        lines = [item["line"] for item in refused.json()["check"]["diagnostics"] if item["severity"] == "error"]
        expect("its faulty line", lines, [3])
        taken = await self.operator.upload("square.nc", SQUARE)
        expect("the good program", taken.status_code, 201)
        await self._free_router()
        job = await self.operator.post("/api/jobs", {"program": taken.json()["program"]["id"], "machine": "router"})
        await self.operator.post(f"/api/jobs/{job['id']}/approve")
        ended = await self.operator.run_job(job["id"], self._progress)
        expect("the square", (ended["state"], ended["reason"]), ("FINISHED", ""))

    async def _free_router(self) -> None:
        machine = await self.operator.machine("router")
        if machine["refusals"]["start"]:
            await self.operator.ready_router()

    async def watch_lathe(self) -> None:
        """See the lathe make a part."""
        first = await self.operator.until_machine(
            "lathe", "the lathe answers", lambda m: m["availability"] == "AVAILABLE" and m["part_count"] is not None
        )
        await self.operator.until_machine(
            "lathe", "the lathe makes a part", lambda m: (m["part_count"] or 0) > first["part_count"]
        )

    async def load_lathe(self) -> None:
        """Load the program that the lab keeps for the lathe, while the lathe stands: its start stays at the lathe."""
        machine = await self.operator.machine("lathe")
        expect("what the lathe can be asked for", machine["capabilities"], ["load_program"])
        (file,) = await self.operator.get("/api/machines/lathe/files")
        expect("what the lab keeps for the lathe", file["sha256"], hashlib.sha256(SHAFT_PROGRAM).hexdigest())
        self.lab.tell_lathe("stop")
        await self.operator.until_machine("lathe", "the lathe stands", lambda m: not m["refusals"]["load"])
        await self.operator.post("/api/machines/lathe/load", {"file": file["name"]}, expect=202)
        over = ("LOADED", "FAILED")
        machine = await self.operator.until_machine("lathe", "the load ends", lambda m: m["transfer"]["step"] in over)
        transfer = machine["transfer"]
        expect("the load", (transfer["step"], transfer["reason"]), ("LOADED", ""))
        kept = {one["name"].lstrip("/"): one["sha256"] for one in (await self.lab.lathe_truth())["files"]}
        expect("the program in the lathe", kept, {SHAFT: file["sha256"]})
        self.lab.tell_lathe("start")
        await self.operator.until_machine("lathe", "the lathe goes on", lambda m: m["execution"] == "ACTIVE")

    async def restore_link(self) -> None:
        """Start the broker again and wait until nothing is left to send."""
        if self.lab.broker is not None:
            await self.lab.broker.start()
        await self.operator.post(f"/api/visits/{self.visit}/close")
        if self.lab.broker is None:
            return

        async def sent() -> bool:
            sync = (await self.operator.get("/api/snapshot"))["sync"]
            return sync["connected"] and sync["waiting"]["visits"] == 0 and sync["waiting"]["jobs"] == 0

        await until("everything is acknowledged", sent, seconds=60)

    async def final_count(self) -> None:
        """Compare the office's figures with what happened."""
        if self.lab.broker is None:
            self.console.print("Without a broker the office stays empty; everything waits in the outbox.")
            return
        reached = PUPILS + TEACHERS

        async def right() -> bool:
            return (await self.office.progress())["ledger"] == reached

        await until("the office's ledger", right)
        progress = await self.office.progress()
        expect("people reached", progress["reached"], reached)
        expect("not yet received", progress["not_yet_received"], 0)
        expect("kiosk sessions", progress["sessions"], VISITORS)
        indicators = {item["id"]: item["value"] for item in progress["indicators"]}
        expect("VET trainers", indicators["vet_trainers"], TRAINERS)
        expect("trainees", indicators["trainees"], TRAINEES)
        jobs = await self.office.jobs()
        expect("the wishes", [jobs[item]["state"] for item in self.wishes], ["FINISHED", "FINISHED", "DECLINED"])
        quality = await self.office.get("/api/quality")
        expect("bad messages", (quality["quarantined"], quality["invalid"]), (0, 0))
