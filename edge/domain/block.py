# SPDX-License-Identifier: GPL-3.0-or-later
"""The material that a program cuts into, before the first cut."""

from __future__ import annotations

from dataclasses import dataclass

from edge.domain.machine import Position


@dataclass(frozen=True, slots=True)
class Block:
    """A block of material in the coordinates of the program's zero, mm; high.z is its upper face."""

    low: Position
    high: Position

    @classmethod
    def behind_zero(cls, size: tuple[float, float, float]) -> Block:
        """Return the block of `size` (X, Y, Z) whose front left corner of the upper face is the program's zero."""
        return cls(Position(0.0, 0.0, -size[2]), Position(size[0], size[1], 0.0))

    @property
    def size(self) -> tuple[float, float, float]:
        """Return the lengths of the edges in X, Y and Z."""
        return self.high.x - self.low.x, self.high.y - self.low.y, self.high.z - self.low.z
