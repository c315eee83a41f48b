# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the office's tests: a module names this one in its `pytest_plugins`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from office.ledger import Ledger
from tests.support.office import NOW_NS, POSTGRES_BIN, Postgres

_CLUSTER = pytest.StashKey[Postgres]()


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Postgres:
    """The one cluster of this run of the tests: started when first asked for, removed at the end of the run."""
    if not (POSTGRES_BIN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed")
    stash = request.config.stash
    if _CLUSTER not in stash:
        stash[_CLUSTER] = Postgres()
        request.config.add_cleanup(stash[_CLUSTER].remove)
    return stash[_CLUSTER]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'office.sqlite3'}"
    cluster: Postgres = request.getfixturevalue("postgres")
    return cluster.new_database()


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """A ledger on each kind of database."""
    opened = Ledger(database_url, now_ns=lambda: NOW_NS)
    yield opened
    await opened.close()
