# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the conversation with a controller stands, and to whom its next acknowledgement belongs.

GRBL answers each line with exactly one `ok` or `error:N`, in order, and says not for which. The session keeps the
order: whoever sends a line is entered, and gets the answer. Between a reset and the welcome an acknowledgement
belongs to nobody (trace reset_with_full_buffer).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from edge.drivers.grbl.protocol import ErrorReply, Ok

Owner = Callable[[Ok | ErrorReply], None]


class Phase(Enum):
    """Stages of a connection."""

    AWAY = "no port"
    GREETING = "waiting for the first word"
    IDENTIFYING = "reading settings"
    READY = "ready"
    RESTARTING = "reset sent or announced, waiting for the welcome"


class Start(Enum):
    """What a welcome means."""

    FIRST = "the opened port reset the controller"
    ASKED_FOR = "the answer to a reset"
    UNEXPECTED = "the controller restarted by itself: the job is lost and so is the position"


class Session:
    """Phase and acknowledgement ledger of one controller."""

    def __init__(self) -> None:
        self._phase = Phase.AWAY
        self._owners: deque[Owner] = deque()
        self._known = False
        self.life = 0
        """Grows with each start of the controller and of the connection: what was sent before will not be answered."""

    @property
    def phase(self) -> Phase:
        """Return the stage of the connection."""
        return self._phase

    @property
    def known(self) -> bool:
        """Whether the controller has told all about itself in this connection, and has not restarted since."""
        return self._known

    def opened(self) -> None:
        """Enter GREETING: the port is open; what comes before a welcome belongs to an earlier life."""
        self._known = False
        self._restart(Phase.GREETING)

    def closed(self) -> None:
        """Enter AWAY."""
        self._known = False
        self._restart(Phase.AWAY)

    def resetting(self) -> None:
        """Enter RESTARTING: nobody's line will be answered any more."""
        self._restart(Phase.RESTARTING)

    def welcomed(self) -> Start:
        """Take note of a welcome and return what it means."""
        match self._phase:
            case Phase.AWAY | Phase.GREETING:
                start = Start.FIRST
            case Phase.RESTARTING:
                start = Start.ASKED_FOR
            case Phase.IDENTIFYING | Phase.READY:
                start = Start.UNEXPECTED
        self._known &= start is Start.ASKED_FOR
        self._restart(Phase.READY if self._known else Phase.IDENTIFYING)
        return start

    def identified(self) -> None:
        """Enter READY: the controller told all that it knows about itself."""
        self._known = True
        self._phase = Phase.READY

    def expect(self, owner: Owner, lines: int = 1) -> None:
        """Enter the sender of the next `lines` lines."""
        self._owners.extend([owner] * lines)

    def replied(self, reply: Ok | ErrorReply) -> bool:
        """Hand `reply` to whom it belongs; return False where it belongs to nobody that we know."""
        if self._phase in (Phase.GREETING, Phase.RESTARTING):
            return True
        if not self._owners:
            return False
        self._owners.popleft()(reply)
        return True

    def _restart(self, phase: Phase) -> None:
        """Enter `phase` with an empty ledger."""
        self._phase = phase
        self.life += 1
        self._owners.clear()
