# SPDX-License-Identifier: GPL-3.0-or-later
"""What is recorded of one machine, and the sentences that go with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.domain.events import EventType
from edge.domain.machine import Fault, MachineInfo, MachineState
from edge.safety.interlock import Reading
from edge.services.bus import EventBus, MachineChanged, Notice
from edge.services.recorder import Recorder


def cause_text(cause: Reading | None) -> str:
    """Return what tripped an interlock, as part of a sentence."""
    return "the interlock tripped" if cause is None else f"the interlock tripped: {cause.rule.label}"


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """Notes the facts of one machine and tells the operator."""

    info: Callable[[], MachineInfo]
    recorder: Recorder
    bus: EventBus

    @property
    def _id(self) -> str:
        return self.info().machine_id

    def changed(self) -> None:
        """Say that the machine looks different now."""
        self.bus.publish(MachineChanged(self._id))

    def tripped(self, cause: Reading | None, *, in_motion: bool, stoppable: bool = True) -> None:
        """Note that the interlock latched; what moves and is not stoppable from here, a person has to stop."""
        self.recorder.note(
            EventType.INTERLOCK_TRIPPED,
            {
                "machine": self._id,
                "input": cause.rule.name if cause else "none",
                "source": cause.rule.source if cause else "none",
                "status": cause.status.value if cause else "UNKNOWN",
                "age_ms": cause.age_ns / 1e6 if cause and cause.age_ns is not None else None,
                "in_motion": in_motion,
            },
        )
        name = self.info().name
        facts = (("machine", name), ("input", cause.rule.label if cause else ""))
        level = "fault" if in_motion else "attention"
        text = f"{name}: {cause_text(cause)}."
        if in_motion and not stoppable:
            text = f"{text} It moves and cannot be stopped from here: use its own stop."
        self.bus.publish(Notice(level, text, "tripped" if stoppable or not in_motion else "tripped-watched", facts))
        self.changed()

    def reset(self) -> None:
        """Note a person's reset."""
        self.recorder.note(EventType.INTERLOCK_RESET, {"machine": self._id})

    def fault(self, reason: str) -> None:
        """Note a fault."""
        self.recorder.note(
            EventType.MACHINE_FAULT, {"machine": self._id, "fault": Fault.FAULT.value, "reason": reason[:200]}
        )
        name = self.info().name
        facts = (("machine", name), ("reason", reason))
        self.bus.publish(Notice("fault", f"{name}: {reason}", "fault", facts))
        self.changed()

    def fault_cleared(self) -> None:
        """Note that a person has looked at the machine."""
        self.recorder.note(EventType.MACHINE_FAULT, {"machine": self._id, "fault": Fault.NONE.value, "reason": ""})

    def stop(self, command: str, origin: str, *, delivered: bool) -> None:
        """Note that someone asked for a hold or a stop."""
        self.recorder.note(
            EventType.STOP_COMMANDED,
            {"machine": self._id, "command": command, "origin": origin, "delivered": delivered},
        )

    def state(self, state: MachineState) -> None:
        """Note a reading."""
        place = state.machine_position
        self.recorder.note(
            EventType.MACHINE_STATE,
            {
                "machine": self._id,
                "availability": state.availability.value,
                "execution": state.execution.value,
                "x": round(place.x, 3) if place else None,
                "y": round(place.y, 3) if place else None,
                "z": round(place.z, 3) if place else None,
                "feed": state.feed,
                "spindle": state.spindle_speed,
                "line": state.line,
                "part_count": state.part_count,
                "link_grade": state.link.grade.value if state.link else None,
                "link_damaged": state.link.damaged if state.link else None,
            },
        )
