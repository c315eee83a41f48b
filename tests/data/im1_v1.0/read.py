# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads messages as the code beside it does: lines of {"topic", "payload" (base64)} in, one line each of what it made.

Run with `code` as the first folder on PYTHONPATH, so that `wire` and `office` are the frozen ones.
"""

from __future__ import annotations

import base64
import json
import sys

from office import intake
from office.facts import Message, ReceivedBatch, ReceivedPresence, Rejected
from wire import topics
from wire.batch import BadMessage
from wire.codec import decode_ack


def reading(topic: str, payload: bytes) -> dict[str, object]:
    """Return what the frozen code makes of a message."""
    parsed = topics.parse(topic)
    if parsed is not None and parsed.channel == "ack":
        try:
            ack = decode_ack(parsed.name, payload)
        except BadMessage as error:
            return {"kind": "rejected", "reason": str(error)}
        return {"kind": "ack", "epoch": ack.epoch, "watermark": ack.watermark, "missing": ack.missing}
    item = intake.read(Message(topic, payload, len(payload), 1))
    match item:
        case ReceivedBatch():
            facts = [[fact.seq, fact.type, fact.standing.value, fact.body] for fact in item.facts]
            return {"kind": "batch", "epoch": item.epoch, "sha256": item.sha256.hex(), "facts": facts}
        case ReceivedPresence():
            said = item.presence
            return {"kind": "presence", "state": said.state, "epoch": said.epoch, "totals": said.totals}
        case Rejected():
            return {"kind": "rejected", "reason": item.reason}


if __name__ == "__main__":
    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps(reading(given["topic"], base64.b64decode(given["payload"]))))  # noqa: T201 - its answer
