# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes `wire/asyncapi.yaml` and `docs/im-1.md`: ``python -m wire.asyncapi_files``. Neither is ever edited."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wire.asyncapi import STREAM_OF, document
from wire.asyncapi_text import SECTIONS, SUMMARY
from wire.events import BODIES

ROOT = Path(__file__).parent.parent
YAML, PAGE = Path("wire/asyncapi.yaml"), Path("docs/im-1.md")
WIDTH = 118
# What YAML 1.2 and 1.1 both read as a text, and as the same one.
_PLAIN = re.compile(r"[A-Za-z./_$-][A-Za-z0-9./_$-]*(?: [A-Za-z0-9./_()$-]+)*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"}


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS and value[0] not in "-.":
        return value
    return json.dumps(value, ensure_ascii=False)


def yaml_lines(value: object, indent: int = 0) -> Iterator[str]:
    """Yield the lines of `value`, a tree of mappings, lists and scalars, in YAML's block style."""
    pad = "  " * indent
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _entry(f"{pad}{_scalar(key)}:", item, indent)
    elif isinstance(value, list):
        for item in value:
            yield from _entry(f"{pad}-", item, indent)
    else:
        yield f"{pad}{_scalar(value)}"


def _entry(head: str, item: object, indent: int) -> Iterator[str]:
    if isinstance(item, list) and all(not isinstance(part, Mapping | list) for part in item):
        yield f"{head} [{', '.join(_scalar(part) for part in item)}]"
    elif isinstance(item, Mapping | list) and item:
        yield head
        yield from yaml_lines(item, indent + 1)
    elif isinstance(item, Mapping):
        yield f"{head} {{}}"
    elif isinstance(item, str) and "\n" in item:
        yield f"{head} |"
        pad = "  " * (indent + 1)
        yield from (f"{pad}{line}".rstrip() for line in item.rstrip("\n").split("\n"))
    else:
        yield f"{head} {_scalar(item)}"


def yaml_text() -> str:
    """Return the document as YAML."""
    note = (
        "# SPDX-License-Identifier: GPL-3.0-or-later",
        "# Written by python -m wire.asyncapi_files from wire/asyncapi.py.",
    )
    return "\n".join((*note, *yaml_lines(document()))) + "\n"


def _type_of(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """Return in a few words what a JSON Schema allows."""
    if "$ref" in schema:
        return _type_of(defs[schema["$ref"].rsplit("/", 1)[-1]], defs)
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{item}`" for item in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type_of(part, defs) for part in schema["anyOf"])
    kind = schema.get("type", "any")
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if kind == "array":
        words = f"list of {_type_of(schema.get('items', {}), defs)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        words = f"map to {_type_of(schema['additionalProperties'], defs)}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{words} {low} to {high}"
    if low is not None:
        return f"{words} from {low}"
    if high is not None:
        return f"{words} up to {high}"
    return words


def _table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    heading = list(heading)
    lines = [f"| {' | '.join(heading)} |", f"|{'---|' * len(heading)}"]
    return lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _fields(schema: Mapping[str, Any], *, described: bool) -> list[str]:
    required, defs = set(schema.get("required", ())), schema.get("$defs", {})
    rows = [
        [f"`{name}`", _type_of(field, defs), "yes" if name in required else ""]
        + ([field.get("description", "")] if described else [])
        for name, field in schema.get("properties", {}).items()
    ]
    return _table(["field", "type", "required", *(["meaning"] if described else [])], rows)


def _messages(spec: Mapping[str, Any]) -> Iterator[str]:
    for operation in spec["operations"].values():
        channel = spec["channels"][operation["channel"]["$ref"].rsplit("/", 1)[-1]]
        (name,) = channel["messages"]
        message = spec["components"]["messages"][name]
        yield from (f"### {message['title']}", "")
        who = "Lab to office" if operation["action"] == "send" else "Office to lab"
        yield from _wrapped(f"{who}, `{channel['address']}`. {channel['description']} {operation['summary']}")
        kind = f" Content type `{message['contentType']}`." if "contentType" in message else ""
        yield from _wrapped(f"{message['summary']}{kind}")
        if "headers" in message:
            yield from ("User properties:", "", *_fields(message["headers"], described=True), "", "Payload:", "")
        yield from (*_fields(message["payload"], described=True), "")


def _facts() -> Iterator[str]:
    for stream, kinds in STREAM_OF.items():
        yield from (f"### Stream {stream}", "")
        for kind in kinds:
            yield from (f"#### {kind}", "")
            schema = BODIES[kind].model_json_schema()
            for paragraph in str(schema.get("description", "")).split("\n\n"):
                yield from _wrapped(" ".join(paragraph.split()))
            yield from (*_fields(schema, described=False), "")


def _wrapped(text: str) -> Iterator[str]:
    yield from (*textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False), "")


def page_text() -> str:
    """Return the document as a page for people."""
    spec = document()
    lines = [f"# IM-1 {spec['info']['version']}: from the van to the office", ""]
    lines += ["<!-- Written by python -m wire.asyncapi_files from wire/asyncapi.py: edit that. -->", ""]
    lines += _wrapped(SUMMARY)
    lines += _wrapped(
        "The same for machines: `wire/asyncapi.yaml` (AsyncAPI 3.0), and in `wire/schema` a JSON Schema per type."
    )
    for heading, text in SECTIONS:
        lines += [f"## {heading}", "", text.strip(), ""]
    lines += ["## Messages", "", *_messages(spec)]
    lines += ["## Facts", ""]
    lines += _wrapped(
        "Each fact has a type and a flat body. Fields that are not required may be absent or null. In a batch a field"
        " that a fact lacks is null."
    )
    lines += _facts()
    return "\n".join(lines).rstrip() + "\n"


def write(root: Path) -> list[str]:
    """Write both files below `root`; return the names of those that changed."""
    changed = []
    for name, text in ((YAML, yaml_text()), (PAGE, page_text())):
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(str(name))
    return changed


if __name__ == "__main__":
    for name in write(ROOT):
        sys.stdout.write(f"{name}\n")
