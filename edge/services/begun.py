# SPDX-License-Identifier: GPL-3.0-or-later
"""What an order from here has to do with the motion of a machine that runs programs by itself.

Such a machine may wait between the order and the motion, and its link may be lost at any moment. So the order counts
as one that moves it until the machine itself has said that it stands, and what nobody knows is not standing.
"""

from __future__ import annotations

from edge.domain.machine import Availability, Execution, MachineState

STANDS = frozenset({Execution.READY, Execution.PROGRAM_COMPLETED, Execution.STOPPED})


def stands(state: MachineState) -> bool:
    """Return whether the machine says that it stands."""
    return state.availability is Availability.AVAILABLE and state.execution in STANDS


class Begun:
    """The newest order from here to one machine, from its giving to its end."""

    def __init__(self) -> None:
        self.here = False
        """Whether the machine runs what was ordered from here, or may still begin it."""
        self.awaited = False
        """Whether it has not moved yet since the order, and no stop of the order was confirmed."""
        self._stopped = False
        self._tried = False

    def ordered(self) -> None:
        """Take note of an order, before it is written: the machine may begin from now on, whatever it says."""
        self.here = self.awaited = True
        self._stopped = self._tried = False

    def refused(self) -> None:
        """Take note that the machine did not take the order."""
        self.here = self.awaited = False

    def stopped(self) -> None:
        """Take note that the machine confirmed a stop."""
        self.awaited = False
        self._stopped = True

    def look(self, state: MachineState, *, busy: bool) -> None:
        """Take a reading. busy: the order is still on its way."""
        if state.in_motion:
            self.awaited = False
            return
        self._tried = False
        if stands(state) and not self.awaited and not busy:
            self.here = False

    def may_move(self, state: MachineState) -> bool:
        """Return whether the order may move the machine now or later."""
        return self.here and (self.awaited or not stands(state))

    def moves_untold(self, state: MachineState) -> bool:
        """Return whether a machine that can be heard does not say whether it stands, with an order from here in it."""
        return self.here and state.availability is Availability.AVAILABLE and not stands(state)

    def slipped(self, state: MachineState) -> bool:
        """Return whether it moves, no stop was confirmed since the order and none was tried in this spell of motion."""
        return self.here and state.in_motion and not self._stopped and not self._tried

    def tried(self) -> None:
        """Take note that a stop is tried on what has slipped: once in each spell of motion, not at each report."""
        self._tried = True
