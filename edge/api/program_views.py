# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the services say of programs to the JSON of docs/http-api.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.domain.library import LeftOut
from edge.gcode import PreviewPoint, Severity
from edge.services.programs import Prepared, ProgramEntry
from edge.services.second_opinion import Opinion

Json = dict[str, Any]
MOST_TOLD = 200
"""Findings and refused lines of an answer: a person reads no more of them."""


def program(entry: ProgramEntry) -> Json:
    """Return a program of the list."""
    return {
        "id": entry.program_id,
        "title": dict(entry.title),
        "origin": entry.origin,
        "lines": entry.lines,
        "seconds": entry.seconds,
        "sha256": entry.sha256,
        "machine": entry.machine_id,
    }


def left_out(found: Sequence[LeftOut]) -> list[Json]:
    """Return the pieces of the library that are not what was approved."""
    return [{"piece": item.piece_id, "flaw": item.flaw, "file": item.file, "why": item.sentence} for item in found]


def check(prepared: Prepared) -> Json:
    """Return the result of a check; at most 200 diagnostics."""
    bounds = prepared.bounds
    return {
        "lines": prepared.total_lines,
        "seconds": round(prepared.seconds, 2),
        "distance_mm": round(prepared.distance_mm, 2),
        "cut_mm": round(prepared.cut_mm, 2),
        "tools": list(prepared.tools),
        "errors": len(prepared.errors),
        "warnings": sum(item.severity is Severity.WARNING for item in prepared.diagnostics),
        "bounds": None
        if bounds is None
        else {
            axis: [round(getattr(bounds[0], axis), 3), round(getattr(bounds[1], axis), 3)] for axis in ("x", "y", "z")
        },
        "diagnostics": [
            {
                "line": item.line,
                "column": item.column,
                "code": item.code,
                "severity": item.severity.value,
                "message": f"{item.text} {item.remedy}".strip(),
                "remedy": item.remedy,
                "words": list(item.words),
            }
            for item in prepared.diagnostics[:MOST_TOLD]
        ],
    }


def opinion(given: Opinion) -> Json:
    """Return what a controller's own check said: how many lines it refused, and at most 200 of them."""
    refused = [{"line": item.line, "error": item.error, "text": item.text} for item in given.refused[:MOST_TOLD]]
    return {
        "lines": given.lines,
        "refused": refused,
        "refused_lines": len(given.refused),
        "agrees": given.agrees,
    }


def path(points: list[PreviewPoint], cumulative: Prepared | None, stock: list[float]) -> Json:
    """Return a path for a screen, with the planned second at each point."""
    return {
        "points": [[round(p.x, 2), round(p.y, 2), round(p.z, 2)] for p in points],
        "rapid": [p.rapid for p in points],
        "lines": [p.line for p in points],
        "seconds": [round(cumulative.seconds_until(p.line), 2) if cumulative else 0.0 for p in points],
        "stock": stock,
    }
