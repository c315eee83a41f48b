# SPDX-License-Identifier: GPL-3.0-or-later
"""The recordings of the black box on the disk: which there are, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.domain.errors import InfoMobilError, NotFound
from edge.story.export import NotAnExport, Recording, from_json_lines, recording
from edge.story.ring import MAGIC, RING_AT, NotARecording, read_entries, read_facts

_SUFFIX = ".ring"


class UnreadableRecording(InfoMobilError):
    """The recording {path} cannot be read: {reason}."""


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """One recording: when it began (UTC nanoseconds, of the raw wall clock), and how what ran in it ended."""

    name: str
    program: str | None
    bytes: int
    began_ns: int
    ended: str


def load(path: Path) -> Recording:
    """Return what is in a recording or in its export. Raises UnreadableRecording."""
    try:
        data = path.read_bytes()
        if data.startswith(MAGIC):
            return recording(read_facts(data), read_entries(data))
        return from_json_lines(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError, NotARecording, NotAnExport) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableRecording(path=str(path), reason=reason) from error


class Recordings:
    """The recordings of all machines: a folder for each of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest_first(self, machine_id: str) -> list[RecordingEntry]:
        """Return what there is of a machine; a recording that cannot be read is left out."""
        entries = []
        for path in sorted(self._folder.joinpath(machine_id).glob(f"*{_SUFFIX}"), reverse=True):
            try:
                with path.open("rb") as file:
                    facts = read_facts(file.read(RING_AT))
                size = path.stat().st_size
            except (OSError, NotARecording):
                continue
            began, program = facts.get("wall_ns"), facts.get("program")
            entries.append(
                RecordingEntry(
                    name=path.stem,
                    program=program if isinstance(program, str) else None,
                    bytes=size,
                    began_ns=began if isinstance(began, int) else 0,
                    ended=str(facts.get("reason") or facts.get("outcome") or ""),
                )
            )
        return entries

    def load(self, machine_id: str, name: str) -> Recording:
        """Return one recording. Raises NotFound, UnreadableRecording."""
        path = self._folder / machine_id / f"{name}{_SUFFIX}"
        if not name.isdecimal() or not path.is_file():
            raise NotFound(what="recording", key=name)
        return load(path)
