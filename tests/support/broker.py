# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Mosquitto on loopback, as a small class: start, kill -9, stop, start again on the same port."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.hardware_sim.lab.ports import free_port

_PATHS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"


class Mosquitto:
    """One broker on 127.0.0.1. `folder` holds its configuration and log; nothing is persisted across a restart.

    extra: further global lines of mosquitto.conf; listener: lines that follow the listener and belong to it.
    """

    def __init__(
        self, folder: Path, port: int | None = None, *, extra: str = "", listener: str = "", anonymous: bool = True
    ) -> None:
        executable = shutil.which("mosquitto", path=_PATHS)
        if executable is None:
            raise FileNotFoundError("mosquitto is not installed")
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.log = folder / f"mosquitto-{self.port}.log"
        self._config = folder / f"mosquitto-{self.port}.conf"
        self._config.write_text(
            f"user root\npersistence false\nallow_anonymous {str(anonymous).lower()}\nmax_queued_messages 0\n"
            f"log_dest file {self.log}\n{extra}\nlistener {self.port} {self.host}\n{listener}\n"
        )
        self._command = [executable, "-c", str(self._config)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start, and return once the port answers; raises TimeoutError after 10 s."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        self.kill()
        raise TimeoutError(f"mosquitto does not answer on port {self.port}")

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, so that it says goodbye to its clients."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        self._process.wait(timeout=10)
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
