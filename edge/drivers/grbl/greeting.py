# SPDX-License-Identifier: GPL-3.0-or-later
"""From an open port to a known controller, and from a moving machine to a standing one.

Opening a port usually resets the controller, and its welcome says so. Where none comes (HUPCL was cleared, native
USB) a controller may be in mid life: it is asked, its state is adopted, and as its buffers may hold lines of a dead
program it is stopped and reset before anything is sent to it. So it is over a network, where nothing resets it and
grblHAL greets whoever connects all the same (grblHAL core, stream.c).
"""

from __future__ import annotations

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.drivers.grbl.controller import Controller
from edge.drivers.grbl.identity import QUERIES
from edge.drivers.grbl.protocol import State
from edge.drivers.grbl.session import Phase

_POLL_S = 0.05
_RESTART_S = 1.5
"""Longer than a restart out of an alarm (0.6 s) and one through the boot loader (1.3 s)."""
_RESET_TRIES = 2


async def greet(controller: Controller) -> None:
    """Wait until the controller has said its welcome. Raises DriverUnavailable, naming what answered instead."""
    settings = controller.settings

    def welcomed() -> bool:
        return controller.session.phase is Phase.IDENTIFYING

    if await controller.until(welcomed, settings.welcome_s):
        if "://" in settings.port:
            controller.ask()
            await controller.until(lambda: controller.condition.reading is not None, settings.reply_s)
            await _adopt(controller)
        return
    controller.ask()
    controller.send("$I")
    if await controller.until(lambda: welcomed() or controller.condition.reading is not None, settings.reply_s):
        if not welcomed():
            await _adopt(controller)
        return
    if not controller.strangers:
        # An alarm that answers nothing but a reset, or homing begun in an earlier life.
        _reset(controller)
        if await controller.until(welcomed, settings.welcome_s):
            return
    if controller.doctor.unreadable:
        raise _unavailable(controller, f"the port {settings.port} is not understood. {controller.doctor.cause}")
    heard = f"it answers {controller.strangers[0]!r}" if controller.strangers else "nothing answers there"
    raise _unavailable(controller, f"the port {settings.port} has no GRBL controller: {heard}")


async def identify(controller: Controller) -> None:
    """Ask the controller for everything about itself. Raises DriverUnavailable."""
    reply_s = controller.settings.reply_s
    while controller.session.phase is Phase.IDENTIFYING:
        try:
            for query in QUERIES:
                await controller.command(query, reply_s)
        except DriverRefused as error:
            if controller.session.phase is Phase.IDENTIFYING and not controller.condition.alarms:
                raise _unavailable(controller, str(error)) from error
            continue
        identity = controller.identity
        if not identity.supported:
            raise _unavailable(controller, f"the controller speaks {identity.controller}, and GRBL 1.1 is needed")
        if identity.travel() is None:
            raise _unavailable(controller, "its settings could not be read: look for interference on the cable")
        controller.session.identified()
        controller.ask()


async def halt(controller: Controller) -> None:
    """After a hold: wait until axes stand (bounded), reset, wait for the welcome.

    The program is discarded, spindle and coolant are commanded off, and the position is kept if axes stood in time.
    Raises StopNotDelivered, and DriverUnavailable when the connection ends meanwhile.
    """
    held_ns = controller.now_ns()

    def stands() -> bool:
        reading = controller.condition.reading
        return controller.heard_since(held_ns) and reading is not None and reading.standing

    def restarting() -> bool:
        return controller.session.phase is Phase.RESTARTING

    if not controller.condition.until_reset:
        for _ in range(round(controller.settings.stand_s / _POLL_S)):
            controller.ask()
            if await controller.until(lambda: stands() or restarting(), _POLL_S):
                break
            if controller.heard_since(held_ns) and not controller.condition.moving_to_stand:
                # The byte may have been lost on the way; a second one changes nothing.
                controller.hold()
    if not restarting():
        controller.reset()
    for _ in range(_RESET_TRIES - 1):
        if await controller.until(lambda: not restarting(), _RESTART_S):
            break
        controller.reset()
    if not await controller.until(lambda: not restarting(), _RESTART_S):
        raise StopNotDelivered(machine_id=controller.machine_id, reason="it was reset and did not start again")
    started_ns = controller.now_ns()
    controller.ask()
    await controller.until(lambda: controller.heard_since(started_ns), controller.settings.reply_s)


async def _adopt(controller: Controller) -> None:
    """Stop a controller that was found in mid life, so that its buffers are known to be empty."""
    reading = controller.condition.reading
    found = State.IDLE if reading is None else reading.state
    try:
        controller.hold()
        await halt(controller)
    except StopNotDelivered as error:
        raise _unavailable(controller, str(error)) from error
    if found in (State.RUN, State.HOLD, State.JOG, State.HOME, State.DOOR):
        controller.require_person(f"The controller was found in {found} at connect, and was stopped.")


def _reset(controller: Controller) -> None:
    """Reset. Raises DriverUnavailable."""
    try:
        controller.reset()
    except StopNotDelivered as error:
        raise _unavailable(controller, str(error)) from error


def _unavailable(controller: Controller, reason: str) -> DriverUnavailable:
    """Return the error with its facts."""
    return DriverUnavailable(machine_id=controller.machine_id, reason=reason)
