# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program does: words, limits, time and path of GRBL's G-code. Pure; no I/O, no clock."""

from edge.gcode.diagnostics import Diagnostic, Severity
from edge.gcode.limits import VISITOR_BANNED, check
from edge.gcode.planner import MotionSettings, Plan, plan
from edge.gcode.preview import PreviewPoint, path_png, path_preview
from edge.gcode.program import Bounds, Dialect, Program, Segments, interpret, interpret_to_draw

__all__ = [
    "VISITOR_BANNED",
    "Bounds",
    "Diagnostic",
    "Dialect",
    "MotionSettings",
    "Plan",
    "PreviewPoint",
    "Program",
    "Segments",
    "Severity",
    "check",
    "interpret",
    "interpret_to_draw",
    "path_png",
    "path_preview",
    "plan",
]
