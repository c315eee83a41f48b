# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is called what in a certificate."""

from __future__ import annotations

import re
from ipaddress import ip_address

from office.broker.errors import NameRefused
from wire.topics import LAB_ID

OFFICE = "infomobil.office"
"""With a dot, which no lab's id has: no lab can ever be issued the office's rights."""
_LABEL = re.compile(r"(?!-)[a-zA-Z0-9-]{1,63}(?<!-)")


def lab(name: str) -> str:
    """Return `name` if it can be a lab's; raises NameRefused."""
    if not LAB_ID.fullmatch(name):
        raise NameRefused(name=repr(name), what="a lab", rule="1 to 32 of a-z, 0-9 and -, not - at the beginning")
    return name


def host(name: str) -> str:
    """Return `name` if it is a host's name or an IP address; raises NameRefused."""
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise NameRefused(name=repr(name), what="the broker's host", rule="a host name or an IP address")
    return name
