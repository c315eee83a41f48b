# SPDX-License-Identifier: GPL-3.0-or-later
"""How hard the fuzzing tries: the same few examples in each run, or with INFOMOBIL_LONG=1 very many new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

LONG = bool(os.environ.get("INFOMOBIL_LONG"))
TIMES = 50


def effort(examples: int) -> settings:
    """Return the settings of a test that takes `examples` in a usual run."""
    return settings(
        max_examples=examples * TIMES if LONG else examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
