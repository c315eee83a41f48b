# SPDX-License-Identifier: GPL-3.0-or-later
"""A piece that a visitor can choose: what it is called, what it is made of, and the program that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.domain.block import Block
from edge.domain.tool import Tool


@dataclass(frozen=True, slots=True)
class PieceField:
    """Something a visitor may fill in: a text of at most max_length characters."""

    key: str
    max_length: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of the library.

    title and description by language (lt, en, lv, et, de); svg is a small drawing in strokes of the current
    colour; machines are the kinds of machine that it is made for; stock is mm in X, Y, Z; zero names the place of the
    program's zero on the stock; tool is what a person mounts, and cutter the same as a shape; feed is the cutting
    feed in mm/min; estimate_s is the range of the machine time in seconds; guess_choices_s are what a visitor may
    guess; template names the design that makes the piece with a visitor's own text, None where there is none;
    program is G-code and sha256 its digest.
    """

    piece_id: str
    title: Mapping[str, str]
    description: Mapping[str, str]
    material: Mapping[str, str]
    machines: tuple[str, ...]
    stock: tuple[float, float, float]
    zero: str
    tool: str
    cutter: Tool
    feed: float
    estimate_s: tuple[float, float]
    guess_choices_s: tuple[int, ...]
    svg: str
    program: bytes
    sha256: str
    template: str | None = None
    fields: tuple[PieceField, ...] = ()
    depths: tuple[str, ...] = ()

    @property
    def block(self) -> Block:
        """Return the stock as it lies when its program begins: every piece has its zero at the front left top."""
        return Block.behind_zero(self.stock)
