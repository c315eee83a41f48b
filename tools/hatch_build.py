# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the built pages, the OPC UA nodesets, a typeface and the content into the wheel: a van never needs Node."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = {"kiosk": "edge/http/pages/kiosk", "console": "edge/http/pages/console", "office": "office/pages"}
NODESETS = "edge/opcua_server/nodesets"
FONTS = "office/reports/fonts"


class PagesHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the web workspace where it was not built, and names what goes where."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add what was built and the content to a wheel; an editable installation reads them from the checkout."""
        if version == "editable":
            return
        root = Path(self.root)
        dist = root / "web" / "dist"
        built = [*(dist / page / "index.html" for page in PAGES), dist / "nodesets", dist / "fonts"]
        if not all(path.exists() for path in built):
            subprocess.run(["sh", str(root / "tools" / "npm.sh"), "web", "build"], cwd=root, check=True)
        build_data["force_include"].update({str(dist / page): target for page, target in PAGES.items()})
        build_data["force_include"][str(dist / "nodesets")] = NODESETS
        build_data["force_include"][str(dist / "fonts")] = FONTS
        build_data["force_include"][str(root / "content")] = "edge/content"
