# SPDX-License-Identifier: GPL-3.0-or-later
"""What `infomobil-edge program` says of a program: in one JSON object, and in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edge.domain.tool import Tool
from edge.gcode import Diagnostic, Plan, Program, Severity
from edge.gcode.model import Kind
from edge.gcode.stock import Relief
from edge.gcode.tooling import tool_of
from edge.gcode.turning import Profile

MOST_LINE_SECONDS = 100_000
"""Lines up to which `check --json` tells the seconds of each; `time --json` always does."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a program after its check; tools is the table of its machine."""

    program: Program
    plan: Plan
    findings: list[Diagnostic]
    table: Mapping[int, Tool] | None

    @property
    def has_errors(self) -> bool:
        """Return whether the program is refused."""
        return any(item.severity is Severity.ERROR for item in self.findings)

    @property
    def tools(self) -> list[int]:
        """Return the numbers of the tools that cut, 0 for one without a number."""
        if not len(self.program.segments):
            return []
        return [tool.number for tool in tool_of(self.program, self.table)[1]]

    @property
    def bounds(self) -> dict[str, list[float]] | None:
        """Return the least and the greatest coordinate reached by each axis, mm from the program's zero."""
        bounds = self.plan.bounds
        if bounds is None:
            return None
        return {axis: [_number(getattr(end, axis)) for end in (bounds.low, bounds.high)] for axis in ("x", "y", "z")}

    def as_json(self) -> dict[str, object]:
        """Return what a machine reads. `code` is GRBL's own where it has one; notes are left out."""
        found: dict[str, object] = {
            "lines": self.program.total_lines,
            "errors": [_finding(item) for item in self.findings if item.severity is not Severity.NOTE],
            "seconds": round(self.plan.seconds, 3),
            "distance_mm": _number(self.plan.distance_mm),
            "cut_mm": _number(self.plan.cut_mm),
            "bounds": self.bounds,
            "tools": self.tools,
        }
        if self.program.total_lines <= MOST_LINE_SECONDS:
            found["line_seconds"] = [round(seconds, 4) for seconds in self.plan.line_seconds.tolist()]
        return found

    def sentences(self) -> list[str]:
        """Return what a person reads of the program, beside its findings."""
        planned = self.plan
        told = [f"{self.program.total_lines} lines, {duration(planned.seconds)} ({planned.seconds:.1f} s)"]
        told.append(f"way {planned.distance_mm:.1f} mm, {planned.cut_mm:.1f} mm of it at a feed")
        if self.bounds is not None:
            reach = ", ".join(f"{axis.upper()} {low:g} to {high:g}" for axis, (low, high) in self.bounds.items())
            told.append(f"reaches {reach} mm from the program's zero")
        if self.tools:
            named = ", ".join(f"T{number}" if number else "one without a number" for number in self.tools)
            told.append(f"tools: {named}")
        return told

    @property
    def verdict(self) -> str:
        """Return the last sentence: whether the program is refused."""
        errors, warnings = (
            sum(item.severity is one for item in self.findings) for one in (Severity.ERROR, Severity.WARNING)
        )
        if errors:
            return f"{errors} error{'s' * (errors != 1)}: the program is refused."
        return f"No error, {warnings} warning{'s' * (warnings != 1)}." if warnings else "No error."


def _finding(item: Diagnostic) -> dict[str, object]:
    return {
        "line": item.line,
        "column": item.column,
        "code": item.code if item.grbl is None else f"error:{item.grbl}",
        "severity": item.severity.value,
        "message": item.text,
        "name": item.code,
        "words": list(item.words),
        "remedy": item.remedy,
    }


def parts_of(read: Program, planned: Plan) -> dict[str, float]:
    """Return the seconds of a program by what they are for."""
    rapid = read.segments.kind == Kind.RAPID
    rapids = float(planned.segment_seconds[rapid].sum())
    cuts = float(planned.segment_seconds.sum()) - rapids
    stops = max(0.0, planned.seconds - cuts - rapids)
    return {"at_feed_s": cuts, "rapids_s": rapids, "stops_and_dwells_s": stops}


def left_of(part: Relief | Profile) -> list[str]:
    """Return what a person reads of a part."""
    if isinstance(part, Relief):
        ny, nx = part.heights.shape
        size = f"{nx * part.cell_mm:.2f} x {ny * part.cell_mm:.2f} x {part.top - part.bottom:.2f} mm"
        depth = f"lowest cut {part.top - float(part.heights.min()):.2f} mm under the upper face"
        whole = f"block {size}, cells of {part.cell_mm:.3f} mm"
    else:
        depth = f"thinnest {2 * float(part.radii.min()):.2f} mm"
        length = len(part.radii) * part.cell_mm
        whole = f"bar {2 * part.bar_radius:.2f} mm thick, {length:.2f} mm long, cells of {part.cell_mm:.3f} mm"
    return [whole, f"removed {part.removed_mm3:.1f} mm3, {part.remaining_mm3:.1f} mm3 left", depth]


def _number(value: float) -> float:
    """Return a length as JSON can say it: micrometres, and what is no number as the greatest one."""
    return round(value, 3) if math.isfinite(value) else math.copysign(1e30, value)


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{value} {unit}" for value, unit in parts if value]
    return " ".join(shown) or "0 s"
