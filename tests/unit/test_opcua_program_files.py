# SPDX-License-Identifier: GPL-3.0-or-later
"""Files into program memories over OPC UA: limits, slow lines, and what is left where a step fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from edge.domain.errors import DriverRefused, TransferFailed
from edge.domain.machine import Capability, Execution, MachineState
from edge.domain.transfer import ProgramFile, TransferStep
from edge.drivers.opcua import file_transfer
from edge.drivers.opcua import programs as programs_module
from edge.drivers.opcua.errors import LinkLost
from edge.drivers.opcua.file_transfer import OLD, Differs, FileStore, NotDone
from edge.drivers.opcua.models.model import Methods, ProgramPath
from edge.drivers.opcua.programs import Programs
from edge.drivers.opcua.vendor_files import ONE_CALL_BYTES, ROOT
from tests.support.opcua import settings
from tests.support.opcua_memory import DIRECTORY, FILES, SELECT, Memory

PROGRAM = ProgramFile("A.MPF", os.urandom(20_000))
PATH = f"{ROOT}/Part Program/A.MPF"
ASIDE = f"{ROOT}/Part Program/{OLD}A.MPF"


def ignore(*_: object) -> None:
    """Let it pass."""


async def stored(memory: Memory, file: ProgramFile = PROGRAM) -> str:
    """Bring a file into the memory through its file system."""
    return await FileStore(memory, DIRECTORY, "").store(file, ignore, ignore, ignore)


def programs(
    memory: Memory,
    path: ProgramPath,
    *,
    state: MachineState | None = None,
    states: Callable[[], MachineState] | None = None,
    **changes: Any,
) -> Programs:
    """Return the programs of a machine that the settings permit to write; it stands unless a state is given."""
    allowed = settings("opc.tcp://127.0.0.1:4840/", write=True, **changes)
    ready = MachineState(execution=Execution.READY)
    return Programs("mill-1", allowed, path, memory, states or (lambda: state or ready), ignore)


JOBS = Methods("ns=1;s=j", {name: f"ns=1;s=j.{name}" for name in ("Store", "Start", "Stop", "Pause")})
SINUMERIK = ProgramPath(files=FILES, select=SELECT)


async def test_no_write_is_larger_than_the_server_takes() -> None:
    memory = Memory()
    memory.limit = 1500
    await stored(memory)
    assert memory.files == {PROGRAM.name: PROGRAM.content}
    assert max(len(data) for _, data in memory.called("Write")) == 1500
    assert max(length for _, length in memory.called("Read")) == 1500


@pytest.mark.parametrize("method", ["Write", "Read"])
async def test_pieces_get_smaller_where_they_are_too_large(method: str) -> None:
    memory = Memory()

    def judge(_handle: int, what: Any) -> str | None:
        size = what if isinstance(what, int) else len(what)
        return "BadRequestTooLarge" if size > 5000 else None

    memory.refuse[method] = judge
    await stored(memory)
    assert memory.files == {PROGRAM.name: PROGRAM.content}


@pytest.mark.parametrize("method", ["Write", "Read"])
async def test_a_server_that_takes_not_even_small_pieces_is_given_up(method: str) -> None:
    memory = Memory()
    memory.refuse[method] = lambda *_: "BadEncodingLimitsExceeded"
    with pytest.raises(NotDone, match="the machine answered BadEncodingLimitsExceeded"):
        await stored(memory)
    assert memory.files == {}
    assert memory.open_handles == 0


async def test_pieces_get_smaller_on_a_slow_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_transfer, "_LONG_ANSWER_S", 0.0)
    memory = Memory()
    await stored(memory, ProgramFile("A.MPF", bytes(300_000)))
    sizes = [len(data) for _, data in memory.called("Write")]
    assert sizes[:3] == [60_000, 30_000, 15_000]
    assert min(sizes[:-1]) == 1000


async def test_an_old_program_comes_back_where_the_new_one_cannot_take_its_place() -> None:
    memory = Memory()
    memory.files[PROGRAM.name] = b"old"
    memory.refuse["MoveOrCopy"] = lambda target, _to, _copied, name: (
        "BadUserAccessDenied" if name == PROGRAM.name and "IMNEW" in str(target) else None
    )
    with pytest.raises(NotDone, match="does not permit it"):
        await stored(memory)
    assert memory.files == {PROGRAM.name: b"old"}


async def test_an_old_program_that_cannot_be_deleted_waits_for_the_next_connection() -> None:
    memory = Memory()
    memory.files[PROGRAM.name] = b"old"
    memory.refuse["Delete"] = lambda *_: "BadInvalidState"
    await stored(memory)
    assert memory.files == {PROGRAM.name: PROGRAM.content, f"{OLD}{PROGRAM.name}": b"old"}
    memory.refuse.clear()
    assert await FileStore(memory, DIRECTORY, "").sweep() == ["the former A.MPF is removed"]
    assert memory.files == {PROGRAM.name: PROGRAM.content}


@pytest.mark.parametrize(
    "kept",
    [
        lambda content: content[:-1],
        lambda content: content + b" ",
        lambda content: content[:-1] + b"?",
        lambda _: b"",
        lambda content: content * 50,
    ],
    ids=["shorter", "longer", "other", "empty", "far longer"],
)
async def test_whatever_differs_is_removed(kept: Callable[[bytes], bytes]) -> None:
    memory = Memory()
    memory.kept = kept
    with pytest.raises(Differs):
        await stored(memory)
    assert memory.files == {}
    assert memory.open_handles == 0


async def test_a_file_that_cannot_be_written_is_named() -> None:
    memory = Memory()
    memory.file_methods = ("Open", "Close")
    with pytest.raises(NotDone, match="its file does not offer Read, Write"):
        await stored(memory)
    assert memory.files == {}


async def test_a_close_that_is_refused_does_not_matter_where_the_file_reads_back() -> None:
    memory = Memory()
    memory.refuse["Close"] = lambda *_: "BadInvalidArgument"
    await stored(memory)
    assert memory.files == {PROGRAM.name: PROGRAM.content}


async def test_a_sinumerik_gets_a_new_program_without_the_right_to_write_over() -> None:
    memory = Memory()
    assert await programs(memory, SINUMERIK, channel=2).load(PROGRAM, ignore) is True
    assert memory.files == {PATH: PROGRAM.content}
    assert memory.called("CopyFileToServer") == [(PATH, PROGRAM.content, False)]
    assert memory.called("Select") == [(PATH, 2)]


async def test_a_sinumerik_gets_its_old_program_back_where_the_new_one_differs() -> None:
    memory = Memory()
    memory.files[PATH] = b"old"
    memory.kept = lambda content: content if content == b"old" else content[:-1]
    with pytest.raises(TransferFailed, match=r"differs from what was sent\.$"):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)
    assert memory.files == {PATH: b"old", ASIDE: b"old"}
    assert memory.called("Select") == []


async def test_a_sinumerik_without_a_file_system_has_its_old_program_put_aside_before_the_new_one_comes() -> None:
    memory = Memory()
    memory.files[PATH] = b"old"
    assert await programs(memory, SINUMERIK).load(PROGRAM, ignore) is True
    assert memory.called("CopyFileToServer") == [(ASIDE, b"old", True), (PATH, PROGRAM.content, True)]
    assert memory.files == {PATH: PROGRAM.content, ASIDE: b"old"}


async def test_nothing_is_written_over_that_cannot_be_put_aside() -> None:
    memory = Memory()
    memory.files[PATH] = b"old"
    memory.kept = lambda content: content[:-1]
    with pytest.raises(DriverRefused, match=r"cannot be put aside as IMOLD_A\.MPF"):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)
    assert memory.files[PATH] == b"old"
    memory.files[PATH] = bytes(ONE_CALL_BYTES + 1)
    with pytest.raises(DriverRefused, match="choose another name or delete it there"):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)
    assert memory.files[PATH] == bytes(ONE_CALL_BYTES + 1)


@pytest.mark.parametrize("nothing", [None, b""])
async def test_a_program_of_which_no_bytes_come_is_not_written_over(nothing: bytes | None) -> None:
    memory = Memory()
    memory.files[PATH] = b"old"
    memory.read_as = nothing
    with pytest.raises(DriverRefused, match="the machine has a file of that name"):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)
    assert memory.files == {PATH: b"old"}
    assert memory.called("CopyFileToServer") == [(PATH, PROGRAM.content, False)]


async def test_a_sinumerik_that_loses_the_link_in_the_overwriting_still_has_its_old_program() -> None:
    memory = Memory()
    memory.files[PATH] = b"old"

    def cut(name: str, *_: object) -> None:
        if name == PATH:
            memory.files[PATH] = b"half"
            raise LinkLost(reason="the connection was lost")

    memory.refuse["CopyFileToServer"] = cut
    with pytest.raises(TransferFailed, match=r"the link was lost .* it had is there as IMOLD_A\.MPF"):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)
    assert memory.files == {PATH: b"half", ASIDE: b"old"}


async def test_a_sinumerik_with_a_file_system_has_its_program_replaced_there() -> None:
    memory = Memory()
    memory.files |= {PATH: b"old", "A.MPF": b"old"}
    path = ProgramPath(directory=DIRECTORY, files=FILES, select=SELECT)
    assert await programs(memory, path).load(PROGRAM, ignore) is True
    assert memory.files == {PATH: b"old", "A.MPF": PROGRAM.content}
    assert memory.called("CopyFileToServer") == []
    assert memory.called("Select") == [(PATH, 1)]


async def test_what_is_left_of_a_new_program_that_differs_is_said() -> None:
    memory = Memory()
    memory.kept = lambda content: content[:-1]
    with pytest.raises(TransferFailed, match=r"A\.MPF stays on the machine, not verified: delete it at its panel"):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)


async def test_what_cannot_be_put_back_is_said() -> None:
    memory = Memory()
    memory.files[PATH] = b"old"
    memory.kept = lambda content: content if content == b"old" else content[:-1]
    running = [MachineState(), MachineState(), MachineState(), MachineState(execution=Execution.ACTIVE)]
    work = programs(memory, SINUMERIK, states=lambda: running.pop(0))
    with pytest.raises(TransferFailed, match=r"not be put back \(its channel .* there as IMOLD_A\.MPF"):
        await work.load(PROGRAM, ignore)
    assert memory.files == {PATH: PROGRAM.content[:-1], ASIDE: b"old"}


async def test_a_file_too_large_for_one_call_is_left_to_the_panel() -> None:
    memory = Memory()
    large = ProgramFile("A.MPF", bytes(ONE_CALL_BYTES + 1))
    with pytest.raises(DriverRefused, match="at once is 1000000: copy it at the panel"):
        await programs(memory, SINUMERIK).load(large, ignore)
    # The control's file system is another folder than that of the settings.
    path = ProgramPath(directory=DIRECTORY, files=FILES, select=SELECT)
    with pytest.raises(DriverRefused, match="copy it at the panel"):
        await programs(memory, path, program_folder="Work Pieces").load(large, ignore)
    assert memory.calls == []


async def test_a_sinumerik_that_refuses_keeps_what_it_has() -> None:
    memory = Memory()
    memory.files[PATH] = b"old"
    memory.refuse["CopyFileToServer"] = lambda *_: "BadUserAccessDenied"
    with pytest.raises(DriverRefused, match="writing: the machine does not permit it to this user"):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)
    assert memory.files == {PATH: b"old"}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (1, "no such channel"),
        (2, "does not find the program"),
        (3, "does not stand in reset"),
        (4, "rejected it"),
        (9, r"the control refused \(Select answered 9\)"),
        (None, "the control refused"),
    ],
)
async def test_what_select_answers_is_said(result: object, words: str) -> None:
    memory = Memory()
    memory.selected = result
    with pytest.raises(DriverRefused, match=words):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)


@pytest.mark.parametrize("execution", [Execution.ACTIVE, Execution.INTERRUPTED, Execution.FEED_HOLD])
async def test_nothing_is_selected_while_a_channel_is_busy(execution: Execution) -> None:
    memory = Memory()
    with pytest.raises(DriverRefused, match="its channel does not stand in reset"):
        await programs(memory, SINUMERIK, state=MachineState(execution=execution)).load(PROGRAM, ignore)
    assert memory.calls == []


async def test_a_select_that_answers_nothing_is_not_known_to_have_selected() -> None:
    memory = Memory()
    memory.selected = ...
    with pytest.raises(DriverRefused, match="does not say whether it selected"):
        await programs(memory, SINUMERIK).load(PROGRAM, ignore)


async def test_a_sinumerik_without_select_leaves_that_to_its_panel() -> None:
    memory = Memory()
    assert await programs(memory, ProgramPath(files=FILES)).load(PROGRAM, ignore) is False
    assert memory.files == {PATH: PROGRAM.content}


async def test_a_large_program_goes_into_a_sinumerik_in_pieces() -> None:
    memory = Memory()
    large = ProgramFile("A.MPF", os.urandom(ONE_CALL_BYTES + 1))
    path = ProgramPath(directory=DIRECTORY, files=FILES, select=SELECT)
    assert await programs(memory, path).load(large, ignore) is True
    assert memory.files == {"A.MPF": large.content}
    assert memory.called("CopyFileToServer") == []
    assert memory.called("Select") == [(PATH, 1)]


@pytest.mark.parametrize(
    ("method", "words"),
    [("CopyFileToServer", None), ("CopyFileFromServer", None), ("Select", "was cancelled too late")],
)
async def test_a_cancelled_load_of_a_sinumerik_says_what_is_selected(method: str, words: str | None) -> None:
    memory = Memory()
    memory.files[PATH] = b"old"
    work = programs(memory, SINUMERIK)
    load = asyncio.create_task(work.load(PROGRAM, ignore))

    def cancel(name: str, *_: object) -> None:
        if name == PATH:
            load.cancel()

    memory.refuse[method] = cancel
    with pytest.raises(asyncio.CancelledError if words is None else TransferFailed, match=words):
        await load
    assert len(memory.called("Select")) == (method == "Select")
    assert memory.files[PATH] == (PROGRAM.content if method == "Select" else b"old")
    await work.close()


async def test_steps_are_told_in_their_order() -> None:
    told: list[TransferStep] = []
    await programs(Memory(), SINUMERIK).load(PROGRAM, lambda step, _: told.append(step))
    assert list(dict.fromkeys(told)) == [TransferStep.UPLOADING, TransferStep.VERIFYING, TransferStep.SELECTING]


@pytest.mark.parametrize("lacking", ["Store", "Start", "Stop"])
async def test_a_job_control_that_cannot_store_start_and_stop_is_not_used(lacking: str) -> None:
    some = Methods(JOBS.node_id, {name: one for name, one in JOBS.methods.items() if name != lacking})

    def offered(one: Methods) -> frozenset[Capability]:
        return programs(Memory(), ProgramPath(directory=DIRECTORY, jobs=one), job_control=True).capabilities

    assert offered(JOBS) == {Capability.LOAD_PROGRAM, Capability.JOB_CONTROL, Capability.HOLD, Capability.STOP}
    assert offered(some) == {Capability.LOAD_PROGRAM}


async def test_a_select_that_knows_no_paths_of_the_file_system_is_left_to_the_panel() -> None:
    memory = Memory()
    work = programs(memory, ProgramPath(directory=DIRECTORY, select=SELECT))
    assert await work.load(PROGRAM, ignore) is False
    assert memory.files == {PROGRAM.name: PROGRAM.content}
    assert memory.called("Select") == []


@pytest.mark.parametrize("select", [SELECT, None])
async def test_job_control_begins_only_what_it_stored(select: Methods | None) -> None:
    memory = Memory()
    work = programs(memory, ProgramPath(files=FILES, select=select, jobs=JOBS), job_control=True)
    assert work.capabilities == {Capability.LOAD_PROGRAM, Capability.HOLD, Capability.STOP}
    assert await work.load(PROGRAM, ignore) is (select is not None)
    with pytest.raises(DriverRefused, match="does not store what is loaded"):
        await work.start_loaded()


@pytest.mark.parametrize(("method", "taken"), [("Write", False), ("Read", False), ("MoveOrCopy", True)])
async def test_a_machine_that_begins_a_program_meanwhile_keeps_it(method: str, taken: bool) -> None:
    memory = Memory()
    memory.files[PROGRAM.name] = b"old"
    begun: list[object] = []
    memory.refuse[method] = lambda *arguments: begun.append(arguments)
    running = MachineState(execution=Execution.ACTIVE, program=PROGRAM.name)
    work = programs(memory, ProgramPath(directory=DIRECTORY), states=lambda: running if begun else MachineState())
    if taken:
        await work.load(PROGRAM, ignore)
    else:
        with pytest.raises(DriverRefused, match="it is running a program of that name"):
            await work.load(PROGRAM, ignore)
    assert memory.files == {PROGRAM.name: PROGRAM.content if taken else b"old"}


async def test_a_machine_that_runs_another_program_gets_the_file() -> None:
    memory = Memory()
    begun = [MachineState(execution=Execution.READY), MachineState(execution=Execution.ACTIVE, program="OTHER.NC")]
    work = programs(
        memory, ProgramPath(directory=DIRECTORY), states=lambda: begun.pop(0) if len(begun) > 1 else begun[0]
    )
    await work.load(PROGRAM, ignore)
    assert memory.files == {PROGRAM.name: PROGRAM.content}


@pytest.mark.parametrize("method", ["CopyFileFromServer", "CopyFileToServer"])
async def test_a_sinumerik_that_begins_a_program_is_not_written_to(method: str) -> None:
    memory = Memory()
    memory.files[PATH] = b"old"
    busy = MachineState(execution=Execution.ACTIVE)
    work = programs(memory, SINUMERIK, states=lambda: busy if memory.called(method) else MachineState())
    with pytest.raises(DriverRefused, match="does not stand in reset"):
        await work.load(PROGRAM, ignore)
    assert memory.files[PATH] == b"old"
    assert [name for name, *_ in memory.called("CopyFileToServer")] in ([], [ASIDE])
    assert memory.called("Select") == []


@pytest.mark.parametrize("late", ["Write", "Read", "Delete"])
async def test_what_a_late_answer_leaves_is_removed_on_the_same_connection(
    late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs_module, "_SWEEP_AGAIN_S", 0.0)
    memory = Memory()
    memory.files[PROGRAM.name] = b"old"
    lates = [late]

    def no_answer(*_: object) -> None:
        if lates:
            lates.pop()
            raise LinkLost(reason="no answer in time")

    memory.refuse[late] = no_answer
    work = programs(memory, ProgramPath(directory=DIRECTORY))
    with pytest.raises(TransferFailed, match="is removed when the machine is heard again"):
        await work.load(PROGRAM, ignore)
    async with asyncio.timeout(5):
        while len(memory.files) > 1:
            await asyncio.sleep(0)
    assert memory.files == {PROGRAM.name: PROGRAM.content if late == "Delete" else b"old"}
    assert await work.load(PROGRAM, ignore) is False
    await work.close()


async def test_putting_right_goes_on_after_a_late_answer_and_ends_with_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(programs_module, "_SWEEP_AGAIN_S", 0.0)
    memory = Memory()
    asked = asyncio.Event()

    def no_answer(*_: object) -> None:
        if len(memory.called("Delete")) > 2:
            asked.set()
        raise LinkLost(reason="no answer in time")

    memory.refuse |= {"Write": no_answer, "Delete": no_answer}
    work = programs(memory, ProgramPath(directory=DIRECTORY))
    with pytest.raises(TransferFailed):
        await work.load(PROGRAM, ignore)
    async with asyncio.timeout(5):
        await asked.wait()
    await work.close()
    deleted = len(memory.called("Delete"))
    with pytest.raises(TransferFailed):
        await work.load(PROGRAM, ignore)
    await work.close()
    assert len(memory.called("Delete")) == deleted


@pytest.mark.parametrize("name", ["NUL", "con.mpf", "LPT1.NC.MPF", "Aux.NC"])
async def test_names_that_windows_keeps_for_devices_are_refused(name: str) -> None:
    with pytest.raises(DriverRefused, match="Windows keeps it for a device"):
        await programs(Memory(), SINUMERIK).load(ProgramFile(name, b"M30"), ignore)


@pytest.mark.parametrize("name", ["NULL.MPF", "CONTOUR.NC", "COM.MPF", "A.CON"])
async def test_names_that_only_look_like_devices_are_taken(name: str) -> None:
    assert await programs(Memory(), SINUMERIK).load(ProgramFile(name, b"M30"), ignore)
