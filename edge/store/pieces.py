# SPDX-License-Identifier: GPL-3.0-or-later
"""The library of pieces as folders: `piece.toml`, `program.nc`, `preview.svg`.

What a person may get wrong in a folder is answered with the file, the key and what is expected there.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.domain.errors import InfoMobilError
from edge.domain.piece import Piece, PieceField
from edge.domain.visit import Language
from edge.store.tool_settings import CutterSettings, Name, Number
from wire.library import BadPiece, read_folder

_ID = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_MAX_ID = 40
"""Characters, so that no piece ever has the id of an upload, which has 64."""
_SVG = "{http://www.w3.org/2000/svg}"
_SVG_ELEMENTS = frozenset(f"{_SVG}{name}" for name in ("svg", "g", "path", "circle", "line", "rect", "polyline"))

Text = Annotated[str, Field(min_length=1, max_length=200)]
Texts = dict[Language, Text]
Kind = Literal["router", "mill", "lathe", "laser", "printer", "other"]
Length = Annotated[float, Field(gt=0, le=2000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class PieceBroken(InfoMobilError):
    """The piece in {folder} cannot be used: {reason}."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _FieldFile(_Strict):
    key: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    max_length: Annotated[int, Field(ge=1, le=100)]


class _Cutter(CutterSettings):
    """What cuts the piece; number is the T word of its program, 0 where that names none, name by default `tool`."""

    number: Number = 0
    name: Name | None = None


class _PieceFile(_Strict):
    id: Annotated[str, Field(pattern=_ID, max_length=_MAX_ID)]
    title: Texts
    description: Texts
    material: Texts
    machines: Annotated[tuple[Kind, ...], Field(min_length=1)]
    stock_mm: tuple[Length, Length, Length]
    zero: Text
    tool: Text
    cutter: _Cutter
    feed: Annotated[float, Field(gt=0, le=20_000)]
    estimate_s: tuple[Seconds, Seconds]
    guess_choices_s: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=2, max_length=6)]
    template: str | None = None
    fields: tuple[_FieldFile, ...] = ()
    depths: tuple[str, ...] = ()


def load_piece(folder: Path) -> Piece:
    """Return the piece of one folder; raises PieceBroken."""
    try:
        return piece_of(folder, read_folder(folder))
    except BadPiece as error:
        raise PieceBroken(folder=str(folder), reason=str(error)) from error


def piece_of(folder: Path, files: Mapping[str, bytes]) -> Piece:
    """Return the piece that the files of one folder are; raises PieceBroken."""
    form = _form(folder, _text(folder, files, "piece.toml"))
    program = _file(folder, files, "program.nc")
    return Piece(
        piece_id=form.id,
        title=_by_language(folder, "title", form.title),
        description=_by_language(folder, "description", form.description),
        material=_by_language(folder, "material", form.material),
        machines=form.machines,
        stock=form.stock_mm,
        zero=form.zero,
        tool=form.tool,
        cutter=form.cutter.tool_named(form.cutter.number, form.cutter.name or form.tool),
        feed=form.feed,
        estimate_s=form.estimate_s,
        guess_choices_s=form.guess_choices_s,
        svg=_drawing(folder, files),
        program=program,
        sha256=hashlib.sha256(program).hexdigest(),
        template=form.template,
        fields=tuple(PieceField(item.key, item.max_length) for item in form.fields),
        depths=form.depths,
    )


def _form(folder: Path, text: str) -> _PieceFile:
    try:
        form = _PieceFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PieceBroken(folder=str(folder), reason=f"piece.toml is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        raise PieceBroken(folder=str(folder), reason=f"piece.toml, {key}: {why}") from error
    if form.id != folder.name:
        raise PieceBroken(folder=str(folder), reason=f"piece.toml, id: {form.id!r} is not the name of the folder")
    if form.estimate_s[0] > form.estimate_s[1]:
        raise PieceBroken(folder=str(folder), reason="piece.toml, estimate_s: the first number is over the second")
    return form


def _by_language(folder: Path, key: str, texts: Texts) -> Mapping[str, str]:
    missing = [language.value for language in Language if language not in texts]
    if missing:
        raise PieceBroken(folder=str(folder), reason=f"piece.toml, {key}: the text in {', '.join(missing)} is missing")
    return {language.value: texts[language] for language in Language}


def _drawing(folder: Path, files: Mapping[str, bytes]) -> str:
    """Return preview.svg when it holds nothing but strokes: pages show it as part of themselves."""
    text = _text(folder, files, "preview.svg")
    if "<!DOCTYPE" in text.upper():
        raise PieceBroken(folder=str(folder), reason="preview.svg holds a document type, which is no stroke")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise PieceBroken(folder=str(folder), reason=f"preview.svg is not a drawing: {error}") from error
    for element in root.iter():
        if element.tag not in _SVG_ELEMENTS:
            name = str(element.tag).removeprefix(_SVG)
            raise PieceBroken(folder=str(folder), reason=f"preview.svg holds <{name}>, which is no stroke")
        for name in element.attrib:
            if re.match(r"on|.*href|style", name, re.IGNORECASE):
                raise PieceBroken(
                    folder=str(folder), reason=f"preview.svg holds the attribute {name}, which is no shape"
                )
    if root.tag != f"{_SVG}svg":
        raise PieceBroken(folder=str(folder), reason="preview.svg does not begin with <svg>")
    return text


def _text(folder: Path, files: Mapping[str, bytes], name: str) -> str:
    try:
        return _file(folder, files, name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PieceBroken(folder=str(folder), reason=f"{name} is not UTF-8 at byte {error.start}") from error


def _file(folder: Path, files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise PieceBroken(folder=str(folder), reason=f"{name} is missing")
    return files[name]
