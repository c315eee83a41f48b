# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's own job control: the ISA-95 job order receiver of OPC 10031-4, version 2, as OPC 40001-3 places it.

An order of ours is stored once and started once; what became of a Start whose answer was lost is not found out by
asking again. Which orders are running is read from the machine's job order list, so that a hold and a stop reach them
also on a connection that did not begin them.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from typing import Any

from edge.drivers.opcua import isa95
from edge.drivers.opcua.errors import CallRefused, LinkError
from edge.drivers.opcua.file_transfer import Link, NotDone, refused
from edge.drivers.opcua.models.model import MOST_ORDERS, Methods
from edge.drivers.opcua.translate import ua

PREFIX = "infomobil-"
NEEDED = ("Store", "Start", "Stop")
"""Without these nothing is started from here: what could not be stopped from here is not begun from here."""

_LIST = "JobOrderList"
_NO_ERROR = 1
# OPC 10031-4, Annex B.2: bits of ReturnStatus.
_STATUS_WORDS = {
    1: "it does not know the job order",
    2: "the job order is not in a state for that",
    3: "it does not know the job order's state",
    4: "it cannot accept the job order",
    32: "it calls the request invalid",
}
_BEGUN = (isa95.RUNNING, isa95.INTERRUPTED)
_OVER = (isa95.ENDED, isa95.ABORTED)

_log = logging.getLogger(__name__)


class JobControl:
    """The job order receiver of one machine on one connection."""

    def __init__(self, link: Link, receiver: Methods) -> None:
        self.list_node: str | None = None
        self._link = link
        self._node_id = receiver.node_id
        self._methods = receiver.methods
        self._states: dict[str, int] | None = None
        self._ours: str | None = None
        self._ours_listed = False
        self._holds = 0
        self._is_cut = False

    def offers(self, method: str) -> bool:
        """Tell whether the machine has a method."""
        return method in self._methods

    async def prepare(self) -> None:
        """Look for the job order list; learn the methods, so that a hold can be written at once. Raises LinkError."""
        for one in await self._link.browse(self._node_id):
            if one.name == _LIST:
                self.list_node = one.node_id
        for name in ("Store", "Start", "Pause", "Resume", "Stop", "Cancel", "RevokeStart"):
            if self.offers(name):
                await self._link.prepare_call(self._methods[name])

    def take(self, job_order_list: object) -> None:
        """Take a value of the job order list; None where it is unknown."""
        self._states = None if job_order_list is None else isa95.job_states(job_order_list)
        is_cut = isinstance(job_order_list, list) and len(job_order_list) > MOST_ORDERS
        if is_cut and not self._is_cut:
            _log.warning("the machine lists more than %d job orders: only the last are looked at", MOST_ORDERS)
        self._is_cut = is_cut
        self._ours_listed = self._ours_listed or self._state(self._ours or "") is not None

    async def store(self, program: str, path: str) -> str:
        """Store an order for a program, instead of the one of ours that was never started; return its id.

        Raises NotDone, LinkError.
        """
        await self._forget_waiting()
        job_id = f"{PREFIX}{uuid.uuid4().hex[:12]}"
        try:
            order = isa95.job_order(self._link.namespaces, job_id, program, path, f"InfoMobil: {program}")
        except ValueError:
            raise NotDone(reason=f"the server lacks the namespace {isa95.URI}") from None
        await self._command("Store", order)
        return job_id

    async def cancel(self, job_id: str) -> None:
        """Take back an order that was not started. Raises NotDone, LinkError."""
        await self._command("Cancel", job_id)

    async def start(self, job_id: str) -> None:
        """Let the machine begin an order. Raises NotDone, LinkError."""
        before = self._ours, self._ours_listed
        # Said before it is asked: unless it is refused, a hold is for this order from now on.
        self._ours = job_id
        self._ours_listed = self._state(job_id) is not None
        try:
            await self._command("Start", job_id)
        except NotDone:
            self._ours, self._ours_listed = before
            raise

    def begin_hold(self) -> list[tuple[str, str, Any]]:
        """Write to the wire what holds every order that runs; return order, method and call of each.

        An order of ours that the machine has not begun yet loses its permission to start. Nothing is returned where
        there is no order to hold. Raises LinkError.
        """
        self._holds += 1
        calls = []
        for job_id in self._running():
            for method in self._hold_methods(job_id):
                calls.append((job_id, method, self._begin(method, job_id)))
        return calls

    async def confirm(self, calls: Sequence[tuple[str, str, Any]]) -> None:
        """Wait until each order's hold is confirmed by one of its calls. Raises NotDone, LinkError."""
        answers = await self._answers(calls)
        for job_id in {job_id for job_id, _, _ in calls}:
            errors = [error for one, error in answers if one == job_id]
            if not all(errors) and self._states is not None and self._states.get(job_id) == isa95.RUNNING:
                self._states[job_id] = isa95.INTERRUPTED  # the list tells it in its time
            held = self._state(job_id) == isa95.INTERRUPTED and all(isinstance(error, NotDone) for error in errors)
            # A hold may be asked for again: a machine does not take a Pause of what is interrupted.
            if all(errors) and not held and not self._is_over(job_id):
                raise NotDone(reason="; ".join(str(error.reason) for error in errors if error))

    async def stop(self) -> None:
        """End every order that runs; one of ours that has not begun is taken back. Raises NotDone, LinkError.

        All are asked before any answer is awaited: an order that is refused or answered late keeps no other running.
        NotDone says why each was not stopped that was not ended; it is raised, too, where there is no order to end.
        """
        self._holds += 1
        running = self._running()
        if not running:
            raise NotDone(reason="no job order is running that could be stopped")
        reasons: dict[str, str] = {}
        asked = running
        for method in ("Stop", "Cancel"):
            calls = [(job_id, method, self._begin(method, job_id)) for job_id in asked if self.offers(method)]
            answers = await self._answers(calls)
            for job_id, error in answers:
                if error is None:
                    reasons.pop(job_id, None)
                else:
                    # Of two it is the refused Stop that says what is the matter.
                    reasons.setdefault(job_id, str(error.reason))
            # What is not answered is said at once: a second question would take as long again.
            asked = [job_id for job_id, error in answers if isinstance(error, NotDone)]
        left = [reason for job_id, reason in reasons.items() if not self._is_over(job_id)]
        if left:
            raise NotDone(reason="; ".join(dict.fromkeys(left)))

    async def resume(self) -> None:
        """Go on with every interrupted order of ours, unless a hold or a stop comes in between.

        Raises NotDone, LinkError.
        """
        interrupted = [job_id for job_id in self._running() if self._is_resumable(job_id)]
        if not interrupted:
            raise NotDone(reason="no job order is interrupted that was begun from here")
        holds = self._holds
        for job_id in interrupted:
            await self._command("Resume", job_id)
            if self._holds != holds:
                raise NotDone(reason="a hold or a stop came in between")

    def _is_resumable(self, job_id: str) -> bool:
        # What another system began it goes on with itself: nobody here knows why it was interrupted.
        return job_id.startswith(PREFIX) and self._state(job_id) in (isa95.INTERRUPTED, None)

    def _running(self) -> list[str]:
        begun = [
            job_id
            for job_id, state in (self._states or {}).items()
            if state in _BEGUN or (state == isa95.ALLOWED_TO_START and job_id.startswith(PREFIX))
        ]
        if self._ours is not None and self._ours not in begun and not self._is_over(self._ours):
            begun.append(self._ours)
        return begun

    def _state(self, job_id: str) -> int | None:
        return None if self._states is None else self._states.get(job_id)

    def _is_over(self, job_id: str) -> bool:
        state = self._state(job_id)
        # An order of ours that has left the list has ended; one that the list has not told of yet may run, and so may
        # one of which a list that is too long does not tell.
        left = state is None and job_id == self._ours and self._ours_listed and not self._is_cut
        left = left and self._states is not None
        return left or state in _OVER

    def _hold_methods(self, job_id: str) -> list[str]:
        methods = ["Pause"] if self.offers("Pause") else []
        if job_id.startswith(PREFIX) and self._state(job_id) not in _BEGUN:
            methods += [name for name in ("RevokeStart", "Cancel") if self.offers(name)][:1]
        return methods

    async def _forget_waiting(self) -> None:
        if self.list_node is not None:
            self.take((await self._link.read([self.list_node]))[0])
        for job_id, state in list((self._states or {}).items()):
            if job_id.startswith(PREFIX) and state == isa95.NOT_ALLOWED_TO_START and self.offers("Cancel"):
                try:
                    await self.cancel(job_id)
                except NotDone as error:
                    _log.debug("job order %s stays stored: %s", job_id, error)

    def _begin(self, method: str, what: object) -> Any:
        comment = ua.Variant([], ua.VariantType.LocalizedText, is_array=True)
        return self._link.begin_call(self._node_id, self._methods[method], what, comment)

    async def _command(self, method: str, what: object) -> None:
        if not self.offers(method):
            raise NotDone(reason=f"its job control does not offer {method}")
        await self._finish(method, self._begin(method, what))

    async def _finish(self, method: str, begun: Any) -> None:
        try:
            outputs = await self._link.finish_call(self._methods[method], begun)
        except CallRefused as error:
            raise refused(f"its job control did not take {method}", error) from error
        status = outputs[0] if outputs else _NO_ERROR
        if not isinstance(status, int) or not status & _NO_ERROR:
            raise NotDone(reason=f"its job control did not take {method}: {_status_words(status)}")

    async def _answers(self, calls: Sequence[tuple[str, str, Any]]) -> list[tuple[str, NotDone | LinkError | None]]:
        """Return each call's order, and why it was not taken."""
        return await asyncio.gather(*(self._answer(job_id, method, begun) for job_id, method, begun in calls))

    async def _answer(self, job_id: str, method: str, begun: Any) -> tuple[str, NotDone | LinkError | None]:
        try:
            await self._finish(method, begun)
        except (NotDone, LinkError) as error:
            return job_id, error
        return job_id, None


def _status_words(status: object) -> str:
    words = [text for bit, text in _STATUS_WORDS.items() if isinstance(status, int) and status >> bit & 1]
    return ", ".join(words) or f"ReturnStatus {status}"
