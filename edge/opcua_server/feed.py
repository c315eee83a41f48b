# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows the machines as every other view does and tells the server's process what is new; keeps it alive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from edge.domain.errors import InfoMobilError
from edge.domain.job import Job
from edge.domain.machine import Availability, EmergencyStop, Fault
from edge.domain.ports import Clock
from edge.opcua_server.child import Child
from edge.opcua_server.facts import AlarmFacts, JobFacts, MachineFacts, Plan, Report, to_line
from edge.safety.interlock import LatchState
from edge.services.bus import EventBus, JobsChanged, MachineChanged, Message
from edge.services.jobs import JobService
from edge.services.machine_record import cause_text
from edge.services.supervisor import MachineSupervisor

log = logging.getLogger(__name__)

PERIOD_S = 0.1
BEAT_S = 1.0
STALE_NS = 3_000_000_000
RETRY_S = (1.0, 30.0)
_WELL_S = 60.0
STARTING = "The server is being started."


class ServerProcessEnded(InfoMobilError):
    """The process of the OPC UA server ended with the status {status}."""


class FeedFailed(InfoMobilError):
    """What feeds the OPC UA server failed: {reason}."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How the server does: error says in a person's words why it does not listen."""

    endpoint: str
    listening: bool
    clients: int
    error: str


class OpcUaServerFeed:
    """Runs the server's process. Everything here happens on the loop's thread and never waits for that process."""

    def __init__(
        self, plan: Plan, machines: Mapping[str, MachineSupervisor], jobs: JobService, bus: EventBus, clock: Clock
    ) -> None:
        self._plan = plan
        self._machines = machines
        self._jobs = jobs
        self._clock = clock
        self._bus = bus
        self._fresh: set[str] = set()
        self._child: Child | None = None
        self._report = Report(listening=False, error=STARTING)

    @property
    def pid(self) -> int | None:
        """Return the id of the process, None while there is none."""
        return None if self._child is None else self._child.pid

    def status(self) -> ServerStatus:
        """Return what the console shows."""
        report = self._report
        return ServerStatus(self._plan.endpoint, report.listening, report.clients, report.error)

    async def run(self) -> None:
        """Keep a process running and tell it what is new, until cancelled."""
        unsubscribe = self._bus.subscribe(self._note)
        loop, delay = asyncio.get_running_loop(), RETRY_S[0]
        try:
            while True:
                began = loop.time()
                await self._live()
                delay = RETRY_S[0] if loop.time() - began > _WELL_S else min(2 * delay, RETRY_S[1])
                await asyncio.sleep(delay)
        finally:
            unsubscribe()

    async def _live(self) -> None:
        """Live through one life of the process; its end is reported, not raised."""
        self._fresh = set(self._machines)
        try:
            child = self._child = await Child.start(self._plan, self._on_report)
        except OSError as error:
            self._on_end(str(error))
            return
        telling = asyncio.create_task(self._tell(child), name="opcua server feed")
        ended = asyncio.create_task(child.ended(), name="opcua server process")
        try:
            await asyncio.wait({telling, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                self._on_end(str(ServerProcessEnded(status=ended.result())))
            else:
                # A defect in here must not take the machines' service along.
                defect = telling.exception()
                log.error("the feed of the OPC UA server failed", exc_info=defect)
                self._on_end(str(FeedFailed(reason=repr(defect))))
        finally:
            self._child = None
            for task in (telling, ended):
                task.cancel()
            await asyncio.gather(telling, ended, return_exceptions=True)
            await child.stop()

    def _on_report(self, report: Report) -> None:
        self._report = report

    def _on_end(self, reason: str) -> None:
        """Keep the reason that the process itself gave, where it gave one."""
        error = reason if self._report.listening or self._report.error in ("", STARTING) else self._report.error
        self._report = Report(listening=False, error=error)
        log.error("the OPC UA server does not listen: %s", error)

    def _note(self, message: Message) -> None:
        match message:
            case MachineChanged(machine_id):
                self._fresh.add(machine_id)
            case JobsChanged():
                self._fresh.update(self._machines)
            case _:
                pass

    async def _tell(self, child: Child) -> None:
        """Write what is new, each machine once in a period; what finds the pipe full is told later, as it is then."""
        loop = asyncio.get_running_loop()
        beaten = 0.0
        while True:
            if loop.time() - beaten >= BEAT_S:
                # Also of machines that nothing was heard of: that their values have grown old is news.
                beaten = loop.time()
                self._fresh.update(self._machines)
            for machine_id in sorted(self._fresh) if child.has_room else ():
                self._fresh.discard(machine_id)
                child.write(to_line(self.facts(machine_id)))
                # An input that has to stop a machine waits for one line at most.
                await asyncio.sleep(0)
            await asyncio.sleep(PERIOD_S)

    def facts(self, machine_id: str) -> MachineFacts:
        """Return what is known of a machine now."""
        machine = self._machines[machine_id]
        view = machine.facts()
        state = view.state
        alarms = tuple(_alarms(machine, view.own_fault))
        queue = [job for job in self._jobs.jobs() if job.machine_id == machine_id and not job.state.ended]
        queue.sort(key=lambda job: job.order)
        running = self._jobs.running_on(machine_id)
        overrides, age_ns = state.overrides, view.state_age_ns
        return MachineFacts(
            machine_id=machine_id,
            taken_ns=self._clock.wall_ns() - (age_ns or 0),
            available=state.availability is Availability.AVAILABLE and age_ns is not None and age_ns <= STALE_NS,
            execution=state.execution.value,
            mode=state.mode.value,
            blocked=bool(alarms),
            feed_override=None if overrides is None else overrides.feed,
            rapid_override=None if overrides is None else overrides.rapid,
            spindle_override=None if overrides is None else overrides.spindle,
            program=state.program,
            part_count=state.part_count,
            alarms=alarms,
            job=None if running is None else _job(running),
            queue=tuple(_job(job) for job in queue),
            controller=machine.info.controller,
        )


def _job(job: Job) -> JobFacts:
    return JobFacts(job.job_id, job.claim, job.program_id, job.state.value)


def _alarms(machine: MachineSupervisor, own_fault: str) -> list[AlarmFacts]:
    """Return everything for which a person has to look at the machine."""
    state, interlock = machine.state, machine.interlock
    found = [AlarmFacts(alarm.code, alarm.text) for alarm in state.alarms]
    fault = own_fault or (state.fault_reason if state.fault is Fault.FAULT else "")
    if fault:
        found.append(AlarmFacts("fault", fault))
    if interlock.state is LatchState.TRIPPED:
        found.append(AlarmFacts("interlock", cause_text(interlock.cause)))
    if state.emergency_stop is EmergencyStop.TRIGGERED:
        found.append(AlarmFacts("stop-circuit", "The stop circuit is open."))
    return found
