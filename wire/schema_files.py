# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes `wire/schema/*.json`, one JSON Schema per type of fact: ``python -m wire.schema_files``.

The files are for readers in other languages; they are made from `wire.events` and never edited.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from wire.events import BODIES

FOLDER = Path(__file__).parent / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, str]:
    """Return the text of each file by its name."""
    files: dict[str, str] = {}
    for name, body in BODIES.items():
        schema = {"$schema": DIALECT, **body.model_json_schema(), "title": name}
        files[f"{name}.json"] = json.dumps(schema, indent=2, sort_keys=True) + "\n"
    return files


def write(folder: Path) -> list[str]:
    """Write the files into `folder`, remove those of types that are no more; return what changed."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = schemas()
    changed = [path.name for path in folder.glob("*.json") if path.name not in wanted]
    for name in changed:
        (folder / name).unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            changed.append(name)
    return sorted(changed)


if __name__ == "__main__":
    for name in write(FOLDER):
        sys.stdout.write(f"{name}\n")
