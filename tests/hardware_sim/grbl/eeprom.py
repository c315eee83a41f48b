# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's EEPROM, byte for byte, because its timing and its damage depend on the bytes.

A byte that does not change costs nothing; each other byte takes 3.4 ms with interrupts off (traces eeprom_writes,
eeprom_streamed_loss). Records carry one check byte.
"""

from .kernel import Kernel, Task
from .uart import Receiver

BYTE_WRITE_S = 0.0034
SIZE = 1024
ERASED = 0xFF


def check_byte(data: bytes) -> int:
    """The controller's check byte: it only remembers whether the sum so far was zero."""
    check = 0
    for byte in data:
        check = ((1 if check else 0) + byte) & 0xFF
    return check


class Eeprom:
    """1 KiB that survives resets and power cycles."""

    def __init__(self) -> None:
        self.cells = bytearray([ERASED]) * SIZE

    def read(self, address: int, length: int) -> tuple[bytes, bool]:
        """The record at `address` and whether its check byte is right."""
        data = bytes(self.cells[address : address + length])
        return data, self.cells[address + length] == check_byte(data)

    def damage(self, address: int) -> None:
        """Turn one byte round. Only the last data byte and the check byte are seen as damage: see `check_byte`."""
        self.cells[address] ^= 0xFF

    def put(self, address: int, data: bytes) -> int:
        """Store `data` and return how many bytes really changed; addresses wrap at the end."""
        address %= SIZE
        if address + len(data) > SIZE:
            end = SIZE - address
            return self.put(address, data[:end]) + self.put(0, data[end:])
        old = self.cells[address : address + len(data)]
        self.cells[address : address + len(data)] = data
        return sum(a != b for a, b in zip(old, data, strict=True))

    def put_record(self, address: int, data: bytes) -> int:
        """Store `data` and its check byte; returns the changed bytes."""
        return self.put(address, data + bytes([check_byte(data)]))


def write_time(kernel: Kernel, receiver: Receiver, changed: int) -> Task[None]:
    """The main program is busy with `changed` byte writes; between two of them pending bytes are taken."""
    for _ in range(changed):
        until = kernel.now + BYTE_WRITE_S
        receiver.interrupts_off(until)
        yield until
        receiver.pump()
