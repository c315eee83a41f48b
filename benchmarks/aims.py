# SPDX-License-Identifier: GPL-3.0-or-later
"""What was aimed at: the largest value of a row, in the row's own unit, by the row's name."""

from __future__ import annotations

from benchmarks.stats import Row

AIMS = {
    "interlock input to `!`, idle, p99": 1.0,
    "interlock input to `!`, at work, p99": 5.0,
    "interlock input until written, idle, p99": 1.0,
    "interlock input until written, at work, p99": 5.0,
    "guardian: kill -9 to hold, p99": 20.0,
    "guardian: hang to hold, p99": 300.0,
    "edge, resident memory, idle": 150.0,
    "edge, resident memory, after 500 check-ins and a job": 150.0,
    "edge, start to first page": 2_000.0,
    "GRBL, 2,000 segments of 0.2 mm at 3,000 mm/min: planner empty": 0.0,
    "GRBL, line-bound: line left unused": 1.0,
    "1,000,000 lines: start to first motion": 1_000.0,
    "1,000,000 lines: edge's memory over idle, running": 60.0,
    "1,000,000 lines: edge's memory over idle, peak": 60.0,
    "OPC UA: 1,000 items at 10 Hz, loss": 0.0,
    "OPC UA: 16 machines after a common outage, until all are live": 5.0,
    "OPC UA: 16 machines after a common outage, sessions created": 16.0,
    "OPC UA: 16 machines after a common outage, sessions 3 s later": 16.0,
    "slowest report call, SQLite": 300.0,
    "slowest report call, PostgreSQL": 300.0,
    "100,000 facts over 150 ms and 5 Mbit/s": 5.0,
    "100,000 facts over 150 ms and 5 Mbit/s: presence age meanwhile, longest": 1.0,
    "check of 2,000,000 lines, time a line": 1.0,
    "stock: 2,400 moves on 512x512, ball in waves": 40.0,
    "stock: 2,400 moves on 512x512, ball on ramps": 40.0,
    "stock: 2,400 moves on 512x512, end mill": 40.0,
    "stock: 2,400 moves on 512x512, engraver": 40.0,
}


def reached(found: Row) -> bool:
    """Return whether `found` is within its aim; a row without one always is."""
    return found["value"] <= AIMS.get(found["name"], found["value"])
