# SPDX-License-Identifier: GPL-3.0-or-later
"""The office has what people were told, once each, after bad days drawn from seeds: see tests/torture.

Here a few; `make torture` lives through a thousand schedules. INFOMOBIL_SEED draws other ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from office.ledger import Ledger
from tests.hardware_sim.lab.processes import find
from tests.support.office import POSTGRES_BIN, Sender, opened, tap
from tests.torture.day import live
from tests.torture.judge import Case, verdict
from tests.torture.people import Told
from tests.torture.plan import Schedule
from tests.torture.world import KilledPostgres

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(find("mosquitto") is None, reason="Mosquitto is not installed"),
]

SEED = os.environ.get("INFOMOBIL_SEED", "1")
VANS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[KilledPostgres]:
    """A PostgreSQL that may be killed: not the one of the other tests."""
    if not (POSTGRES_BIN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed")
    made = KilledPostgres()
    yield made
    made.remove()


async def test_a_bad_day_on_sqlite(tmp_path: Path) -> None:
    outcome = await live(tmp_path / "day", f"{SEED} sqlite", VANS, None)
    assert outcome.wrong == []
    assert outcome.told > 0
    assert outcome.struck


async def test_a_bad_day_on_postgresql(tmp_path: Path, cluster: KilledPostgres) -> None:
    outcome = await live(tmp_path / "day", f"{SEED} postgresql", VANS, cluster)
    assert outcome.wrong == []
    assert outcome.told > 0
    assert outcome.struck


@pytest.mark.parametrize("fault", ["power", "stick", "full", "restore", "clone"])
async def test_each_fault_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    one = Schedule("one", ((0.3, fault),))
    monkeypatch.setattr(Schedule, "draw", lambda seed: one)
    outcome = await live(tmp_path / "day", f"{SEED} {fault}", 1, None)
    assert outcome.wrong == []


async def test_the_judge_can_find_what_is_wrong(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'office.sqlite3'}"
    ledger = Ledger(url)
    lab = Sender()
    await ledger.record([lab.batch(opened("v1"), tap("s1", "v1"), tap("s2", "v1"))])
    lab.next_seq += 1
    await ledger.record([lab.batch(tap("s2", "v1"))])
    await ledger.close()
    told = {key: Told("v1", "", 1) for key in ("s2", "s3")}
    found = "\n".join(await verdict(url, {"van-1": Case(told, forked=True, branches={lab.epoch})}))
    assert "s1 is there" in found
    assert "s2 is there 2 times" in found
    assert "s3 was told" in found
    assert "van-1 was copied and nobody doubts it" in found
    assert "a gap" in "\n".join(await verdict(url, {"van-1": Case(told)}))
