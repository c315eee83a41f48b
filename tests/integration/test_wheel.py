# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed in a van: the wheel carries the pages and the content, and needs no Node."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "web" / "dist"

ASK = """
from edge.http.pages import pages_dir
from edge.store.library import PACKAGED_CONTENT, PieceLibrary
print(list(PieceLibrary(PACKAGED_CONTENT / "programs", ()).pieces))
print(pages_dir("kiosk"), pages_dir("console"))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (PAGES / "kiosk" / "index.html").is_file():
        pytest.skip("the pages are not built")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    target = folder / "site"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target


def test_pages_and_pieces_come_out_of_the_wheel(installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=installed, env=environment, check=True, capture_output=True, text=True
    )
    pieces, pages = asked.stdout.splitlines()
    assert pieces == "['bolt', 'gear', 'name-tag']"
    assert pages.count(str(installed)) == 2


def test_the_wheel_holds_no_tests_and_no_node(installed: Path) -> None:
    names = {path.relative_to(installed).parts[0] for path in installed.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"edge", "office", "wire"}
    assert (installed / "office" / "pages" / "index.html").is_file()
    assert (installed / "office" / "reports" / "fonts" / "latin-ext-700.woff").is_file()
    assert (installed / "office" / "data" / "municipalities.toml").is_file()
    assert not list(installed.rglob("node_modules"))


def test_the_opc_ua_server_finds_its_nodesets_in_the_wheel(installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    ask = "from edge.opcua_server.nodesets import FILES, nodesets_dir; print(nodesets_dir(), *FILES.values())"
    asked = subprocess.run(
        [sys.executable, "-c", ask], cwd=installed, env=environment, check=True, capture_output=True, text=True
    )
    folder, *names = asked.stdout.split()
    assert folder == str(installed / "edge" / "opcua_server" / "nodesets")
    assert sorted(names) == sorted(path.name for path in Path(folder).iterdir())
    for name in names:
        notice = Path(folder, name).read_text(encoding="utf-8-sig")[:2_000]
        assert "Permission is hereby granted" in notice, name
