# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the binary answers of docs/http-api.md, written from the document and not from what makes them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KINDS = {"f32": ("<f4", 4), "u32": ("<u4", 4), "u16": ("<u2", 2), "u8": ("u1", 1)}


@dataclass(frozen=True)
class Unpacked:
    """The header and the arrays of a binary answer."""

    letters: str
    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    def heights(self) -> NDArray[np.float64]:
        """Return the height map in mm."""
        depth = self.header["top"] - self.header["bottom"]
        levels = self.arrays["height"].reshape(self.header["ny"], self.header["nx"]).astype(np.float64)
        millimetres: NDArray[np.float64] = self.header["bottom"] + depth * levels / 65535
        return millimetres


def unpack(data: bytes) -> Unpacked:
    """Return what a binary answer says; fails where it is not of the documented form."""
    (length,) = struct.unpack_from("<I", data, 4)
    header = json.loads(data[8 : 8 + length])
    assert header["version"] == 1
    at, arrays = 8 + length, {}
    for one in header["arrays"]:
        assert at % 4 == 0, f"{one['name']} begins at {at}"
        kind, size = _KINDS[one["type"]]
        arrays[one["name"]] = np.frombuffer(data, kind, one["length"], at)
        at += -(-one["length"] * size // 4) * 4
    assert at == len(data)
    return Unpacked(data[:4].decode("ascii"), header, arrays)
