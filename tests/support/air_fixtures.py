# SPDX-License-Identifier: GPL-3.0-or-later
"""A broker and a small office at it, as fixtures: a module names this one in its `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.air import SmallOffice
from tests.support.broker import Mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
def office(broker: Mosquitto) -> Iterator[SmallOffice]:
    with SmallOffice(broker.host, broker.port) as running:
        yield running
