# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs on their way into a lathe's memory over OPC UA: what arrives, what does not, and what is left of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from edge.domain.errors import DriverRefused, DriverUnavailable, TransferFailed
from edge.domain.machine import Capability, Execution
from edge.domain.transfer import MAX_BYTES, ProgramFile, TransferStep
from tests.support.opcua import Lathe, lathe_process, watched
from tests.support.opcua_load import OLD, PROGRAM, STACKS, Told, digest, kept, until, until_called

Folders = pytest.TempPathFactory
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=STACKS)
async def lathe_of_all(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lathe]:
    async with STACKS[request.param](tmp_path_factory.mktemp("lathe"), "--idle", "--speed", "10") as lathe:
        yield lathe


@pytest_asyncio.fixture(loop_scope="module")
async def lathe(lathe_of_all: Lathe) -> Lathe:
    await lathe_of_all.ctl("reset")
    return lathe_of_all


async def test_a_program_arrives_and_is_left_to_the_panel(lathe: Lathe) -> None:
    told = Told()
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        assert watch.driver.info().capabilities == {Capability.LOAD_PROGRAM}
        assert await watch.driver.load(PROGRAM, told) is False
    assert told.steps == {TransferStep.UPLOADING: len(PROGRAM.content), TransferStep.VERIFYING: len(PROGRAM.content)}
    facts = await lathe.ctl("state")
    assert kept(facts) == {PROGRAM.name: PROGRAM.sha256}
    assert facts["open_handles"] == 0
    assert facts["jobs"] == []
    assert facts["program"] != PROGRAM.name


async def test_a_program_is_stored_as_a_job_order_and_not_started(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, write=True, job_control=True) as watch:
        await watch.until_available()
        assert await watch.driver.load(PROGRAM, Told()) is True
        (job,) = (await lathe.ctl("state"))["jobs"]
        assert job | {"id": ""} == {
            "id": "",
            "state": "NotAllowedToStart",
            "work_master": PROGRAM.name,
            "program": PROGRAM.name,
        }
        # A second load takes back the order of the first, which nobody started.
        assert await watch.driver.load(PROGRAM, Told()) is True
        (second,) = (await lathe.ctl("state"))["jobs"]
        assert second["id"] != job["id"]
    facts = await lathe.ctl("state")
    assert "Start" not in facts["calls"]
    assert "StoreAndStart" not in facts["calls"]


async def test_the_file_takes_the_place_of_the_former(lathe: Lathe) -> None:
    await lathe.ctl(f"file {PROGRAM.name} 100")
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        await watch.driver.load(PROGRAM, Told())
    assert kept(await lathe.ctl("state")) == {PROGRAM.name: PROGRAM.sha256}


async def test_states_keep_coming_while_sixteen_megabytes_go_over(lathe: Lathe) -> None:
    content = os.urandom(MAX_BYTES)
    await lathe.ctl("delay Write 2")
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        load = asyncio.create_task(watch.driver.load(ProgramFile("LARGE.NC", content), Told()))
        await until_called(lathe, "Write", 5)
        await lathe.ctl("override 55")
        await watch.until(lambda state: state.overrides is not None and state.overrides.feed == 55, "the override")
        assert not load.done()
        await lathe.ctl("delay Write 0")
        await load
    facts = await lathe.ctl("state")
    assert kept(facts) == {"LARGE.NC": digest(content)}
    assert facts["open_handles"] == 0


async def test_an_upload_cut_in_the_middle_is_never_selected_and_its_rest_is_removed(lathe: Lathe) -> None:
    await lathe.ctl(f"file {PROGRAM.name} 100")
    file = ProgramFile(PROGRAM.name, os.urandom(1_000_000))
    async with watched(lathe.endpoint, write=True, job_control=True) as watch:
        await watch.until_available()
        await lathe.ctl("cut-upload 500000")
        with pytest.raises(TransferFailed, match="the link was lost"):
            await watch.driver.load(file, Told())
        facts = await until(lathe, lambda facts: len(facts["files"]) == 1, "the rest removed")
        assert kept(facts) == {PROGRAM.name: digest(OLD)}
        assert "Store" not in facts["calls"]
        assert facts["jobs"] == []
        await watch.until_available()
        with pytest.raises(DriverRefused, match="no program was loaded"):
            await watch.driver.start_loaded()
        # And then it works.
        assert await watch.driver.load(file, Told()) is True
    assert kept(await lathe.ctl("state")) == {PROGRAM.name: file.sha256}


async def test_what_reads_back_otherwise_is_refused_and_removed(lathe: Lathe) -> None:
    await lathe.ctl(f"file {PROGRAM.name} 100")
    await lathe.ctl("corrupt on")
    async with watched(lathe.endpoint, write=True, job_control=True) as watch:
        await watch.until_available()
        with pytest.raises(TransferFailed, match="differs from what was sent"):
            await watch.driver.load(PROGRAM, Told())
    facts = await lathe.ctl("state")
    assert kept(facts) == {PROGRAM.name: digest(OLD)}
    assert "Store" not in facts["calls"]
    assert facts["open_handles"] == 0


@pytest.mark.parametrize(
    ("method", "status", "words"),
    [
        ("CreateFile", "BadUserAccessDenied", "making the file: the machine does not permit it to this user"),
        ("Open", "BadNotWritable", "opening the file: the machine does not permit writing there"),
        ("Write", "BadResourceUnavailable", "writing: the machine has no room for it"),
        ("Write", "BadUnexpectedError", "writing: the machine answered BadUnexpectedError"),
        ("Read", "BadNotReadable", "reading it back: the machine does not permit reading there"),
        ("MoveOrCopy", "BadInvalidState", "the file is in use on the machine"),
    ],
)
async def test_a_server_that_refuses_a_step_keeps_what_it_had(
    lathe: Lathe, method: str, status: str, words: str
) -> None:
    await lathe.ctl(f"file {PROGRAM.name} 100")
    async with watched(lathe.endpoint, write=True, job_control=True) as watch:
        await watch.until_available()
        await lathe.ctl(f"refuse {method} {status}")
        with pytest.raises(DriverRefused, match=words):
            await watch.driver.load(PROGRAM, Told())
        facts = await lathe.ctl("state")
        assert kept(facts) == {PROGRAM.name: digest(OLD)}
        assert facts["open_handles"] == 0
        assert facts["jobs"] == []
        await lathe.ctl(f"refuse {method}")
        assert await watch.driver.load(PROGRAM, Told()) is True


async def test_a_job_control_that_refuses_leaves_the_file_and_says_so(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, write=True, job_control=True) as watch:
        await watch.until_available()
        await lathe.ctl("refuse Store 16")
        with pytest.raises(DriverRefused, match=r"to select PART-7.NC, which it has now: .* cannot accept"):
            await watch.driver.load(PROGRAM, Told())
        with pytest.raises(DriverRefused, match="no program was loaded"):
            await watch.driver.start_loaded()
    facts = await lathe.ctl("state")
    assert kept(facts) == {PROGRAM.name: PROGRAM.sha256}
    assert facts["jobs"] == []


@pytest.mark.parametrize(
    ("method", "is_there"),
    [("CreateFile", False), ("Open", False), ("Write", False), ("Read", False), ("MoveOrCopy", True), ("Store", True)],
)
async def test_a_cancelled_load_leaves_nothing_selected(lathe: Lathe, method: str, is_there: bool) -> None:
    await lathe.ctl(f"file {PROGRAM.name} 100")
    async with watched(lathe.endpoint, write=True, job_control=True) as watch:
        await watch.until_available()
        await lathe.ctl(f"delay {method} 150")
        load = asyncio.create_task(watch.driver.load(PROGRAM, Told()))
        await until_called(lathe, method)
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        facts = await lathe.ctl("state")
        assert kept(facts) == {PROGRAM.name: PROGRAM.sha256 if is_there else digest(OLD)}
        assert facts["open_handles"] == 0
        assert facts["jobs"] == []
        with pytest.raises(DriverRefused, match="no program was loaded"):
            await watch.driver.start_loaded()


async def test_a_driver_that_ends_ends_its_load(lathe: Lathe) -> None:
    await lathe.ctl("delay Write 150")
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        load = asyncio.create_task(watch.driver.load(PROGRAM, Told()))
        await until_called(lathe, "Write")
    with pytest.raises(TransferFailed, match="the link was lost"):
        await load


async def test_only_one_program_is_loaded_at_a_time(lathe: Lathe) -> None:
    await lathe.ctl("delay Write 150")
    async with watched(lathe.endpoint, write=True, job_control=True) as watch:
        await watch.until_available()
        load = asyncio.create_task(watch.driver.load(PROGRAM, Told()))
        await until_called(lathe, "Write")
        with pytest.raises(DriverRefused, match="another program is being loaded"):
            await watch.driver.load(PROGRAM, Told())
        with pytest.raises(DriverRefused, match="a program is being loaded"):
            await watch.driver.start_loaded()
        assert await load is True


async def test_nothing_is_written_without_permission(lathe: Lathe) -> None:
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
        assert watch.driver.info().capabilities == frozenset()
        with pytest.raises(DriverRefused, match="`write` is not set"):
            await watch.driver.load(PROGRAM, Told())
        with pytest.raises(DriverRefused, match="`write` is not set"):
            await watch.driver.start_loaded()
    facts = await lathe.ctl("state")
    assert facts["calls"] == {}
    assert facts["files"] == []


async def test_nothing_is_loaded_without_a_link(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        await lathe.ctl("silence")
        await watch.until_unavailable()
        with pytest.raises(DriverUnavailable):
            await watch.driver.load(PROGRAM, Told())
        await lathe.ctl("talk")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../X.NC",
        "A/B.NC",
        "A\\B.NC",
        "A B.NC",
        "Š.NC",
        ".NC",
        "-A.NC",
        "A..NC",
        "A.",
        "IMNEW0_A.NC",
        "A" * 65,
        "A\n",
    ],
)
async def test_names_that_controls_do_not_take_are_refused(lathe: Lathe, name: str) -> None:
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        with pytest.raises(DriverRefused, match="file name"):
            await watch.driver.load(ProgramFile(name, b"M30\n"), Told())
    assert (await lathe.ctl("state"))["calls"] == {}


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (bytes(MAX_BYTES + 1), "the most is 16777216")])
async def test_sizes_that_controls_do_not_take_are_refused(lathe: Lathe, content: bytes, words: str) -> None:
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        with pytest.raises(DriverRefused, match=words):
            await watch.driver.load(ProgramFile("A.NC", content), Told())


async def test_a_running_program_is_not_replaced(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, write=True, job_control=True) as watch:
        await watch.until_available()
        await watch.driver.load(PROGRAM, Told())
        await watch.driver.start_loaded()
        await watch.until(
            lambda state: state.program == PROGRAM.name and state.execution is Execution.ACTIVE, "it runs"
        )
        with pytest.raises(DriverRefused, match="it is running a program of that name"):
            await watch.driver.load(PROGRAM, Told())


async def test_programs_go_into_the_folder_of_the_settings(lathe: Lathe) -> None:
    await lathe.ctl("file Van/OTHER.NC 1")
    async with watched(lathe.endpoint, write=True, job_control=True, program_folder="Van") as watch:
        await watch.until_available()
        assert await watch.driver.load(PROGRAM, Told()) is True
    facts = await lathe.ctl("state")
    assert kept(facts)[f"Van/{PROGRAM.name}"] == PROGRAM.sha256
    assert facts["jobs"][0]["program"] == f"Van/{PROGRAM.name}"


async def test_a_folder_that_is_not_there_is_named(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, write=True, program_folder="Van/Parts") as watch:
        await watch.until_available()
        with pytest.raises(DriverRefused, match="it has no folder Van/Parts"):
            await watch.driver.load(PROGRAM, Told())


async def test_a_folder_of_that_name_is_not_replaced(lathe: Lathe) -> None:
    await lathe.ctl("file Van/OTHER.NC 1")
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        with pytest.raises(DriverRefused, match="Van is a folder"):
            await watch.driver.load(ProgramFile("Van", b"M30\n"), Told())


async def test_a_replacement_that_was_cut_off_is_put_right_at_the_next_connection(lathe: Lathe) -> None:
    await lathe.ctl("file IMOLD_A.NC 7")
    await lathe.ctl("file IMOLD_B.NC 8")
    await lathe.ctl("file B.NC 9")
    await lathe.ctl("file IMNEW0_C.NC 10")
    async with watched(lathe.endpoint) as watch:
        await watch.until_available()
    assert len((await lathe.ctl("state"))["files"]) == 4, "changed without permission"
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
    assert kept(await lathe.ctl("state")) == {"A.NC": digest(bytes(7)), "B.NC": digest(bytes(9))}


async def test_a_machine_that_cannot_rename_keeps_what_it_has(tmp_path: Path) -> None:
    async with lathe_process(tmp_path, "--idle", "--without", "move") as lathe:
        await lathe.ctl("file A.NC 100")
        async with watched(lathe.endpoint, write=True) as watch:
            await watch.until_available()
            with pytest.raises(DriverRefused, match="cannot rename: choose another name"):
                await watch.driver.load(ProgramFile("A.NC", b"M30\n"), Told())
            assert await watch.driver.load(PROGRAM, Told()) is False
            await lathe.ctl("corrupt on")
            with pytest.raises(TransferFailed, match="differs"):
                await watch.driver.load(ProgramFile("B.NC", b"M30\n"), Told())
            assert kept(await lathe.ctl("state")) == {"A.NC": digest(OLD), PROGRAM.name: PROGRAM.sha256}


async def test_a_machine_without_a_file_system_is_not_offered_programs(tmp_path: Path) -> None:
    async with (
        lathe_process(tmp_path, "--idle", "--without", "files", "--without", "jobs") as lathe,
        watched(lathe.endpoint, write=True, job_control=True) as watch,
    ):
        await watch.until_available()
        assert watch.driver.info().capabilities == frozenset()
        with pytest.raises(DriverRefused, match="it offers no way to bring a program over"):
            await watch.driver.load(PROGRAM, Told())
        with pytest.raises(DriverRefused, match="its job control is not configured, or it offers none"):
            await watch.driver.start_loaded()


async def test_a_rest_that_the_server_still_holds_open_is_removed_later(lathe: Lathe) -> None:
    await lathe.ctl("file IMNEW0_PART-7.NC 10")
    await lathe.ctl("refuse Delete BadInvalidState")
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        await lathe.ctl("refuse Delete")
        # Loading does not wait for that.
        await watch.driver.load(PROGRAM, Told())
        facts = await until(lathe, lambda facts: len(facts["files"]) == 1, "the rest removed")
        assert kept(facts) == {PROGRAM.name: PROGRAM.sha256}


async def test_a_machine_full_of_rests_is_named(lathe: Lathe) -> None:
    for number in range(10):
        await lathe.ctl(f"file IMNEW{number}_PART-7.NC 10")
    await lathe.ctl("refuse Delete BadUserAccessDenied")
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        with pytest.raises(DriverRefused, match="it still holds 10 uploads of"):
            await watch.driver.load(PROGRAM, Told())
