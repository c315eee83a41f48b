# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.effort import LONG


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if LONG else ():
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(3_600))
