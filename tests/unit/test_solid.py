# SPDX-License-Identifier: GPL-3.0-or-later
import io
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.gcode.model import Floats
from edge.gcode.solid import npz_bytes, png_bytes, png_of, shaded, stl_bytes
from edge.gcode.stock import Relief
from edge.gcode.turning import Profile

HEADER = 84


def relief(heights: list[list[float]], *, bottom: float = -5.0, cell_mm: float = 0.5) -> Relief:
    return Relief(np.array(heights, dtype=np.float32), 1.0, -2.0, cell_mm, bottom, 0.0)


def triangles(stl: bytes) -> tuple[Floats, Floats]:
    """Return (normals (n, 3), corners (n, 3, 3)) of a binary STL, read as its description has them."""
    (count,) = struct.unpack_from("<I", stl, 80)
    assert len(stl) == HEADER + 50 * count
    rows = [struct.unpack_from("<12fH", stl, HEADER + 50 * row) for row in range(count)]
    numbers = np.array([row[:12] for row in rows]).reshape(-1, 4, 3)
    return numbers[:, 0], numbers[:, 1:]


def volume(corners: Floats) -> float:
    return float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0)


def assert_closed(corners: Floats) -> None:
    """Each edge is gone along as often in the one direction as in the other."""
    edges: Counter[tuple[tuple[float, ...], tuple[float, ...]]] = Counter()
    for corner in corners:
        points = [tuple((point + 0.0).tolist()) for point in corner]
        assert len(set(points)) == 3
        for a, b in zip(points, points[1:] + points[:1], strict=True):
            edges[a, b] += 1
    assert all(edges[b, a] == times for (a, b), times in edges.items())


def test_a_whole_block_is_a_box() -> None:
    stl = stl_bytes(relief([[0.0] * 6] * 4))
    normals, corners = triangles(stl)
    assert not stl.startswith(b"solid")
    assert_closed(corners)
    assert volume(corners) == pytest.approx(3.0 * 2.0 * 5.0)
    assert corners.min(axis=(0, 1)).tolist() == [1.0, -2.0, -5.0]
    assert corners.max(axis=(0, 1)).tolist() == [4.0, 0.0, 0.0]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.allclose(normals, outward / np.linalg.norm(outward, axis=1)[:, None], atol=1e-6)


def test_a_hole_has_no_skin() -> None:
    heights = [[0.0] * 9 for _ in range(9)]
    for row in range(2, 7):
        heights[row][2:7] = [-5.0] * 5
    _, corners = triangles(stl_bytes(relief(heights, cell_mm=1.0)))
    assert_closed(corners)
    middle = np.array([5.5, 2.5])
    assert not (np.abs(corners[:, :, :2].mean(axis=1) - middle).max(axis=1) < 1.9).any()


def test_a_block_that_is_all_gone_leaves_nothing() -> None:
    _, corners = triangles(stl_bytes(relief([[-5.0] * 3] * 3)))
    assert len(corners) == 0


@given(
    heights=st.lists(st.lists(st.sampled_from([0.0, -1.0, -2.5, -5.0]), min_size=5, max_size=5), min_size=1, max_size=6)
)
@settings(max_examples=60, deadline=None)
def test_every_solid_is_closed_and_holds_what_is_left(heights: list[list[float]]) -> None:
    left = relief(heights)
    _, corners = triangles(stl_bytes(left))
    assert_closed(corners)
    padded = np.pad(left.heights - left.bottom, 1, mode="edge")
    width = np.array([0.25, *[0.5] * 4, 0.25])
    depth = np.array([0.25, *[0.5] * (len(heights) - 1), 0.25])
    # Each mesh is two triangles: its mean height lies between those of its lower and of its higher diagonal.
    first = (padded[:-1, :-1] + padded[1:, 1:]) / 3 + (padded[:-1, 1:] + padded[1:, :-1]) / 6
    assert volume(corners) == pytest.approx(float((first * depth[:, None] * width).sum()), rel=1e-5, abs=1e-6)


def test_a_field_too_fine_for_a_file_is_thinned_to_its_edges() -> None:
    heights = np.zeros((3, 2000), dtype=np.float32)
    heights[:, 1000:] = -2.5
    _, corners = triangles(stl_bytes(Relief(heights, 0.0, 0.0, 0.5, -5.0, 0.0)))
    assert_closed(corners)
    assert corners[..., 0].max() == 1000.0
    assert len(np.unique(corners[..., 0])) == 771
    assert volume(corners) == pytest.approx(1000 * 1.5 * 3.75, rel=1e-3)


def test_a_turned_part_is_a_closed_solid() -> None:
    radii = np.concatenate([np.full(20, 5.0), np.linspace(5.0, 3.0, 10), np.zeros(4)]).astype(np.float32)
    profile = Profile(radii, -10.0, 0.25, 6.0)
    _, corners = triangles(stl_bytes(profile))
    assert_closed(corners)
    assert volume(corners) == pytest.approx(profile.remaining_mm3, rel=0.01)
    assert corners[..., 0].min() == -10.0
    assert corners[..., 1].max() == pytest.approx(5.0)


def pixels(png: bytes) -> NDArray[np.uint8]:
    """Return the picture in a PNG, chunk by chunk, with every check that the format offers."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, []
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(name + data),)
        chunks.append((name, data))
        at += 12 + length
    assert [name for name, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, packing, filtering, lacing = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, packing, filtering, lacing) == (8, 0, 0, 0)
    channels = {0: 1, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[1][1]), dtype=np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(height, width, channels)


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4])),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_a_picture_comes_back_as_it_went(shape: tuple[int, int, int], seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(pixels(png_of(picture)), picture)


def test_the_picture_shows_the_back_at_the_top_and_nothing_where_it_is_cut_through() -> None:
    heights = [[0.0] * 4, [0.0] * 4, [-5.0, 0.0, 0.0, 0.0]]
    picture = pixels(png_bytes(relief(heights), scale=2))
    assert picture.shape == (6, 8, 4)
    assert (picture[:2, :2, 3] == 0).all()
    assert (picture[2:, :, 3] == 255).all()


def test_a_slope_towards_the_light_is_brighter_than_one_away_from_it() -> None:
    ridge = relief([[-2.0, -1.0, 0.0, -1.0, -2.0]] * 5)
    picture = shaded(ridge).astype(int)
    assert picture[2, 1].sum() > picture[2, 3].sum()
    front = relief([[-2.0] * 5, [-1.0] * 5, [0.0] * 5, [-1.0] * 5, [-2.0] * 5])
    picture = shaded(front).astype(int)
    assert picture[1, 2].sum() > picture[3, 2].sum()


def test_deeper_is_darker() -> None:
    high, low = shaded(relief([[0.0] * 3] * 3)), shaded(relief([[-4.0] * 3] * 3))
    assert (high[1, 1, :3] > low[1, 1, :3]).all()


def test_a_turned_part_has_a_picture_too() -> None:
    profile = Profile(np.full(10, 2.0, dtype=np.float32), 0.0, 0.5, 3.0)
    picture = pixels(png_bytes(profile))
    assert picture.shape == (12, 10, 4)
    assert (picture[[0, 1, 10, 11], :, 3] == 0).all()
    assert (picture[2:10, :, 3] == 255).all()


def test_arrays_can_be_read_back() -> None:
    left = relief([[0.0, -1.5, -5.0]] * 2)
    with np.load(io.BytesIO(npz_bytes(left))) as arrays:
        assert set(arrays) == {"heights", "x0", "y0", "cell_mm", "bottom", "top"}
        assert np.array_equal(arrays["heights"], left.heights)
        assert float(arrays["bottom"]) == -5.0
    assert npz_bytes(left) == npz_bytes(left)
    with np.load(io.BytesIO(npz_bytes(Profile(np.ones(3, dtype=np.float32), 0.0, 1.0, 2.0)))) as arrays:
        assert set(arrays) == {"radii", "z0", "cell_mm", "bar_radius"}
