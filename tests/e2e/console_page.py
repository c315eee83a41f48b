# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the console's page share: its clock, its parts, its languages."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.e2e import console_world as world
from tests.e2e.driving import Van

HOLD_MS = 1500
LANGUAGES = ("lt", "en")
LOOKS = (("desk", "lt", "light"), ("portrait", "lt", "dark"), ("phone", "lt", "dark"), ("phone", "en", "light"))
"""Size, language and theme of what is looked at as a whole: each size in the longer words, the narrow one in both."""
FORBIDDEN = ("emergency stop", "spindle stopped", "guard locked", "avarinis stabdymas", "saugu")

Open = Callable[..., tuple[Page, Van]]


def spend(page: Page, van: Van, milliseconds: int) -> None:
    """Let the page's clock run while the service is heard each second, as the contract says."""
    while milliseconds > 0:
        step = min(1000, milliseconds)
        van.send({"type": "sync", "sync": world.sync()})
        page.clock.run_for(step)
        milliseconds -= step


def hold(page: Page, van: Van, key: str = ".hold") -> None:
    """Hold a key down until what it asks for is sent."""
    page.locator(key).hover()
    page.mouse.down()
    spend(page, van, HOLD_MS + 50)
    page.mouse.up()


def tab(page: Page, name: str, language: str = "lt") -> None:
    """Show a part of the day, in the way of the page's size."""
    words = {"queue": ("Eilė", "Queue"), "visit": ("Vizitas", "Visit"), "sync": ("Biuras", "Office")}[name]
    word = words[LANGUAGES.index(language)]
    phone = page.locator(".phone button", has_text=word)
    (phone if phone.is_visible() else page.locator(".tabs button", has_text=word)).click()
