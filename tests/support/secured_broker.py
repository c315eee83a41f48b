# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Mosquitto with the configuration, certificates and rights that the authority wrote, and clients for it."""

from __future__ import annotations

import os
import queue
import signal
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from office.broker import Authority
from office.broker.mosquitto import Listening
from office.broker.names import OFFICE
from tests.hardware_sim.lab.ports import free_port
from tests.support.broker import Mosquitto

PATIENCE_S = 15.0


class SecuredBroker(Mosquitto):
    """The broker of an authority of its own in `folder`. `port` is the labs', `office_port` the office's."""

    def __init__(self, folder: Path, labs: tuple[str, ...] = (), connections: int = 100) -> None:
        super().__init__(folder)
        self.authority = Authority(folder / "broker")
        self.office_port = free_port()
        state = folder / "state"
        state.mkdir(exist_ok=True)
        place = self.authority.broker_folder
        self.authority.init(
            ("localhost", "127.0.0.1"),
            Listening(
                place=place,
                state=state,
                port=self.port,
                bind="127.0.0.1",
                office_port=self.office_port,
                connections=connections,
            ),
        )
        for lab in labs:
            self.authority.issue(lab)
        written = (place / "mosquitto.conf").read_text()
        # Beside what is written: the test's own user may read its folder, and a log to look at.
        self._config.write_text(f"user root\nlog_dest file {self.log}\nlog_type information\n{written}")

    def start(self) -> None:
        """Start, and return once both ports answer."""
        super().start()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(OSError):
                socket.create_connection((self.host, self.office_port), timeout=1).close()
                return
            assert time.monotonic() < deadline, "the office's port does not answer"
            time.sleep(0.01)

    def reload(self) -> None:
        """Let it read certificates, revocations and rights again; return when it has."""
        before = self._reloads()
        assert self.pid is not None
        os.kill(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_S
        while self._reloads() == before:
            assert time.monotonic() < deadline, "it does not reload"
            time.sleep(0.005)

    def files(self, name: str) -> dict[str, Path]:
        """Return the files of a lab or the office as settings name them."""
        folder = self.authority.folder / ("office" if name == OFFICE else f"labs/{name}")
        stem = "office" if name == OFFICE else name
        return {
            "ca_file": folder / "ca.pem",
            "cert_file": folder / f"{stem}.pem",
            "key_file": folder / f"{stem}.key",
        }

    def client(self, name: str, client_id: str = "", files: dict[str, Path] | None = None) -> Client:
        """Return a client with the certificate of `name`, not connected yet; without `client_id` with an own."""
        return Client(
            self.office_port if name == OFFICE else self.port, files or self.files(name), client_id or f"client-{name}"
        )

    def _reloads(self) -> int:
        return self.log.read_text().count("Reloading config") if self.log.exists() else 0


class Client:
    """An MQTT 5 client that keeps what it gets: `received`, and the broker's answers in words."""

    def __init__(self, port: int, files: dict[str, Path], client_id: str) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.ended = threading.Event()
        self._port = port
        self._answers: queue.Queue[str] = queue.Queue()
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        context = ssl.create_default_context(cafile=files["ca_file"])
        if "cert_file" in files:
            context.load_cert_chain(files["cert_file"], files["key_file"])
        client.tls_set_context(context)
        client.on_connect = lambda _c, _d, _f, code, _p: self._answers.put(str(code))
        client.on_subscribe = lambda _c, _d, _m, codes, _p: self._answers.put(str(codes[0]))
        client.on_publish = lambda _c, _d, _m, code, _p: self._answers.put(str(code))
        client.on_message = lambda _c, _d, message: self.received.append((message.topic, bytes(message.payload)))
        client.on_disconnect = self._on_disconnect

    def connect(self, **more: Any) -> str:
        """Connect; return what came of it."""
        try:
            self._client.connect("127.0.0.1", self._port, **more)
        except OSError as error:
            return str(error)
        self._client.loop_start()
        return self._answer()

    def will(self, topic: str) -> None:
        """Leave a will."""
        self._client.will_set(topic, b"gone", 1)

    def subscribe(self, topic: str) -> str:
        """Subscribe; return the broker's answer."""
        self._client.subscribe(topic, qos=1)
        return self._answer()

    def try_to_subscribe(self, topic: str) -> None:
        """Subscribe to what may be no filter at all."""
        with suppress(ValueError):
            self.subscribe(topic)

    def leave(self) -> None:
        """Say goodbye."""
        self._client.disconnect()

    def break_off(self) -> None:
        """Let the connection break without a farewell."""
        sock: Any = self._client.socket()
        sock.shutdown(socket.SHUT_RDWR)

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> str:
        """Publish with QoS 1; return the broker's answer."""
        self._client.publish(topic, payload, qos=1, retain=retain)
        return self._answer()

    def _on_disconnect(self, _client: object, _data: object, _flags: object, code: object, _more: object) -> None:
        self._answers.put(f"ended: {code}")
        self.ended.set()

    def _answer(self) -> str:
        return self._answers.get(timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        if (sock := self._client.socket()) is not None:
            sock.close()
