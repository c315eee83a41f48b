# SPDX-License-Identifier: GPL-3.0-or-later
"""A log of every chunk of bytes that crossed the port, on the clock of the whole computer."""

import json
import time
from pathlib import Path
from typing import TextIO


class WireLog:
    """JSON lines ``{"t": CLOCK_MONOTONIC s, "dir": "rx"|"tx"|"ctl", "data": text}``; bytes are latin-1 text.

    "rx" is what the controller received, written before anything acts on it.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path is not None else None

    def write(self, direction: str, data: str) -> None:
        if self._file is not None:
            entry = {"t": time.clock_gettime(time.CLOCK_MONOTONIC), "dir": direction, "data": data}
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
