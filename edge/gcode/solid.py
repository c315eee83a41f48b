# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a block as a file: a solid (STL), a picture (PNG) and arrays (NPZ).

The picture is lit from the back left, as maps are, so that what is cut lies below and not above the eye's plane.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from edge.gcode.model import Bools, Floats, Ints
from edge.gcode.stock import Relief
from edge.gcode.sweep import Heights
from edge.gcode.turning import Profile

Pixels = NDArray[np.uint8]

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_LIGHT = np.array([-0.5, 0.5, 0.7071])
"""Towards the light: from the back left, 45 degrees high."""
_UPPER = np.array([222.0, 196.0, 160.0])
_LOWER = np.array([112.0, 84.0, 58.0])
"""The colours of the upper face and of the bottom: wood, so that depth is told by brightness, too."""
_AMBIENT = 0.35
_MOST_POINTS = 770
"""Along each side of an STL: two triangles a mesh, 50 bytes each, so 60 MB, or 120 where the block is cut through."""
_FACETS = 96
"""Flat sides of a turned part."""
_PNG = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 3: 2, 4: 6}


def stl_bytes(part: Relief | Profile) -> bytes:
    """Return a binary STL of what is left, mm: closed, triangles counter-clockwise from outside.

    The surface runs through the middles of the cells and straight out to the edges of the block or the ends of the bar,
    whose Z becomes X here, as it lies on the machine. Where the block is cut through there is nothing. Of a field with
    more than 768 cells along a side some lines of points are left out.
    """
    return stl_of(_revolved(part) if isinstance(part, Profile) else _block(part))


def _block(relief: Relief) -> Heights:
    grid = _grid(relief)
    floor = grid.copy()
    floor[..., 2] = relief.bottom
    thick = grid[..., 2] > np.float32(relief.bottom)
    there = thick[:-1, :-1] | thick[:-1, 1:] | thick[1:, :-1] | thick[1:, 1:]
    parts = [_quads(grid, there)]
    parts.append(_quads(floor, there)[:, ::-1] if not thick.all() else _fan(_rim(floor)))
    parts.append(_walls(_rim(grid), _rim(floor)))
    return np.concatenate(parts)


def _revolved(profile: Profile) -> Heights:
    """Return the triangles of a part that turns about X; its ends are flat."""
    count = len(profile.radii)
    x = np.concatenate([[0.0, 0.0], np.arange(count) + 0.5, [count, count]]) * profile.cell_mm + profile.z0
    radius = np.concatenate([[0.0], profile.radii[:1], profile.radii, profile.radii[-1:], [0.0]])
    angle = np.arange(_FACETS) * (2 * np.pi / _FACETS)
    angle = np.concatenate([angle, angle[:1]])[:, None]
    rings = np.empty((_FACETS + 1, count + 4, 3), dtype=np.float32)
    rings[..., 0], rings[..., 1], rings[..., 2] = x, radius * -np.cos(angle), radius * np.sin(angle)
    return _quads(rings, np.ones((_FACETS, count + 3), dtype=np.bool_))


def stl_of(corners: Heights) -> bytes:
    """Return a binary STL of triangles (n, 3, 3), mm; those with two corners in one place are left out.

    The header does not begin with `solid`, by which readers tell the other form.
    """
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.sqrt((normal * normal).sum(axis=1))
    real = length > 0
    triangles = np.zeros(int(real.sum()), dtype=_TRIANGLE)
    triangles["normal"] = normal[real] / length[real, None]
    triangles["corners"] = corners[real]
    return b"InfoMobil, mm".ljust(80) + struct.pack("<I", len(triangles)) + triangles.tobytes()


def _grid(relief: Relief) -> Heights:
    """Return the points of the surface (ny + 2, nx + 2, 3): the middles of the cells and the edges of the block."""
    ny, nx = relief.heights.shape
    x = np.concatenate([[0.0], np.arange(nx) + 0.5, [nx]]) * relief.cell_mm + relief.x0
    y = np.concatenate([[0.0], np.arange(ny) + 0.5, [ny]]) * relief.cell_mm + relief.y0
    grid = np.empty((ny + 2, nx + 2, 3), dtype=np.float32)
    grid[..., 0], grid[..., 1], grid[..., 2] = x[None, :], y[:, None], np.pad(relief.heights, 1, mode="edge")
    return grid[_kept(ny + 2)][:, _kept(nx + 2)]


def _kept(count: int) -> Ints:
    """Return which of `count` lines of points are kept, the first and the last among them."""
    return np.linspace(0, count - 1, min(count, _MOST_POINTS)).round().astype(np.int64)


def _quads(grid: Heights, there: Bools) -> Heights:
    """Return two triangles for each mesh of `grid` that is `there`, counter-clockwise from above."""
    a, b, c, d = grid[:-1, :-1][there], grid[:-1, 1:][there], grid[1:, 1:][there], grid[1:, :-1][there]
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _rim(grid: Heights) -> Heights:
    """Return the outermost points once around, counter-clockwise from above, the first again at the end."""
    return np.concatenate([grid[0, :-1], grid[:-1, -1], grid[-1, :0:-1], grid[:0:-1, 0], grid[:1, 0]])


def _walls(upper: Heights, lower: Heights) -> Heights:
    a, b, c, d = lower[:-1], lower[1:], upper[1:], upper[:-1]
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _fan(rim: Heights) -> Heights:
    """Return triangles from the middle to the rim, seen from below."""
    middle = np.broadcast_to((rim.min(axis=0) + rim.max(axis=0)) / 2, rim[:-1].shape)
    return np.stack([middle, rim[1:], rim[:-1]], axis=1)


def png_bytes(part: Relief | Profile, *, scale: int = 1) -> bytes:
    """Return a PNG of a part from above, `scale` pixels a cell, the back at the top; where nothing is, transparent."""
    relief = part.lying() if isinstance(part, Profile) else part
    return png_of(shaded(relief).repeat(scale, axis=0).repeat(scale, axis=1))


def shaded(relief: Relief) -> Pixels:
    """Return the hill-shaded relief from above as pixels (ny, nx, 4) of red, green, blue and opacity, back first."""
    heights = relief.heights[::-1].astype(np.float64)
    padded = np.pad(heights, 1, mode="edge")
    east = (padded[1:-1, 2:] - padded[1:-1, :-2]) / (2 * relief.cell_mm)
    north = (padded[:-2, 1:-1] - padded[2:, 1:-1]) / (2 * relief.cell_mm)
    light = (_LIGHT[2] - east * _LIGHT[0] - north * _LIGHT[1]) / np.sqrt(east**2 + north**2 + 1.0)
    brightness = _AMBIENT + (1.0 - _AMBIENT) * np.clip(light / _LIGHT[2], 0.0, 1.2)
    depth: Floats = (relief.top - heights) / (relief.top - relief.bottom)
    colour = _UPPER + (_LOWER - _UPPER) * depth[..., None]
    pixels = np.empty((*heights.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.clip(np.rint(colour * brightness[..., None]), 0, 255)
    pixels[..., 3] = np.where(heights > relief.bottom, 255, 0)
    return pixels


def png_of(pixels: Pixels) -> bytes:
    """Return the PNG of pixels (height, width, 1 grey | 3 colour | 4 colour and opacity), 8 bits each.

    Source: PNG specification, third edition (chunks IHDR, IDAT, IEND; filter 2, `up`, for every row).
    """
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, width * channels)
    filtered = np.full((height, 1 + width * channels), 2, dtype=np.uint8)
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b""))
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def npz_bytes(part: Relief | Profile) -> bytes:
    """Return an NPZ with the fields of `part`, each an array of its name, mm."""
    file = io.BytesIO()
    np.savez_compressed(file, **{field.name: getattr(part, field.name) for field in fields(part)})
    return file.getvalue()
