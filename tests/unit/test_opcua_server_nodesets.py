# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the nodesets are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.opcua_server import nodesets
from edge.opcua_server.nodesets import FILES, NodesetsMissing, nodesets_dir


def fill(folder: Path) -> Path:
    folder.mkdir()
    for name in FILES.values():
        (folder / name).touch()
    return folder


def test_those_of_the_wheel_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nodesets, "PACKAGED", fill(tmp_path / "packaged"))
    monkeypatch.setattr(nodesets, "CHECKOUT", fill(tmp_path / "checkout"))
    assert nodesets_dir() == tmp_path / "packaged"


def test_a_checkout_has_them_among_its_pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nodesets, "PACKAGED", tmp_path / "nowhere")
    monkeypatch.setattr(nodesets, "CHECKOUT", fill(tmp_path / "checkout"))
    assert nodesets_dir() == tmp_path / "checkout"


def test_one_that_is_missing_is_told_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = fill(tmp_path / "checkout")
    (folder / next(iter(FILES.values()))).unlink()
    monkeypatch.setattr(nodesets, "PACKAGED", tmp_path / "nowhere")
    monkeypatch.setattr(nodesets, "CHECKOUT", folder)
    with pytest.raises(NodesetsMissing, match="make web"):
        nodesets_dir()
