# SPDX-License-Identifier: GPL-3.0-or-later
"""A program's path and a program's check, as plain values in the contract's form."""

from __future__ import annotations

import math
from typing import Any

Json = dict[str, Any]


def gear_path() -> Json:
    """Return the path of a small gear, in the form of `GET /api/programs/{id}/path`."""
    points: list[list[float]] = [[0.0, 0.0, 5.0], [46.0, 30.0, 5.0]]
    rapid = [True, True]
    teeth, centre = 12, (30.0, 30.0)
    for step in range(teeth * 12 + 1):
        angle = 2 * math.pi * step / (teeth * 12)
        radius = 23 + 3 * math.tanh(3 * math.sin(teeth * angle))
        points.append([centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle), -1.5])
        rapid.append(False)
    points.append([points[-1][0], points[-1][1], 5.0])
    points.append([36.0, 30.0, 5.0])
    rapid += [True, True]
    for step in range(33):
        angle = 2 * math.pi * step / 32
        points.append([centre[0] + 6 * math.cos(angle), centre[1] + 6 * math.sin(angle), -1.5])
        rapid.append(False)
    seconds = [185.0 * index / (len(points) - 1) for index in range(len(points))]
    return {
        "points": points,
        "rapid": rapid,
        "seconds": seconds,
        "stock": [60, 60, 6],
        "lines": [index + 6 for index in range(len(points))],
    }


def bad_check() -> Json:
    """Return what the check says about a file with two mistakes and a doubt."""
    return {
        "lines": 412,
        "seconds": 0.0,
        "distance_mm": 0.0,
        "cut_mm": 0.0,
        "errors": 2,
        "warnings": 1,
        "tools": [],
        "bounds": {"x": [-4.0, 318.2], "y": [0.0, 88.0], "z": [-2.0, 5.0]},
        "diagnostics": [
            {
                "line": 14,
                "column": 6,
                "code": "banned-word",
                "severity": "error",
                "message": "G28.1 is not allowed in a program here. Remove it.",
            },
            {
                "line": 207,
                "column": 0,
                "code": "out-of-travel",
                "severity": "error",
                "message": "The move goes to machine X 318.200 mm, 55.700 mm beyond the travel, which ends at"
                " 262.500 mm. Set the zero elsewhere or make the piece smaller.",
            },
            {
                "line": 391,
                "column": 9,
                "code": "of-a-later-version",
                "severity": "warning",
                "message": "Something that this page has no words for.",
            },
        ],
        "digest": "b" * 64,
    }
