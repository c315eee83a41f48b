# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine of a connection, by the information model that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models import cnc, mapping, sinumerik, umati
from edge.drivers.opcua.models.model import Browser, FoundMachine, Offer
from edge.drivers.opcua.settings import OpcUaSettings

FIND_S = 60.0
"""A small control answers some tens of times in a second, and a machine takes some hundred answers."""


async def find(browser: Browser, settings: OpcUaSettings, counter: str = "") -> FoundMachine:
    """Find the machine that `settings` mean, on this connection; its parts go on from `counter` where it has that.

    Raises LinkError, also where the server makes no end of it.
    """
    try:
        async with asyncio.timeout(FIND_S):
            return await _find(browser, settings, counter)
    except TimeoutError as error:
        raise LinkError(reason=f"the machine was not found on the server within {FIND_S:g} s") from error


async def _find(browser: Browser, settings: OpcUaSettings, counter: str) -> FoundMachine:
    match settings.model:
        case "umati":
            return await umati.find(browser, settings.machine, counter)
        case "cnc":
            return await cnc.find(browser, settings.machine)
        case "sinumerik":
            return await sinumerik.find(browser, settings.channel)
        case "mapping":
            return await mapping.find(browser, settings.mapping_file)


async def offer(browser: Browser) -> Mapping[str, Offer]:
    """Return what each model finds on a server, by the model's name in the settings. Raises LinkError."""
    return {
        "umati": await umati.offer(browser),
        "cnc": await cnc.offer(browser),
        "sinumerik": await sinumerik.offer(browser),
    }
