# SPDX-License-Identifier: GPL-3.0-or-later
"""IM-1 as an AsyncAPI 3.0 document, made of the constants that the code itself uses.

`wire.asyncapi_files` writes it as `wire/asyncapi.yaml` and, for people, as `docs/im-1.md`.
"""

from __future__ import annotations

from typing import Any

from wire import topics
from wire.asyncapi_text import SECTIONS, SUMMARY
from wire.batch import CONTENT_TYPE, ENCODING, MAX_EVENTS, MAX_EXPLAINED, MAX_PAYLOAD, TOTALS
from wire.codec import MAX_HEALTH, SPECVERSION, VERSION
from wire.events import BODIES

DOCUMENT_VERSION = "1.1.0"
BINDING = {"bindingVersion": "0.2.0"}

STREAM_OF = {
    "visits": ("visit.opened", "visit.closed", "visit.headcount", "kiosk.session", "survey.answered"),
    "safety": (
        *("lab.started", "clock.anchor", "clock.quality", "stream.gap"),
        *("interlock.tripped", "interlock.reset", "machine.fault", "stop.commanded", "opening.item"),
    ),
    "jobs": ("job.changed", "machine.gap", "parts.made", "program.loaded"),
    "metrics": ("machine.state", "machine.rollup"),
}
"""Which types of facts go on which stream."""

LIVE = {
    "availability": ("string", "Whether the lab hears the machine: AVAILABLE or UNAVAILABLE."),
    "execution": ("string", "What it does, in the words of MTConnect."),
    "mode": ("string", "Mode of the controller."),
    "emergency_stop": ("string", "What the machine's own circuit reports: ARMED, TRIGGERED or UNAVAILABLE."),
    "door": ("string", "OPEN, CLOSED, UNLATCHED or UNAVAILABLE."),
    "machine_position": (["object", "null"], "x, y, z in mm."),
    "work_position": (["object", "null"], "x, y, z in mm."),
    "work_offset": (["object", "null"], "Machine less work position, mm."),
    "homed": ("boolean", "Whether the axes know where they are."),
    "feed": (["number", "null"], "mm/min."),
    "spindle": ("string", "What the spindle was told to do; nothing is known of its standing still."),
    "spindle_speed": (["number", "null"], "Commanded rev/min."),
    "overrides": (["object", "null"], "feed, rapid and spindle in per cent."),
    "program": (["string", "null"], "Its program."),
    "line": (["integer", "null"], "Last line acknowledged by the controller, from 1."),
    "sent_line": (["integer", "null"], "Last line written to the wire."),
    "total_lines": (["integer", "null"], "Lines of the program."),
    "progress": (["number", "null"], "Share of the program's time, 0 to 1."),
    "part_count": (["integer", "null"], "The machine's own counter."),
    "alarms": ("array", "What the machine complains of."),
    "fault": ("string", "NONE or FAULT."),
    "fault_reason": ("string", "Why."),
    "pins": ("array", "Letters of the inputs that are active."),
    "link": (["object", "null"], "What is known of the wire to the machine."),
    "taken_ns": ("integer", "Boot-time clock of the last report, ns."),
    "source_ns": (["integer", "null"], "The machine's own clock, UTC ns, where it gives one."),
}
"""The fields of a live state and their units."""

_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
_WORD = {"type": "string", "maxLength": 200}
_V = {"const": VERSION, "description": "MAJOR version of IM-1."}
_SHA = "^[0-9a-f]{64}$"


def _ref(path: str) -> dict[str, str]:
    return {"$ref": f"#/{path}"}


def _object(required: list[str], properties: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, **more}


def _map(values: dict[str, Any], text: str) -> dict[str, Any]:
    return {"type": "object", "description": text, "additionalProperties": values}


def _whole(low: int, text: str, **more: object) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "description": text, **more}


def _column(kind: str | list[str], text: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": kind}, "description": text}


def _batch() -> dict[str, Any]:
    properties = {
        "specversion": {"const": SPECVERSION, "description": "Version of CloudEvents whose attribute names are used."},
        "v": _V,
        "source": {"type": "string", "pattern": "^/labs/", "description": "`/labs/` and the lab of the topic."},
        "stream": {"type": "string", "enum": list(topics.STREAMS), "description": "The stream of the topic."},
        "epoch": {**_TEXT, "description": "Fresh random id of each start of the lab's service."},
        "boot": {**_TEXT, "description": "Id of the boot to which boottime belongs."},
        "s0": _whole(1, "seq of the first fact."),
        "n": _whole(1, "Number of facts.", maximum=MAX_EVENTS),
        "prev": {
            "type": ["string", "null"],
            "pattern": _SHA,
            "description": "SHA-256 of the canonical JSON of the batch sent before it, null in the first of an epoch.",
        },
        "types": _column("string", "Types that occur; schema/TYPE.json describes the fields of each."),
        "type": _column("integer", "Per fact the index of its type."),
        "boottime": _column("integer", "Boot-time clock in ns; the first value, then differences."),
        "time": _column("integer", "Raw wall clock less boot-time clock in ns; the first value, then differences."),
        "data": _map(
            {
                "type": "object",
                "additionalProperties": _column(["string", "number", "boolean", "null"], "One per fact."),
            },
            "Per type, per field, the values in the order of that type's facts; null where a fact lacks the field.",
        ),
    }
    headers = {
        "enc": {"const": ENCODING, "description": "How the payload is packed."},
        "ep": {"type": "string", "description": "epoch."},
        "s0": {"type": "string", "pattern": "^[0-9]+$", "description": "s0."},
        "n": {"type": "string", "pattern": "^[0-9]+$", "description": "n."},
    }
    return {
        "name": "batch",
        "title": "Batch of facts",
        "contentType": CONTENT_TYPE,
        "summary": f"Columnar JSON under {ENCODING}, at most {MAX_PAYLOAD:,} bytes. Headers are MQTT user properties.",
        "headers": _object(list(headers), headers),
        "payload": _object(list(properties), properties),
        "bindings": {"mqtt": {"contentType": CONTENT_TYPE, **BINDING}},
    }


def _acknowledgement() -> dict[str, Any]:
    pair = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}
    properties = {
        "v": _V,
        "epoch": {**_TEXT, "description": "The epoch of which it speaks; the stream is that of the topic."},
        "w": _whole(0, "Everything up to and including this seq is in the office's ledger."),
        "missing": {
            "type": "array",
            "items": pair,
            "description": "Ranges above w that the office lacks: first and last seq of each.",
        },
        "time": _whole(0, "UTC of the office in ns, an anchor for the lab's clock."),
    }
    explained = {
        "type": "array",
        "items": pair,
        "maxItems": MAX_EXPLAINED,
        "description": "Ranges up to w of visits or safety that `stream.gap` names and the office lacks. Since 1.1.",
    }
    return {
        "name": "acknowledgement",
        "title": "Acknowledgement",
        "summary": "What of a stream and epoch is committed.",
        "payload": _object(list(properties), properties | {"explained": explained}),
    }


def _presence() -> dict[str, Any]:
    counter = {"type": "integer", "minimum": 0}
    totals = dict.fromkeys(TOTALS, counter)
    properties = {
        "v": _V,
        "state": {
            "type": "string",
            "enum": ["online", "offline"],
            "description": "An offline lab says its epoch and nothing else; what stands beside it has no meaning.",
        },
        "boot": {**_WORD, "description": "Id of the present boot."},
        "epoch": {
            "type": "string",
            "maxLength": 200,
            "description": "The present epoch; of a farewell the one that ended.",
        },
        "software": {**_WORD, "description": "Version of the lab's software."},
        "config": {**_WORD, "description": "Hash of its configuration."},
        "heads": _map(counter, "Newest seq per stream of the present epoch."),
        "closed": _map(_map(counter, "Last seq per stream."), "Former epochs."),
        "totals": _map(
            _object(list(TOTALS), totals),
            "Per epoch, counters that only grow: people counted, people taken back by corrections, kiosk sessions.",
        ),
        "waiting": _whole(0, "Facts that the office has not acknowledged."),
        "install": {
            "type": "string",
            "description": "Id made with the lab's database; goes where the file goes. Since 1.1.",
        },
        "ordinal": _whole(0, "Number of the epoch within install. Since 1.1."),
        "key": {"type": "string", "description": "The lab's Ed25519 public key in hexadecimal. Since 1.1."},
        "health": _map(
            {"type": ["string", "number", "boolean", "null"]},
            f"At most {MAX_HEALTH} flat words: disk_free_mb, disk_state, clock, metrics_dropped, certificate_ends."
            " Since 1.1.",
        )
        | {"maxProperties": MAX_HEALTH},
    }
    return {
        "name": "presence",
        "title": "Presence",
        "summary": "The lab's word about itself. An online lab says everything up to waiting.",
        "contentType": "application/json",
        "payload": _object(["v", "state"], properties),
    }


def _machine_state() -> dict[str, Any]:
    properties: dict[str, Any] = {"v": _V}
    properties |= {name: {"type": kind, "description": text} for name, (kind, text) in LIVE.items()}
    return {
        "name": "machineState",
        "title": "State of a machine",
        "summary": "The newest reading, for whoever looks now.",
        "contentType": "application/json",
        "payload": _object(["v", "availability", "execution"], properties),
        "bindings": {"mqtt": {"contentType": "application/json", **BINDING}},
    }


def _channel(address: str, text: str, message: str, *parameters: str) -> dict[str, Any]:
    return {
        "address": address,
        "description": text,
        "parameters": {name: _ref(f"components/parameters/{name}") for name in parameters},
        "messages": {message: _ref(f"components/messages/{message}")},
    }


def _operation(
    action: str, channel: str, summary: str, qos: int, *, retain: bool = False, **more: int
) -> dict[str, Any]:
    return {
        "action": action,
        "channel": _ref(f"channels/{channel}"),
        "summary": summary,
        "bindings": {"mqtt": {"qos": qos, "retain": retain, **more, **BINDING}},
    }


def document() -> dict[str, Any]:
    """Return the AsyncAPI document. The application that it describes is the lab."""
    words = "\n\n".join(f"## {heading}\n\n{text.strip()}" for heading, text in SECTIONS)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "IM-1, from the van to the office",
            "version": DOCUMENT_VERSION,
            "description": f"{SUMMARY}\n\n{words}\n",
            "license": {"name": "GPL-3.0-or-later", "url": "https://www.gnu.org/licenses/gpl-3.0.html"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "broker.example:8883",
                "protocol": "secure-mqtt",
                "protocolVersion": "5",
                "description": "Any MQTT 5 broker; within a lab's own network it may be one without TLS.",
                "bindings": {
                    "mqtt": {
                        "clientId": "infomobil-LAB-EPOCH8",
                        "cleanSession": True,
                        "sessionExpiryInterval": 0,
                        "lastWill": {
                            "topic": topics.presence("{lab}"),
                            "qos": 1,
                            "retain": True,
                            "message": '{"state":"offline","v":1}',
                        },
                        **BINDING,
                    }
                },
            }
        },
        "channels": {
            "batches": _channel(
                topics.up("{lab}", "{stream}"),
                f"Batches of 1 to {MAX_EVENTS} consecutive facts of one epoch. QoS 1, not retained, no expiry.",
                *("batch", "lab", "stream"),
            ),
            "acknowledgements": _channel(
                topics.ack("{lab}", "{stream}"),
                "What the office has committed. QoS 1, not retained. Given again for a batch that comes again.",
                *("acknowledgement", "lab", "stream"),
            ),
            "presence": _channel(
                topics.presence("{lab}"),
                "The lab's word about itself. QoS 1, retained; the first message on a connection, and the will.",
                *("presence", "lab"),
            ),
            "live": _channel(
                topics.live("{lab}", "{machine}"),
                f"State of a machine. QoS 0, expiry {topics.LIVE_EXPIRY_S} s, at most one a second per machine.",
                *("machineState", "lab", "machine"),
            ),
        },
        "operations": {
            "sendPresence": _operation(
                "send", "presence", "The lab says that it is there, and how many people it has counted.", 1, retain=True
            ),
            "sendBatch": _operation(
                "send",
                "batches",
                "The lab sends what the office does not have; again after 3 round trips, or for a missing range.",
                1,
            ),
            "receiveAcknowledgement": _operation(
                "receive", "acknowledgements", "The lab forgets facts up to the watermark.", 1
            ),
            "sendLive": _operation(
                "send", "live", "The lab shows a machine.", 0, messageExpiryInterval=topics.LIVE_EXPIRY_S
            ),
        },
        "components": {
            "parameters": {
                "lab": {"description": "Id of the lab, 1 to 32 characters of a-z, 0-9 and -, the first no -."},
                "stream": {"description": "Stream of facts, in order of priority.", "enum": list(topics.STREAMS)},
                "machine": {"description": "Id of the machine within the lab."},
            },
            "messages": {
                "batch": _batch(),
                "acknowledgement": _acknowledgement(),
                "presence": _presence(),
                "machineState": _machine_state(),
            },
            "schemas": {name: {"$ref": f"./schema/{name}.json"} for name in sorted(BODIES)},
        },
    }
