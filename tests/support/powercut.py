# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts: the files of a folder as they may be found after the power went, at any moment of a real run.

A process runs under `environment`; what it does to the files of a folder is recorded (powercut.c, compiled where a
compiler is there). `Disk` plays the record up to a moment and lays out what a disk may then hold. The rules are those
of a journalling file system without barriers of its own:

- what was written before an fsync of the file that ended before the cut is there, whole;
- of what was written since, any part may be there, in any order, and a write may be torn at sectors of 512 bytes;
- names (creating, renaming, removing) become durable in order: by an fsync of the folder, or of a file that was
  created; of those since, the first few may be there.

Files written by mmap, and folders below the first level made during the run, are not covered.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

SOURCE = Path(__file__).with_suffix(".c")
SECTOR = 512
_HEAD = struct.Struct("=c3xIqq")


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that happened: C created, W written, T resized, S synced, U removed, R renamed, N a note of a test.

    path is relative to the folder, empty for the folder itself; data holds what was written, the new name, the note.
    """

    kind: str
    path: str
    offset: int = 0
    data: bytes = b""


@cache
def shim() -> Path | None:
    """Return the compiled recorder, None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = Path(mkdtemp(prefix="powercut-")) / "powercut.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run([*command, "-lpthread"], check=True)
    return library


def environment(folder: Path, record: Path) -> dict[str, str]:
    """Return the environment of a process whose work on `folder` goes to `record`, a file outside of it."""
    library = shim()
    if library is None:
        raise FileNotFoundError("no C compiler")
    return {
        **os.environ,
        "LD_PRELOAD": str(library),
        "POWERCUT_FOLDER": str(folder.resolve()),
        "POWERCUT_LOG": str(record.resolve()),
    }


def note(record: Path, text: str) -> None:
    """Write a note of one's own into the record: it stands behind all that was done before this call.

    So a client that was answered notes what it was told, and every later cut must keep it.
    """
    data = text.encode()
    with record.open("ab", buffering=0) as file:
        file.write(_HEAD.pack(b"N", 0, 0, len(data)) + data)


def read(record: Path, folder: Path) -> list[Op]:
    """Return what was recorded. A last entry that a kill cut off is left out."""
    data, ops, at = record.read_bytes(), [], 0
    root = str(folder.resolve())
    while at + _HEAD.size <= len(data):
        kind, path_length, offset, length = _HEAD.unpack_from(data, at)
        begin = at + _HEAD.size
        at = begin + path_length + length
        if at > len(data):
            break
        path, content = data[begin : begin + path_length].decode(), data[begin + path_length : at]
        if kind == b"R":
            content = os.path.relpath(content.decode(), root).encode()
        if path.endswith(" (deleted)"):
            continue
        name = "" if kind == b"N" or path == root else os.path.relpath(path, root)
        if name.startswith(".."):
            continue
        ops.append(Op(kind.decode(), name, offset, content))
    return ops


@dataclass(slots=True)
class _File:
    """What surely is in a file, and what was done to it since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)

    def sync(self) -> None:
        for op in self.pending:
            _apply(self.durable, op)
        self.pending.clear()

    def after_cut(self, rng: random.Random) -> bytes:
        content = bytearray(self.durable)
        for op in _survivors(self.pending, rng):
            _apply(content, op)
        return bytes(content)


class Disk:
    """A folder as the disk knows it while a record is played."""

    def __init__(self, before: Path | None = None) -> None:
        """Begin with what a folder holds now, as durable, or with an empty one."""
        paths = [] if before is None else [path for path in sorted(before.rglob("*")) if path.is_file()]
        kept = {str(path.relative_to(before or path)): _File(bytearray(path.read_bytes())) for path in paths}
        self._now: dict[str, _File] = dict(kept)
        self._names: dict[str, _File] = dict(kept)
        self._renaming: list[tuple[Op, _File | None]] = []
        self.notes: list[str] = []

    def play(self, ops: Iterable[Op]) -> None:
        """Go on with what happened next."""
        for op in ops:
            match op.kind:
                case "N":
                    self.notes.append(op.data.decode())
                case "W" | "T":
                    self._file(op.path).pending.append(op)
                case "S":
                    self._sync(op.path)
                case "C":
                    self._file(op.path)
                case "U":
                    self._now.pop(op.path, None)
                    self._renaming.append((op, None))
                case "R":
                    moved = self._file(op.path)
                    self._now[op.data.decode()] = self._now.pop(op.path)
                    self._renaming.append((op, moved))

    def _file(self, path: str) -> _File:
        if path not in self._now:
            self._now[path] = _File()
            self._renaming.append((Op("C", path), self._now[path]))
        return self._now[path]

    def _sync(self, path: str) -> None:
        if path not in self._now:  # a folder
            self._keep_names(len(self._renaming))
            return
        file = self._now[path]
        file.sync()
        made = [n for n, (op, other) in enumerate(self._renaming, 1) if op.kind == "C" and other is file]
        self._keep_names(made[-1] if made else 0)

    def _keep_names(self, count: int) -> None:
        for op, file in self._renaming[:count]:
            _rename(self._names, op, file)
        del self._renaming[:count]

    def after_cut(self, rng: random.Random) -> dict[str, bytes]:
        """Return the files, by name, as one of the states in which a cut now may leave them."""
        names = dict(self._names)
        for op, file in self._renaming[: rng.randint(0, len(self._renaming))]:
            _rename(names, op, file)
        return {name: file.after_cut(rng) for name, file in names.items()}

    def lay_out(self, folder: Path, rng: random.Random) -> None:
        """Let a folder, which may hold an earlier state, hold one of the states after a cut now."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in self.after_cut(rng).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _rename(names: dict[str, _File], op: Op, file: _File | None) -> None:
    if op.kind == "U":
        names.pop(op.path, None)
        return
    if op.kind == "R":
        names.pop(op.path, None)
    if file is not None:
        names[op.data.decode() if op.kind == "R" else op.path] = file


def _survivors(pending: Sequence[Op], rng: random.Random) -> Sequence[Op]:
    """Return what of the unsynced operations reached the disk: nothing, all, the first few, any, or parts of any."""
    match rng.randrange(5):
        case 0:
            return []
        case 1:
            return pending
        case 2:
            return pending[: rng.randint(0, len(pending))]
        case 3:
            return [op for op in pending if rng.random() < 0.5]
        case _:
            return [part for op in pending if rng.random() < 0.8 for part in _torn(op, rng)]


def _torn(op: Op, rng: random.Random) -> list[Op]:
    if op.kind != "W" or rng.random() < 0.5:
        return [op]
    starts = [op.offset, *range((op.offset // SECTOR + 1) * SECTOR, op.offset + len(op.data), SECTOR)]
    parts = [Op("W", op.path, at, op.data[at - op.offset : (at // SECTOR + 1) * SECTOR - op.offset]) for at in starts]
    return [part for part in parts if rng.random() < 0.6]


def _apply(content: bytearray, op: Op) -> None:
    end = op.offset + len(op.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if op.kind == "T":
        del content[op.offset :]
    else:
        content[op.offset : end] = op.data
