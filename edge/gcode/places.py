# SPDX-License-Identifier: GPL-3.0-or-later
"""What the coordinates of a program count from: its zero, machine zero, or one of the places that nobody knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType

ZERO, MACHINE, START, _FIRST_PLACE, _SECOND_PLACE, _UNSHIFTED, _MORE = range(7)
"""The zero at the start; machine zero, where the work offset is not known; where the machine stood; the places of G28
and G30; the zero without a G92 that others may have left; and, from the last number on, where each probing move has
ended, and what each of the others is in another work coordinate system.
"""
PLACE_OF: Mapping[str, int] = MappingProxyType({"G28": _FIRST_PLACE, "G30": _SECOND_PLACE})
FIRST_ZERO = 54
"""The work coordinate system in which a program begins."""


class Places:
    """What a programmed coordinate counts from, per axis (base): over MACHINE it is a place that nobody knows.

    How far two work coordinate systems are apart only the controller knows. So for each axis it is kept from which
    place it would count in which system: back there it counts from that again.
    """

    def __init__(self, *, shifted: bool) -> None:
        """Begin; `shifted` says that a G92 may be in force, of which nobody knows."""
        self._bare = _UNSHIFTED if shifted else ZERO
        self.base = [ZERO, ZERO, ZERO]
        self._anchor = [(ZERO, FIRST_ZERO)] * 3
        self._elsewhere: dict[tuple[int, ...], int] = {}
        self._written: Counter[tuple[int, int]] = Counter()
        self._told = {_FIRST_PLACE, _SECOND_PLACE, _UNSHIFTED}
        self._noted: set[tuple[int, int]] = set()
        self._next = _MORE

    def copy(self) -> Places:
        """Return places that can go their own way."""
        return deepcopy(self)

    def new(self) -> int:
        """Return a place that nobody knows and that is none of the others."""
        self._next += 1
        return self._next - 1

    def count_from(self, axes: Iterable[int], places: Sequence[int], zero: int) -> None:
        """Let coordinates of `axes` count from `places` (3,) while the work coordinate system `zero` is active."""
        for axis in axes:
            self._anchor[axis] = (places[axis], zero)
        self.change_zero(zero)

    def rewrite_zero(self, axes: Iterable[int], written: int, zero: int) -> None:
        """Let nobody know `axes` of the work coordinate system `written` any more, while `zero` is active.

        A G10 has set them, of which the check says it.
        """
        place = self.new()
        self._told.add(place)
        for axis in axes:
            self._written[written, axis] += 1
            if self._anchor[axis][1] == written:
                self._anchor[axis] = (place, written)
        self.change_zero(zero)

    def drop_shift(self, zero: int) -> None:
        """Let coordinates count from the bare zero: another than at the start where a G92 was in force by then."""
        self._anchor = [(self._bare, FIRST_ZERO)] * 3
        self.change_zero(zero)

    def change_zero(self, zero: int) -> None:
        """Let the work coordinate system `zero` be active."""
        self.base = self.base_in(zero)

    def base_in(self, zero: int) -> list[int]:
        """Return what coordinates count from where the work coordinate system `zero` is active."""
        return [
            place if own == zero else self._in_zero(axis, place, own, zero)
            for axis, (place, own) in enumerate(self._anchor)
        ]

    def _in_zero(self, axis: int, place: int, own: int, zero: int) -> int:
        key = (place, own, zero, self._written[own, axis], self._written[zero, axis])
        if key not in self._elsewhere:
            self._elsewhere[key] = self.new()
            self._told.add(self._elsewhere[key])
        return self._elsewhere[key]

    def unnoted(self, axis: int, origin: int) -> bool:
        """Return whether nobody has been told yet of what counts from this place.

        The words that use what the controller keeps are told of by themselves.
        """
        return origin > MACHINE and origin not in self._told and (axis, origin) not in self._noted

    def note(self, axis: int, origin: int) -> None:
        """Take note that this is told."""
        self._noted.add((axis, origin))
