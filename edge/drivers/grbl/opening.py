# SPDX-License-Identifier: GPL-3.0-or-later
"""How a port is opened: a serial device by its path, or ``socket://HOST:PORT``, the form of pyserial's URL handler.

That handler itself is not used. It looks up the name and connects on the caller's thread, sleeps 0.3 s in close, and
shuts the connection down beneath the duplicate that the guardian holds: on the loop that is a silence for which the
guardian would stop every machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import termios
import threading
from typing import Any, Protocol
from urllib.parse import urlsplit

import serial

CONNECT_S = 3.0
"""Name, route and answer of a controller on the network take longer only where something is broken."""

UNHEARD_S = 3
"""Seconds without an acknowledgement by the network after which a connection is given up (TCP_USER_TIMEOUT)."""

_SCHEME = "socket://"
_MIN_BYTES_INDEX = 6
_CONTROL_FLAGS_INDEX = 2
_under_way: set[str] = set()
"""Names that are being looked up by a thread: a resolver that hangs must not gather threads at every attempt."""

Address = tuple[socket.AddressFamily, Any]
"""Family and address as the kernel takes it."""


class LinkError(Exception):
    """The port could not be opened, or does not carry bytes any more. The message is a sentence for people."""


class Port(Protocol):
    """An open port."""

    def fileno(self) -> int:
        """Return its descriptor, which does not block."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


async def open_port(port: str, baud: int) -> Port:
    """Open a serial device or a connection; the rate matters to the former only. Raises LinkError within CONNECT_S."""
    return await open_socket(port) if "://" in port else open_serial(port, baud)


def open_serial(port: str, baud: int) -> serial.Serial:
    """Return the port, locked, non-blocking, and without HUPCL. Raises LinkError.

    HUPCL off: a close, also that of a dying process, would else drop DTR, and the next open reset the controller.
    VMIN 1: a read without data then says so instead of looking like the end of the port.
    """
    try:
        opened = serial.Serial(port, baud, timeout=0, write_timeout=0, exclusive=True)
    except serial.SerialException as error:
        raise LinkError(_serial_sentence(port, error)) from error
    except ValueError as error:
        raise LinkError(f"the port {port} cannot be used at {baud} baud") from error
    try:
        os.set_blocking(opened.fileno(), False)
        attributes = termios.tcgetattr(opened.fileno())
        attributes[_CONTROL_FLAGS_INDEX] &= ~termios.HUPCL
        attributes[_MIN_BYTES_INDEX][termios.VMIN] = 1
        termios.tcsetattr(opened.fileno(), termios.TCSANOW, attributes)
    except (OSError, termios.error) as error:
        opened.close()
        raise LinkError(f"the port {port} is not a serial port") from error
    return opened


async def open_socket(url: str) -> socket.socket:
    """Return a connection that sends each byte at once and notices a dead peer. Raises LinkError within CONNECT_S.

    A half-open connection takes bytes as if somebody read them. Status requests go out all the time, so the lack of
    the network's own acknowledgement ends it after UNHEARD_S.
    """
    host, port = _parts(url)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    reason = f"{place} does not answer: is the machine switched on and on the network?"
    try:
        async with asyncio.timeout(CONNECT_S):
            for address in await _addresses(host, port):
                try:
                    return await _connected(address)
                except OSError as error:
                    reason = _socket_sentence(place, error)
    except TimeoutError:
        pass
    raise LinkError(reason)


def _parts(url: str) -> tuple[str, int]:
    """Return host and port. Raises LinkError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        plain = url.startswith(_SCHEME) and parts.username is None and not (parts.path + parts.query + parts.fragment)
    except ValueError:
        host, port, plain = None, None, False
    if not host or not port or not plain:
        raise LinkError(f"the port {url} does not have the form socket://HOST:PORT")
    return host, port


async def _connected(address: Address) -> socket.socket:
    """Return a connection to `address`. Raises OSError."""
    family, place = address
    opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(opened, place)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_S * 1000)
    except BaseException:
        opened.close()
        raise
    return opened


async def _addresses(host: str, port: int) -> list[Address]:
    """Return the addresses of a host. Raises LinkError. A name is looked up in a thread that nobody has to await."""
    with contextlib.suppress(socket.gaierror):
        return _looked_up(host, port, socket.AI_NUMERICHOST)
    if host in _under_way:
        raise LinkError(f"the name {host} is still being looked up: does this network have a name service?")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address] | OSError] = loop.create_future()

    def tell(found: list[Address] | OSError) -> None:
        if not answer.done():
            answer.set_result(found)

    def look_up() -> None:
        found: list[Address] | OSError
        try:
            found = _looked_up(host, port)
        except OSError as error:
            found = error
        _under_way.discard(host)
        with contextlib.suppress(RuntimeError):
            # The loop may have closed meanwhile.
            loop.call_soon_threadsafe(tell, found)

    _under_way.add(host)
    threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    found = await answer
    if isinstance(found, OSError):
        raise LinkError(f"the name {host} is not known on this network ({found.strerror})")
    return found


def _looked_up(host: str, port: int, flags: int = 0) -> list[Address]:
    """Return the addresses of a host, in the order in which they should be tried. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, place) for family, _, _, _, place in found]


def _socket_sentence(place: str, error: OSError) -> str:
    """Return why a connection did not come about."""
    match error.errno:
        case errno.ECONNREFUSED:
            return f"nothing listens at {place}"
        case errno.EHOSTUNREACH | errno.ENETUNREACH | errno.ENETDOWN:
            return f"there is no way to {place}: is this computer on the machine's network?"
        case _:
            return f"no connection to {place} ({error.strerror or error})"


def _serial_sentence(port: str, error: serial.SerialException) -> str:
    """Return why a serial port did not open."""
    match error.errno:
        case errno.ENOENT:
            return f"there is no port {port}: is the cable plugged in and the machine switched on?"
        case errno.EACCES:
            return f"this program may not use the port {port}"
        case errno.EAGAIN | errno.EBUSY:
            return f"the port {port} is in use by another program"
        case errno.EISDIR | None:
            # pyserial names no number where the file opens but takes no line settings.
            return f"the port {port} is not a serial port"
        case _:
            return f"the port {port} does not open ({error})"
