# SPDX-License-Identifier: GPL-3.0-or-later
"""A job order that a machine runs is read from its JobOrderList, on both stacks."""

from __future__ import annotations

import pytest

from edge.domain.machine import Execution
from edge.drivers.opcua.connection import open_connection
from edge.drivers.opcua.models import jobs, umati
from tests.support.opcua import settings, watched
from tests.support.opcua_load import PROGRAM, STACKS, Told


@pytest.mark.parametrize("stack", STACKS)
async def test_the_work_master_of_the_job_that_runs_is_the_program(
    stack: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with STACKS[stack](tmp_path_factory.mktemp("lathe"), "--idle") as lathe:
        async with (
            open_connection(settings(lathe.endpoint), None) as connection,
            watched(lathe.endpoint, write=True, job_control=True) as watch,
        ):
            machine = await umati.find(connection, None)
            (path,) = [path for path in machine.monitored() if path.endswith(jobs.ORDER_LIST)]

            async def job() -> jobs.Job | None:
                return jobs.active((await connection.read([machine.monitored()[path].node_id]))[0])

            assert await job() is None
            await watch.until_available()
            assert await watch.driver.load(PROGRAM, Told())
            stored = await job()
            assert stored is not None
            assert (stored.program, stored.execution) == (None, Execution.READY)
            await watch.driver.start_loaded()
            await watch.until(lambda seen: seen.program == PROGRAM.name and seen.execution is Execution.ACTIVE)
            assert await job() == jobs.Job(PROGRAM.name, Execution.ACTIVE)
            await watch.driver.stop()
