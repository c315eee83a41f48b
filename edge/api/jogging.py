# SPDX-License-Identifier: GPL-3.0-or-later
"""The WebSocket of a jog key: motion lasts as long as the page renews it, the socket is open and the login holds."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edge.api.access import is_operator, lab_of
from edge.domain.errors import InfoMobilError, StopNotDelivered
from edge.domain.hand import Displacement, JogEnd
from edge.http.errors import answer
from edge.http.live import CLOSED, same_origin
from edge.services.hand import HandLease, MachineHand

log = logging.getLogger(__name__)

LONGEST_MESSAGE = 256
MESSAGES_A_SECOND = 40
"""Four times what a page sends: more is a page gone wrong, and is cut off instead of being queued."""
LOGGED_OUT, FOREIGN, UNKNOWN, TOO_MUCH = 4401, 4403, 4404, 4429
NOT_UNDERSTOOD = 4400

router = APIRouter()
Part = Annotated[float, Field(ge=-1_000, le=1_000, allow_inf_nan=False)]


class Message(BaseModel):
    """Base of what a page says."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Begin(Message):
    """A key is pressed. pointer tells the fingers of one page apart, for the record of the page only."""

    type: Literal["begin"]
    towards: Annotated[list[Part], Field(min_length=3, max_length=3)]
    feed: Annotated[float, Field(gt=0, le=2_000, allow_inf_nan=False)]
    pointer: int = 0


class Renew(Message):
    """It is still pressed."""

    type: Literal["renew"]


class End(Message):
    """It was let go."""

    type: Literal["end"]


MESSAGES: TypeAdapter[Begin | Renew | End] = TypeAdapter(
    Annotated[Begin | Renew | End, Field(discriminator="type")],
)


class Jogging:
    """One socket and the at most one motion that hangs on it."""

    def __init__(self, socket: WebSocket, hand: MachineHand) -> None:
        self._socket = socket
        self._hand = hand
        self._held = HandLease()
        self._moving: asyncio.Task[JogEnd] | None = None
        self._tellers: set[asyncio.Task[None]] = set()
        self._heard: deque[float] = deque(maxlen=MESSAGES_A_SECOND)

    async def run(self) -> None:
        """Follow the page until it goes away; then the motion ends, and this returns once the axes stand."""
        try:
            code = await self._listen()
        finally:
            self._release()
            if self._tellers:
                await asyncio.wait(self._tellers)
        if code:
            with suppress(*CLOSED):
                await self._socket.close(code)

    async def _listen(self) -> int:
        """Return the code with which the socket is to be closed, 0 where it is closed."""
        while True:
            heard = await self._socket.receive()
            if heard["type"] == "websocket.disconnect":
                return 0
            text = heard.get("text") or ""
            if not is_operator(self._socket):
                return LOGGED_OUT
            if self._too_much(text):
                return TOO_MUCH
            try:
                message = MESSAGES.validate_json(text)
            except ValidationError:
                return NOT_UNDERSTOOD
            match message:
                case Begin() if self._moving is not None and not self._moving.done():
                    self._release()
                case Begin():
                    self._begin(message)
                case Renew():
                    self._held.renew()
                case End():
                    self._release()

    def _too_much(self, text: str) -> bool:
        now = asyncio.get_running_loop().time()
        full = len(self._heard) == MESSAGES_A_SECOND and now - self._heard[0] < 1.0
        self._heard.append(now)
        return full or len(text) > LONGEST_MESSAGE

    def _release(self) -> None:
        try:
            self._held.release()
        except StopNotDelivered as error:
            # The driver tells its own waiters too; a person reads it there.
            log.error("%s", error)  # noqa: TRY400 - the sentence says it all

    def _begin(self, begin: Begin) -> None:
        self._held = HandLease()
        self._moving = asyncio.create_task(
            self._hand.jog_while(self._held, Displacement(*begin.towards), begin.feed),
            name=f"jog {self._hand.machine_id}",
        )
        teller = asyncio.create_task(self._tell(self._held, self._moving), name=f"jog page {self._hand.machine_id}")
        self._tellers.add(teller)
        teller.add_done_callback(self._tellers.discard)

    async def _tell(self, held: HandLease, moving: asyncio.Task[JogEnd]) -> None:
        begun = asyncio.create_task(held.begun.wait(), name="jog begun")
        try:
            await asyncio.wait({moving, begun}, return_when=asyncio.FIRST_COMPLETED)
            if held.begun.is_set():
                await self._say({"type": "jogging"})
            await self._say(await self._outcome(moving))
        finally:
            begun.cancel()
            await asyncio.gather(begun, return_exceptions=True)

    @staticmethod
    async def _outcome(moving: asyncio.Task[JogEnd]) -> dict[str, Any]:
        try:
            reason, error = await moving, None
        except InfoMobilError as failure:
            reason, error = JogEnd.STOPPED, answer(failure)[1]["error"]
        return {"type": "ended", "reason": reason.value, "error": error}

    async def _say(self, message: dict[str, Any]) -> None:
        with suppress(*CLOSED):
            await self._socket.send_text(json.dumps(message, ensure_ascii=False))


@router.websocket("/api/machines/{machine_id}/jog")
async def jog(socket: WebSocket, machine_id: str) -> None:
    """Move a machine by hand while a key is pressed."""
    hand = lab_of(socket).hands.get(machine_id)
    if not same_origin(socket):
        await socket.close(FOREIGN)
        return
    await socket.accept()
    if not is_operator(socket):
        await socket.close(LOGGED_OUT)
    elif hand is None:
        await socket.close(UNKNOWN)
    else:
        await Jogging(socket, hand).run()
