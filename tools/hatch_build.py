# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the built pages and the content into the wheel: a van never needs Node."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = {"kiosk": "edge/http/pages/kiosk", "console": "edge/http/pages/console", "office": "office/pages"}


class PagesHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the web workspace where it was not built, and names what goes where."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add pages and content to a wheel; an editable installation reads them from the checkout."""
        if version == "editable":
            return
        root = Path(self.root)
        dist = root / "web" / "dist"
        if not all((dist / page / "index.html").is_file() for page in PAGES):
            subprocess.run(["sh", str(root / "tools" / "web.sh"), "build"], cwd=root, check=True)
        build_data["force_include"].update({str(dist / page): target for page, target in PAGES.items()})
        build_data["force_include"][str(root / "content")] = "edge/content"
