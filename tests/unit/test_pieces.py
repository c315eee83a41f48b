# SPDX-License-Identifier: GPL-3.0-or-later
import shutil
from pathlib import Path

import pytest

from content import make_programs
from edge.design import TEMPLATES, compile_piece
from edge.domain.block import Block
from edge.domain.machine import Position, Travel
from edge.domain.piece import Piece
from edge.domain.tool import ToolShape
from edge.gcode import MotionSettings, check, interpret, plan
from edge.store.library import SHIPPED, PieceLibrary
from edge.store.pieces import PieceBroken, load_piece

PROGRAMS = Path(make_programs.__file__).parent / "programs"
PIECES = PieceLibrary(PROGRAMS, ()).pieces
TRAVEL = Travel(Position(-150, -100, -40), Position(0, 0, 0), 3000, 12000)
OFFSET = Position(-120, -80, -20)
ROUTERS = [
    MotionSettings(acceleration=(500, 500, 200)),
    MotionSettings(acceleration=(200, 200, 200)),
]


def test_there_are_three_pieces() -> None:
    assert list(PIECES) == ["bolt", "gear", "name-tag"]


@pytest.mark.parametrize("piece", PIECES.values(), ids=list(PIECES))
def test_a_piece_passes_the_check_and_takes_what_its_card_says(piece: Piece) -> None:
    program = interpret(piece.program)
    assert check(program, TRAVEL, OFFSET, tools={piece.cutter.number: piece.cutter}, block=piece.block) == []
    assert any(item.name == "M30" for item in program.commands)
    assert piece.program.isascii()
    assert not set(b"!?~%") & set(piece.program)
    for settings in ROUTERS:
        planned = plan(program, settings)
        assert piece.estimate_s[0] <= planned.seconds <= piece.estimate_s[1]
        assert planned.bounds is not None
        assert planned.bounds.low.x >= 0
        assert planned.bounds.low.y >= 0
        assert planned.bounds.high.x <= piece.stock[0]
        assert planned.bounds.high.y <= piece.stock[1]
        assert planned.bounds.low.z > -piece.stock[2]
        assert planned.bounds.high.z == 5
    assert min(piece.guess_choices_s) < piece.estimate_s[0]
    assert max(piece.guess_choices_s) > piece.estimate_s[1]
    assert piece.template is None or piece.template in TEMPLATES


@pytest.mark.parametrize("piece", PIECES.values(), ids=list(PIECES))
def test_words_are_there_in_five_languages_and_claim_nothing(piece: Piece) -> None:
    for texts in (piece.title, piece.description, piece.material):
        assert list(texts) == ["lt", "en", "lv", "et", "de"]
        assert len(set(texts.values())) == 5
    assert "safe" not in " ".join([*piece.description.values(), piece.program.decode(), piece.zero, piece.tool]).lower()
    assert 'stroke="currentColor"' in piece.svg
    assert len(piece.svg) < 10_000


def test_the_cutter_and_the_stock_of_a_piece_are_known_as_shapes(gear: Path) -> None:
    tag = PIECES["name-tag"]
    assert (tag.cutter.shape, tag.cutter.tip_angle, tag.cutter.tip_diameter) == (ToolShape.V, 60, 0.1)
    assert (tag.cutter.number, tag.cutter.name) == (0, tag.tool)
    assert tag.block == Block(Position(0, 0, -3), Position(80, 30, 0))
    text = (gear / "piece.toml").read_text()
    (gear / "piece.toml").write_text(text.replace("[cutter]\n", '[cutter]\nnumber = 7\nname = "Mill"\n'))
    cutter = load_piece(gear).cutter
    assert (cutter.number, cutter.name, cutter.shape) == (7, "Mill", ToolShape.FLAT)


def test_a_ready_made_name_tag_is_what_the_template_makes() -> None:
    assert PIECES["name-tag"].program.decode() == compile_piece("name-tag", {"text": "INFOMOBIL", "depth": "normal"})


@pytest.mark.parametrize("depth", PIECES["name-tag"].depths)
@pytest.mark.parametrize("text", ["A", "ŠĄŽINĖ-2.", "ÕNNELIK ÄÖÜ", "MWMWMWMWMWMWMW"])
def test_a_name_tag_of_any_depth_suits_its_cutter_and_its_stock(depth: str, text: str) -> None:
    tag = PIECES["name-tag"]
    program = interpret(compile_piece("name-tag", {"text": text, "depth": depth}).encode())
    assert check(program, TRAVEL, OFFSET, tools={tag.cutter.number: tag.cutter}, block=tag.block) == []


def test_the_generator_makes_what_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, shipped = tmp_path / "programs", tmp_path / "shipped"
    for piece in PIECES:
        (programs / piece).mkdir(parents=True)
        shutil.copy(PROGRAMS / piece / "piece.toml", programs / piece)
    monkeypatch.setattr(make_programs, "PROGRAMS", programs)
    monkeypatch.setattr(make_programs, "SHIPPED", shipped)
    make_programs.main()
    for path in programs.rglob("*.*"):
        assert path.read_bytes() == (PROGRAMS / path.relative_to(programs)).read_bytes(), path.name
    assert len(list(programs.rglob("*.*"))) == 9
    assert shipped.read_bytes() == SHIPPED.read_bytes(), "run python -m content.make_programs"


@pytest.fixture
def gear(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROGRAMS / "gear", tmp_path / "gear"))


def broken(folder: Path) -> str:
    with pytest.raises(PieceBroken) as caught:
        load_piece(folder)
    return str(caught.value)


def edit(folder: Path, old: str, new: str, name: str = "piece.toml") -> str:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    return broken(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert "the folder cannot be read: No such file" in broken(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["piece.toml", "program.nc", "preview.svg"])
def test_a_missing_file_is_named(gear: Path, name: str) -> None:
    (gear / name).unlink()
    assert f"{name} is missing" in broken(gear)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("feed = 650.0", "feed = ", "piece.toml is not TOML"),
        ('["router", "mill"]', '["router", "saw"]', "piece.toml, machines.1"),
        ('["router", "mill"]', "[]", "piece.toml, machines"),
        ('machines = ["router", "mill"]\n', "", "piece.toml, machines: Field required"),
        ("feed = 650.0", 'feed = "fast"', "piece.toml, feed"),
        ("feed = 650.0", "feed = -1", "piece.toml, feed"),
        ("feed = 650.0", "feed = 650.0\nspeed = 1", "piece.toml, speed: Extra inputs"),
        ('id = "gear"', 'id = "../gear"', "piece.toml, id"),
        ('id = "gear"', 'id = "wheel"', "is not the name of the folder"),
        ('lv = "Zobrats"\n', "", "title: the text in lv is missing"),
        ('lv = "Zobrats"', 'fr = "Roue"', "piece.toml, title.fr"),
        ("[65.0, 85.0]", "[85.0, 65.0]", "estimate_s: the first number is over the second"),
        ("[60.0, 60.0, 3.0]", "[60.0, 60.0]", "piece.toml, stock_mm"),
        ("[cutter]\n", "[cuter]\n", "piece.toml, cutter: Field required"),
        ("flute_mm = 4.0", "flute_mm = 0", "piece.toml, cutter.flute_mm"),
        (
            'shape = "flat"',
            'shape = "v"',
            "piece.toml, cutter: tip_angle_deg is missing: a tool",
        ),
    ],
)
def test_a_wrong_entry_is_named_with_its_key(gear: Path, old: str, new: str, words: str) -> None:
    assert words in edit(gear, old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("</svg>", "", "is not a drawing"),
        ("</svg>", "<script>x</script></svg>", "holds <script>"),
        ('<path d="', '<path onload="x" d="', "holds the attribute onload"),
        ('<path d="', '<path style="x" d="', "holds the attribute style"),
        ("<svg", "<!DOCTYPE svg><svg", "holds a document type"),
        ("<svg", "<g><svg", "is not a drawing"),
    ],
)
def test_a_drawing_that_is_more_than_strokes_is_refused(gear: Path, old: str, new: str, words: str) -> None:
    assert words in edit(gear, old, new, "preview.svg")


def test_a_drawing_that_is_no_svg_is_refused(gear: Path) -> None:
    (gear / "preview.svg").write_text('<g xmlns="http://www.w3.org/2000/svg"/>')
    assert "does not begin with <svg>" in broken(gear)
    (gear / "preview.svg").write_bytes(b"\xff\xfe")
    assert "preview.svg is not UTF-8 at byte 0" in broken(gear)


def test_a_huge_file_is_refused(gear: Path) -> None:
    (gear / "program.nc").write_bytes(b"G0 X1\n" * 400_000)
    assert "program.nc is over 2 MB" in broken(gear)
