# SPDX-License-Identifier: GPL-3.0-or-later
"""Record a group of messages of which the ledger may refuse one: that one is set aside, the others go in."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from office import intake
from office.errors import LedgerRefused
from office.facts import Item, Message, Rejected
from office.ledger.writer import Recorded

_log = logging.getLogger(__name__)


async def record_or_set_aside(
    record: Callable[[Sequence[Item]], Awaitable[Recorded]], messages: Sequence[Message], items: Sequence[Item]
) -> list[Recorded]:
    """Return what `record` made of `items`, as which the intake has read `messages`: of all at once, or of each.

    Raises what `record` raises, but for LedgerRefused.
    """
    try:
        return [await record(items)]
    except LedgerRefused as error:
        refusal = error
    if len(items) > 1:
        # One of them is the culprit: alone, the others go in.
        return [
            done
            for message, item in zip(messages, items, strict=True)
            for done in await record_or_set_aside(record, [message], [item])
        ]
    if isinstance(items[0], Rejected):
        _log.error("not even set aside, %d bytes on %s: %s", items[0].size, items[0].topic, refusal)
        return []
    _log.error("set aside a message on %s: %s", messages[0].topic, refusal)
    return await record_or_set_aside(record, messages, [intake.reject(messages[0], str(refusal))])
