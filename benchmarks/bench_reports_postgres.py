# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the office's report calls over 20 million events on PostgreSQL: see bench_reports."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.bench_reports import measure, size
from benchmarks.stats import Row
from tests.support.office import POSTGRES_BIN, Postgres


def run(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of PostgreSQL, where it is installed."""
    if not (POSTGRES_BIN / "initdb").exists():
        return
    server = Postgres()
    try:
        yield from measure(server.new_database(), "PostgreSQL", **size(quick=quick))
    finally:
        server.remove()


if __name__ == "__main__":
    for line in run(quick="--quick" in sys.argv):
        print(line)
