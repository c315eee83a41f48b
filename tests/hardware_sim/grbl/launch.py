# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the simulator as its own process and talks to its control pipe, for tests."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_START_S = 30.0
_ANSWER_S = 10.0
_STOP_S = 10.0
_ROOT = Path(__file__).parents[3]


class Simulator:
    """A running simulator; a context manager. Files are in `folder`: the link ``port``, FIFO ``ctl``, ``wire``."""

    def __init__(self, folder: Path, *options: str, settings: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.control, self.wire = folder / "port", folder / "ctl", folder / "wire"
        command = [sys.executable, "-m", "tests.hardware_sim.grbl", "--link", str(self.port)]
        command += ["--ctl", str(self.control), "--wirelog", str(self.wire), *options]
        if settings is not None:
            file = folder / "settings.json"
            file.write_text(json.dumps(settings), encoding="utf-8")
            command += ["--settings", str(file)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT)

    def __enter__(self) -> Self:
        output = self.process.stdout
        if output is None or not select.select([output], [], [], _START_S)[0] or not output.readline():
            self.stop()
            raise TimeoutError("the simulator did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """End the process; returns its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def command(self, line: str) -> None:
        """Send one control line."""
        fd = os.open(self.control, os.O_WRONLY)
        try:
            os.write(fd, line.encode() + b"\n")
        finally:
            os.close(fd)

    def truth(self) -> dict[str, Any]:
        """The true state now."""
        file = self.control.with_name("truth.json")
        file.unlink(missing_ok=True)
        self.command(f"state {file}")
        deadline = time.monotonic() + _ANSWER_S
        while not file.exists():
            if time.monotonic() > deadline:
                raise TimeoutError("the simulator does not answer")
            time.sleep(0.002)
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return state

    def wire_entries(self) -> list[dict[str, Any]]:
        """The wire log so far."""
        return [json.loads(line) for line in self.wire.read_text(encoding="utf-8").splitlines()]
