# SPDX-License-Identifier: GPL-3.0-or-later
"""From the services' values to the JSON of docs/http-api.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from edge.api import program_views
from edge.domain.job import Job, JobState
from edge.domain.machine import Availability, Capability, LinkHealth, MachineInfo, Position
from edge.domain.transfer import KeptFile, Transfer
from edge.http.errors import refusal_json
from edge.safety.interlock import Reading
from edge.safety.permissives import Command
from edge.services.hand import MachineHand
from edge.services.lab import Lab, OpcUaServer, SyncStatus
from edge.services.machine_view import MachineView
from edge.services.opening import Opening
from edge.services.supervisor import MachineSupervisor
from edge.services.visit_record import VisitRecord
from edge.services.visits import VisitCounter

Json = dict[str, Any]


def position(place: Position | None) -> list[float] | None:
    """Return ``[x, y, z]`` in mm, rounded to a micrometre."""
    return None if place is None else [round(place.x, 3), round(place.y, 3), round(place.z, 3)]


def _travel(info: MachineInfo) -> Json | None:
    travel = info.travel
    if travel is None:
        return None
    return {
        "low": position(travel.low),
        "high": position(travel.high),
        "max_feed": travel.max_feed,
        "max_spindle": travel.max_spindle,
    }


def _age_ms(age_ns: int | None) -> float | None:
    return None if age_ns is None else round(age_ns / 1e6, 1)


def _reading(reading: Reading) -> Json:
    return {
        "name": reading.rule.name,
        "label": reading.rule.label,
        "source": reading.rule.source,
        "status": reading.status.value,
        "age_ms": _age_ms(reading.age_ns),
        "remedy": reading.rule.remedy,
    }


def _interlock(view: MachineView) -> Json:
    cause = view.interlock.cause
    return {
        "state": view.interlock.state.value,
        "cause": None
        if cause is None
        else {
            "permissive": f"input.{cause.rule.name}",
            "what": cause.rule.label,
            "why": f"{cause.rule.label}: {cause.status.value}",
            "source": cause.rule.source,
            "age_ms": _age_ms(cause.age_ns),
            "remedy": cause.rule.remedy,
        },
        "inputs": [_reading(reading) for reading in view.readings],
    }


def _link(link: LinkHealth | None) -> Json | None:
    if link is None:
        return None
    return {
        "grade": link.grade.value,
        "lines": link.lines,
        "damaged": link.damaged,
        "unknown": link.unknown,
        "latency_ms": link.latency_ms,
        "latency_spindle_ms": link.latency_spindle_ms,
        "cause": link.cause,
    }


def _hand(hand: MachineHand | None) -> Json | None:
    if hand is None or not hand.able(Capability.JOG):
        return None
    settings = hand.settings
    return {
        "plate": settings.plate is not None,
        "corner": settings.corner is not None,
        "tool_setter": settings.tool_setter is not None,
        "park": settings.park is not None,
        "max_feed": settings.max_feed,
        "max_step": settings.max_step,
    }


def moment(wall_ns: int | None) -> str | None:
    """Return UTC nanoseconds since 1970 as ISO 8601; None where no calendar has such a year."""
    try:
        return None if wall_ns is None else datetime.fromtimestamp(wall_ns / 1e9, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


def kept(file: KeptFile) -> Json:
    """Return a file of the shelf."""
    return {"name": file.name, "size": file.size, "sha256": file.sha256, "kept": moment(file.kept_ns)}


def _transfer(transfer: Transfer | None) -> Json | None:
    if transfer is None:
        return None
    return {
        "file": transfer.name,
        "size": transfer.size,
        "sha256": transfer.sha256,
        "step": transfer.step.value,
        "done": transfer.done,
        "selected": transfer.selected,
        "startable": transfer.startable,
        "reason": transfer.reason,
    }


def _watched(machine_id: str, lab: Lab) -> Json:
    gap = lab.observation.last_gap(machine_id)
    return {
        "source_time": moment(lab.machines[machine_id].state.source_ns),
        "clock_off_s": lab.observation.clock_off_s(machine_id),
        "last_gap": None
        if gap is None
        else {
            "ended": moment(gap.ended_wall_ns),
            "seconds": gap.seconds,
            "parts": gap.parts,
            "reason": gap.reason,
        },
    }


def machine(supervisor: MachineSupervisor, lab: Lab) -> Json:
    """Return a machine."""
    jobs, view = lab.jobs, supervisor.view()
    info, state = view.info, view.state
    job = jobs.running_on(info.machine_id)
    progress = jobs.progress(job) if job else None
    overrides = state.overrides
    away = state.availability is not Availability.AVAILABLE
    return {
        "id": info.machine_id,
        "name": info.name,
        "kind": info.kind,
        "driver": info.driver,
        "controller": info.controller,
        "capabilities": sorted(capability.value for capability in info.capabilities),
        "lacks": list(info.lacks),
        "travel": _travel(info),
        "availability": state.availability.value,
        "execution": state.execution.value,
        "mode": state.mode.value,
        "emergency_stop": state.emergency_stop.value,
        "door": state.door.value,
        "machine_position": position(state.machine_position),
        "work_position": position(state.work_position),
        "work_offset": position(state.work_offset),
        "homed": state.homed,
        "feed": state.feed,
        "spindle": state.spindle.value,
        "spindle_speed": state.spindle_speed,
        "overrides": {"feed": overrides.feed, "rapid": overrides.rapid, "spindle": overrides.spindle}
        if overrides
        else None,
        "program": job.program_id if job else state.program,
        "line": state.line,
        "total_lines": job.total_lines if job else state.total_lines,
        "progress": round(progress.done, 4) if progress else state.progress,
        "remaining_s": round(progress.remaining_s, 1) if progress else None,
        "part_count": state.part_count,
        "alarms": [
            {"code": alarm.code, "text": alarm.text, "position_kept": alarm.position_kept} for alarm in state.alarms
        ],
        "fault": "FAULT" if view.fault else "NONE",
        "fault_reason": view.fault or (state.fault_reason if away else ""),
        "age_ms": _age_ms(view.age_ns),
        "job": job.job_id if job else None,
        # Loading moves nothing: a machine that is only loaded and watched has no interlock to show.
        "interlock": _interlock(view) if info.capabilities - {Capability.LOAD_PROGRAM} or view.readings else None,
        "link": _link(state.link),
        "hand": _hand(lab.hands.get(info.machine_id)),
        "settings_differ": profile.differ if (profile := lab.profiles.get(info.machine_id)) else None,
        "transfer": _transfer(lab.transfers[info.machine_id].transfer),
        **_watched(info.machine_id, lab),
        "refusals": {command.value: [refusal_json(item) for item in view.refusals[command]] for command in Command}
        # What was never reached has told no capabilities yet, and must not look like what accepts everything.
        if info.capabilities or away
        else {command.value: [] for command in Command},
    }


def job(item: Job, lab: Lab) -> Json:
    """Return a job as the operator sees it."""
    progress = lab.jobs.progress(item)
    bell = lab.visits.bell_in_s()
    wish = lab.jobs.wish(item.job_id)
    remaining = None if item.state.ended else round(progress.remaining_s, 1)
    return {
        "id": item.job_id,
        "claim": item.claim,
        "machine": item.machine_id,
        "program": item.program_id,
        "title": dict(lab.programs.title(item.program_id)),
        "origin": item.origin,
        "state": item.state.value,
        "estimate_s": item.estimate_s,
        "guess_s": item.guess_s,
        "actual_s": item.actual_s,
        "line": lab.machines[item.machine_id].state.line or 0
        if item.state in (JobState.RUNNING, JobState.HELD)
        else item.line,
        "total_lines": item.total_lines,
        "progress": round(progress.done, 4),
        "remaining_s": remaining,
        "fits_before_bell": None if bell is None or remaining is None else remaining <= bell,
        "reason": item.reason,
        "waits": None
        if item.waits is None
        else {
            "kind": item.waits.kind,
            "tool": item.waits.tool,
            "line": item.waits.line,
            "text": item.waits.text,
        },
        "text": wish.text if wish and wish.personal else None,
        "check_digest": lab.jobs.rechecked(item.job_id),
    }


def visit(counter: VisitCounter, record: VisitRecord | None = None) -> Json | None:
    """Return the open visit, or `record` as it was closed."""
    shown = record or counter.record
    if shown is None:
        return None
    people = {role.value: count for role, count in shown.people.items()}
    return {
        "id": shown.visit.visit_id,
        "school": shown.visit.school,
        "municipality": shown.visit.municipality,
        "date": shown.visit.date,
        "group": shown.visit.group,
        "expected": shown.visit.expected,
        "language": shown.visit.language.value,
        "open": shown.visit.is_open,
        "people": people,
        "total": sum(people.values()),
        "kiosk_sessions": counter.sessions_of(shown.visit.visit_id),
        "entries": [
            {
                "group": entry.headcount.group,
                "role": entry.headcount.role.value,
                "count": entry.headcount.count,
                "reason": entry.reason,
            }
            for entry in shown.entries
        ],
        "bell_in_s": counter.bell_in_s() if shown.visit.is_open else None,
    }


def sync(status: SyncStatus) -> Json:
    """Return what is known of the way to the office."""
    return {
        "connected": status.connected,
        "waiting": dict(status.waiting),
        "waiting_total": sum(status.waiting.values()),
        "oldest_waiting_s": status.oldest_waiting_s,
        "last_ack_age_s": status.last_ack_age_s,
        "sent": status.sent,
        "resent": status.resent,
        "last_error": status.last_error,
    }


def opening(checklist: Opening) -> Json:
    """Return the checklist after a drive."""
    return {
        "needed": checklist.needed,
        "machines": {
            key: [
                {"item": line.item.value, "done": line.done, "by": line.by.value, "text": line.text} for line in lines
            ]
            for key, lines in checklist.lines().items()
        },
    }


def _opcua_server(server: OpcUaServer | None) -> Json | None:
    if server is None:
        return None
    status = server.status()
    return {
        "endpoint": status.endpoint,
        "listening": status.listening,
        "clients": status.clients,
        "error": status.error,
    }


def snapshot(lab: Lab, *, operator: bool) -> Json:
    """Return everything a console shows; without login the machines only."""
    return {
        "lab": lab.lab_id,
        "lab_name": lab.name,
        "operator": operator,
        "machines": [machine(item, lab) for item in lab.machines.values()],
        "jobs": [job(item, lab) for item in lab.jobs.jobs()] if operator else [],
        "visit": visit(lab.visits) if operator else None,
        "sync": sync(lab.sync_status()),
        "programs": [program_views.program(item) for item in lab.programs.entries()] if operator else [],
        "left_out": program_views.left_out(lab.programs.left_out) if operator else [],
        "opening": opening(lab.opening) if operator else None,
        "opcua_server": _opcua_server(lab.opcua_server) if operator else None,
    }
