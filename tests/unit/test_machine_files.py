# SPDX-License-Identifier: GPL-3.0-or-later
"""The shelf of program files for machines: whole or not at all, under names that every control takes."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from edge.domain.errors import FileRefused, NotFound, StoreUnavailable
from edge.domain.transfer import MAX_BYTES
from edge.store import machine_files
from edge.store.machine_files import MachineFiles


@pytest.fixture
def shelf(tmp_path: Path) -> MachineFiles:
    return MachineFiles(tmp_path / "machine-files")


async def test_a_file_is_kept_listed_read_and_forgotten(shelf: MachineFiles) -> None:
    data = bytes(range(256))
    kept = await shelf.put("lathe", "SHAFT.MPF", data)
    assert (kept.name, kept.size, kept.sha256) == ("SHAFT.MPF", 256, hashlib.sha256(data).hexdigest())
    assert await shelf.files("lathe") == [kept]
    assert await shelf.files("mill") == []
    assert await shelf.read("lathe", "SHAFT.MPF") == data
    await shelf.remove("lathe", "SHAFT.MPF")
    assert await shelf.files("lathe") == []
    with pytest.raises(NotFound):
        await shelf.read("lathe", "SHAFT.MPF")
    with pytest.raises(NotFound):
        await shelf.remove("lathe", "SHAFT.MPF")


async def test_the_newest_is_listed_first_and_a_file_of_the_same_name_replaced(
    shelf: MachineFiles, tmp_path: Path
) -> None:
    for number, name in enumerate(("a.h", "b.h", "c.h")):
        await shelf.put("mill", name, name.encode())
        os.utime(tmp_path / "machine-files" / "mill" / name, (number, number))
    assert [file.name for file in await shelf.files("mill")] == ["c.h", "b.h", "a.h"]
    again = await shelf.put("mill", "a.h", b"new")
    listed = await shelf.files("mill")
    assert [file.name for file in listed] == ["a.h", "c.h", "b.h"]
    assert listed[0] == again


async def test_a_file_that_somebody_changed_has_its_new_digest(shelf: MachineFiles, tmp_path: Path) -> None:
    await shelf.put("mill", "a.h", b"old")
    path = tmp_path / "machine-files" / "mill" / "a.h"
    path.write_bytes(b"newer")
    assert (await shelf.files("mill"))[0].sha256 == hashlib.sha256(b"newer").hexdigest()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a b", "ą.mpf", "a" * 65, "a.", "a..b", "-a", "a\n", "a\0"],
)
async def test_a_name_that_not_every_control_takes_is_refused(shelf: MachineFiles, name: str) -> None:
    with pytest.raises(FileRefused):
        await shelf.put("lathe", name, b"x")
    with pytest.raises(NotFound):
        await shelf.read("lathe", name)
    with pytest.raises(NotFound):
        await shelf.remove("lathe", name)


@pytest.mark.parametrize("name", ["_N_WELLE_MPF", "1234.H", "part-7_b.min", "A", "a" * 64])
async def test_names_as_makers_use_them_are_taken(shelf: MachineFiles, name: str) -> None:
    assert (await shelf.put("lathe", name, b"x")).name == name


async def test_an_empty_file_and_one_that_is_too_large_are_refused(shelf: MachineFiles) -> None:
    with pytest.raises(FileRefused, match="empty"):
        await shelf.put("lathe", "a", b"")
    with pytest.raises(FileRefused, match="more than 16777216 bytes"):
        await shelf.put("lathe", "a", bytes(MAX_BYTES + 1))
    assert (await shelf.put("lathe", "a", bytes(MAX_BYTES))).size == MAX_BYTES


async def test_a_full_disk_is_told_in_words_and_leaves_the_old_file(
    shelf: MachineFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelf.put("lathe", "a", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("edge.files.os.fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        await shelf.put("lathe", "a", b"new")
    monkeypatch.undo()
    assert await shelf.read("lathe", "a") == b"old"
    assert os.listdir(tmp_path / "machine-files" / "lathe") == ["a"]


async def test_the_last_of_a_disk_is_left_for_the_record_of_visits(tmp_path: Path) -> None:
    shelf = MachineFiles(tmp_path, reserve=2**60)
    with pytest.raises(StoreUnavailable, match="kept for the record of visits"):
        await shelf.put("lathe", "a", b"x")
    assert await shelf.files("lathe") == []


async def test_the_number_of_files_has_an_end(shelf: MachineFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_files, "MAX_FILES", 2)
    await shelf.put("lathe", "a", b"x")
    await shelf.put("lathe", "b", b"x")
    with pytest.raises(FileRefused, match="remove some first"):
        await shelf.put("lathe", "c", b"x")
    await shelf.put("lathe", "b", b"y")


async def test_what_a_power_cut_left_half_written_is_gone_at_the_next_start(tmp_path: Path) -> None:
    half = tmp_path / "machine-files" / "lathe" / ".partial-abc"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    shelf = MachineFiles(tmp_path / "machine-files")
    assert not half.exists()
    assert await shelf.files("lathe") == []
