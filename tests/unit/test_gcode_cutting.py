# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools and material do not take, judged for a block that is given and for one that is guessed."""

import pytest

from edge.domain.block import Block
from edge.domain.machine import Position, Travel
from edge.domain.tool import Tool, ToolShape
from edge.gcode import Diagnostic, Dialect, Severity, check, cutting, interpret
from edge.gcode.limits import OPERATOR_BANNED

TRAVEL = Travel(Position(-300, -300, -100), Position(0, 0, 0), 3000, 12000, min_spindle=1000)
OFFSET = Position(-250, -250, -50)
MILL = Tool(1, "End mill 3 mm", ToolShape.FLAT, diameter=3.0, flute_length=6.0, max_plunge=200.0)
LONG = Tool(2, "Long mill", ToolShape.FLAT, diameter=2.0, flute_length=30.0)
KNIFE = Tool(3, "Knife", ToolShape.TURNING, diameter=0.8, flute_length=8.0, nose_radius=0.4)
TOOLS = {tool.number: tool for tool in (MILL, LONG)}
BLOCK = Block.behind_zero((60.0, 40.0, 10.0))
HEAD = b"T1\nM3 S10000\nG0 Z5\n"


def findings(text: bytes, block: Block | None = BLOCK, tools: dict[int, Tool] | None = None) -> list[Diagnostic]:
    program = interpret(text, dialect=Dialect(tool_change=True))
    table = TOOLS if tools is None else tools
    return check(program, TRAVEL, OFFSET, banned=OPERATOR_BANNED - {"M6"}, tools=table, block=block)


def found(text: bytes, block: Block | None = BLOCK) -> list[tuple[int, str, str]]:
    return [(item.line, item.code, item.severity.value) for item in findings(text, block)]


def test_a_good_cut_has_no_finding() -> None:
    text = HEAD + b"G0 X10 Y10\nG0 Z1\nG1 Z-2 F150\nX50 F600\nG3 X50 Y20 J5\nG0 Z5\nM5\nM30\n"
    assert findings(text) == []
    assert findings(text, block=None) == []


class TestRapids:
    """A rapid may go where the material is away, and nowhere else."""

    def test_across_the_block(self) -> None:
        text = HEAD + b"G0 X10 Y10\nG1 Z-1 F150\nG0 X30\nG0 Z5\n"
        assert found(text) == [(6, "rapid-in-stock", "error")]
        (item,) = findings(text)
        assert item.text == "The rapid goes through material, 1.00 mm under its upper face."
        assert item.remedy.startswith("Raise the tool")
        assert item.words == ("X30",)

    def test_of_a_block_that_is_guessed_it_is_a_warning(self) -> None:
        text = HEAD + b"G0 X10 Y10\nG1 Z-1 F150\nG1 Y20 F600\nG0 X30\nG1 Y10\nG0 Z5\n"
        assert found(text, None) == [(7, "rapid-in-stock", "warning")]

    def test_down_into_it(self) -> None:
        assert found(HEAD + b"G0 X10 Y10\nG0 Z-1\nG0 Z5\n") == [(5, "rapid-in-stock", "error")]

    def test_where_it_was_cut_before_it_may_go(self) -> None:
        """Pecks of a hole, back through a slot, and into a hole that a helix has made."""
        peck = HEAD + b"G0 X10 Y10\nG1 Z-1 F150\nG0 Z2\nG0 Z-0.9\nG1 Z-2\nG0 Z5\n"
        slot = HEAD + b"G0 X10 Y10\nG1 Z-1 F150\nX30 F600\nG0 X10\nG0 Z5\n"
        helix = HEAD + b"G0 X12 Y10\nG1 Z0 F150\nG3 X12 Y10 Z-2 I-2\nG3 X12 Y10 I-2\nG0 Z5\nG0 Z-1.9\nG0 Z5\n"
        for text in (peck, slot, helix):
            assert found(text) == []
            assert found(text, None) == []

    def test_wider_than_what_was_cut_it_may_not_go(self) -> None:
        text = b"T2\nM3 S9000\nG0 Z5\nG0 X10 Y10\nG1 Z-1 F150\nX30 F600\nG0 Z5\nT1\nG0 X10\nG0 Z-1\nG0 X30\nG0 Z5\n"
        assert found(text) == [(10, "rapid-in-stock", "error"), (11, "rapid-in-stock", "error")]

    def test_beside_the_block_it_may_go_deep(self) -> None:
        assert found(HEAD + b"G0 X-5 Y-5\nG0 Z-3\nG0 X70\nG0 Z5\n") == []

    def test_before_the_program_has_said_how_high_the_tool_is_nobody_knows(self) -> None:
        text = b"T1\nM3 S9000\nG0 X10 Y10\nG0 X20\nG0 Z15\nG0 X30\nG1 Z8 F150\nX40 F600\nG0 Z15\n"
        on_the_table = Block(Position(0, 0, 0), Position(60, 40, 10))
        assert found(text, on_the_table) == []
        assert found(text, None) == []
        down = b"T1\nM3 S9000\nG0 X10 Y10\nG0 Z-2\nG0 Z5\n"
        assert found(down) == [(4, "rapid-in-stock", "error")]

    def test_machine_coordinates_count_from_the_work_offset(self) -> None:
        text = HEAD + b"G0 X10 Y10\nG53 G0 Z-52\nG53 G0 Z-5\n"
        assert found(text) == [(5, "rapid-in-stock", "error")]
        program = interpret(text)
        blind = check(program, TRAVEL, None, banned=OPERATOR_BANNED, tools=TOOLS, block=BLOCK)
        assert [item.code for item in blind] == ["travel-unchecked"]

    def test_at_most_twenty_lines_are_told(self) -> None:
        text = HEAD + b"".join(b"G0 X10 Y%d\nG0 Z-1\nG0 Z5\n" % y for y in range(4, 34))
        assert [item.code for item in findings(text)] == ["rapid-in-stock"] * 20

    @pytest.mark.parametrize(
        ("tool", "depth"),
        [
            (Tool(1, "V 60", ToolShape.V, 3.175, 8.0, tip_angle=60.0), 0.5),
            (Tool(1, "V 60", ToolShape.V, 3.175, 8.0, tip_angle=60.0), 1.0),
            (Tool(1, "V 30", ToolShape.V, 6.0, 8.0, tip_angle=30.0), 2.0),
            (Tool(1, "V 30", ToolShape.V, 12.0, 8.0, tip_angle=30.0), 2.0),
            (Tool(1, "Ball", ToolShape.BALL, 6.0, 8.0), 0.5),
        ],
    )
    @pytest.mark.parametrize("aside", [0.0, 0.07, 0.19])
    def test_a_pointed_tool_down_into_it(self, tool: Tool, depth: float, aside: float) -> None:
        """However little such a tool takes beside what a disc as wide as its shank would."""
        into = b"G0 X%.2f Y20\nG0 Z-%.2f\n" % (20 + aside, depth)
        back = b"G1 Z-%.2f F100\nX30 Y33.3\nG0 Z5\nG0 X%.2f Y20\nG0 Z-%.2f\nG1 X30 Y33.3\nG0 Z5\n"
        (item,) = findings(HEAD + into + b"G0 Z5\n", tools={1: tool})
        assert (item.line, item.code, item.severity) == (5, "rapid-in-stock", Severity.ERROR)
        assert findings(HEAD + into.splitlines(True)[0] + back % (depth, 20 + aside, depth), tools={1: tool}) == []

    @pytest.mark.parametrize(("step", "depth"), [(0.3, 0.5), (1.5, 0.15), (0.02, 0.1)])
    def test_in_steps_that_are_too_short_to_take_much(self, step: float, depth: float) -> None:
        """They are one way, and told once."""
        steps = b"".join(b"G0 X%.2f\n" % (-5 + number * step) for number in range(int(70 / step)))
        (item,) = findings(HEAD + b"G0 X-5 Y20\nG0 Z-%.2f\n" % depth + steps + b"G0 Z5\n")
        assert (item.code, item.severity) == ("rapid-in-stock", Severity.ERROR)

    def test_a_long_way_through_the_air_hides_no_short_one_through_a_wall(self) -> None:
        thin = Block(Position(0, 0, -10), Position(2, 40, 0))
        assert found(HEAD + b"G0 X-5 Y20\nG0 Z-1\nG0 X240\nG0 Z5\n", thin) == [(6, "rapid-in-stock", "error")]

    def test_each_way_in_short_steps_is_told(self) -> None:
        way = b"G0 X20 Y%d\nG1 Z-0.3 F150\n" + b"".join(b"G0 X%.1f\n" % (20 + n * 0.1) for n in range(99)) + b"G0 Z5\n"
        told = [item.code for item in findings(HEAD + way % 10 + way % 20)]
        assert told == ["rapid-in-stock"] * 2

    def test_of_a_very_long_program_it_is_said_that_nobody_looked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cutting, "MOST_MOVES", 1)
        text = HEAD + b"G0 X10 Y10\nG1 Z-1 F150\nX20\nG0 X30\nG0 Z5\n"
        assert found(text) == [(0, "rapids-unchecked", "warning")]

    def test_of_a_very_long_program_only_what_is_near_its_rapids_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        far = b"".join(b"X%.1f Y%.1f\n" % (30 + n % 20, 20 + n % 7) for n in range(60))
        text = HEAD + b"G0 X40 Y20\nG1 Z-1 F150\n" + far + b"G0 Z5\nX10 Y10\nG1 Z-1\nX14\nG0 X10\nG0 X%d\nG0 Z5\n"
        for wide in (13, 20):
            whole = found(text % wide)
            assert [item[1] for item in whole] == ["rapid-in-stock"] * (wide == 20)
            with monkeypatch.context() as short:
                short.setattr(cutting, "MOST_MOVES", 20)
                assert found(text % wide) == whole


class TestTools:
    """The table says which tools there are, and what each takes."""

    def test_one_that_the_table_does_not_have(self) -> None:
        text = b"M3 S9000\n(T8) G0 X1 T7 M6\nG0 X2\nT7\nT0\n"
        (item,) = findings(text)
        assert (item.line, item.column, item.code, item.severity) == (2, 12, "tool-not-in-table", Severity.ERROR)
        assert item.words == ("T7",)
        assert item.text == "The tool T7 is not in the machine's table, which has T1, T2."

    def test_without_a_table_any_number_goes(self) -> None:
        own = Tool(0, "Cutter", ToolShape.FLAT, diameter=1.0, flute_length=3.0)
        assert findings(b"T7\nG0 X1\n", tools={}) == []
        assert findings(b"T7\nG0 X1\n", tools={0: own}) == []

    def test_a_machine_that_cuts_with_no_tool_is_not_asked(self) -> None:
        program = interpret(b"T7\nG0 Z-1\nG1 X5 F100\n")
        assert check(program, TRAVEL, OFFSET) == []

    def test_deeper_than_its_flutes(self) -> None:
        text = HEAD + b"G0 X10 Y10\nG1 Z-5 F150\nX20\nZ-6.5\nX30\nZ-7\nG0 Z5\n"
        (item,) = findings(text)
        assert (item.line, item.code, item.severity) == (7, "depth-over-flute", Severity.ERROR)
        assert item.text == ("End mill 3 mm goes 7.00 mm deep, and its flutes are 6 mm long. 2 more lines are like it.")
        (guessed,) = findings(text, None)
        assert guessed.severity is Severity.WARNING
        assert findings(text.replace(b"T1", b"T2")) == []

    def test_beside_the_block_depth_is_no_matter(self) -> None:
        assert findings(HEAD + b"G0 X-9 Y-9\nG1 Z-9 F150\nX-8\nG0 Z5\n") == []

    def test_plunging_too_fast(self) -> None:
        text = HEAD + b"G0 X10 Y10\nG1 Z-1 F600\nX20\nG0 Z5\nG0 X30\nG1 Z-1\nG0 Z5\n"
        (item,) = findings(text)
        assert (item.line, item.code, item.severity) == (5, "plunge-too-fast", Severity.WARNING)
        assert (
            item.text == "The plunge goes down at 600 mm/min; End mill 3 mm takes 200 mm/min. 1 more line is like it."
        )

    def test_a_ramp_a_helix_and_a_way_up_do_not_plunge(self) -> None:
        ramp = HEAD + b"G0 X10 Y10\nG1 Z0 F150\nX30 Z-2 F900\nZ1\nG0 Z5\n"
        helix = HEAD + b"G0 X12 Y10\nG1 Z0 F150\nG3 X12 Y10 Z-2 I-2 F900\nG0 Z5\n"
        assert findings(ramp) == []
        assert findings(helix) == []

    def test_a_steep_way_down_counts_by_its_way_down(self) -> None:
        text = HEAD + b"G0 X10 Y10\nG1 Z0 F150\nX11 Z-2 F%d\nG0 Z5\n"
        assert findings(text % 220) == []
        assert [item.code for item in findings(text % 230)] == ["plunge-too-fast"]

    def test_a_turning_tool_is_not_judged_as_a_mill(self) -> None:
        assert findings(b"T3\nG0 X10 Z-5\nG1 X5 F100\n", tools={3: KNIFE}) == []


class TestSpindle:
    """A tool that stands still breaks in the first cut."""

    def test_that_was_never_turned_on(self) -> None:
        text = b"T1\nG0 Z5\nG0 X10 Y10\nG1 Z-1 F150\nX20\nG0 Z5\n"
        (item,) = findings(text)
        assert (item.line, item.code, item.severity) == (4, "spindle-off-in-cut", Severity.ERROR)
        assert findings(text, None)[0].severity is Severity.WARNING
        assert findings(text.replace(b"G0 Z5", b"M3 S2000 G0 Z5")) == []

    def test_that_was_turned_off_or_has_no_speed(self) -> None:
        cut = b"G0 X10 Y10\nG1 Z-1 F150\nX20\nM5\nX30\nG0 Z5\n"
        assert found(HEAD + cut) == [(8, "spindle-off-in-cut", "error")]
        assert found(b"T1 M3\nG0 Z5\nG0 X10 Y10\nG1 Z-1 F150\nG0 Z5\n") == [(4, "spindle-off-in-cut", "error")]

    def test_the_way_to_the_first_height_begins_nobody_knows_where(self) -> None:
        text = b"T1\nG1 Z12 F500\nM3 S9000\nG1 Z4 F100\nX50\nG0 Z12\n"
        on_the_table = Block(Position(0, 0, 0), Position(60, 40, 10))
        assert found(text, on_the_table) == []
        assert found(text, None) == []

    def test_a_way_through_the_air_needs_none(self) -> None:
        assert findings(b"T1\nG0 Z5\nG1 X10 F500\nG0 Z9\n") == []

    def test_a_probe_needs_none(self) -> None:
        assert findings(b"T1\nG0 Z5\nG38.2 Z-5 F50\nG0 Z5\n") == []

    def test_slower_than_it_can(self) -> None:
        (item,) = findings(b"M3 S10000\nG0 X1\nS500\nG0 X2\nS600\nG0 X3\n")
        assert (item.line, item.code, item.severity) == (3, "spindle-under-limit", Severity.WARNING)
        assert item.words == ("S500",)

    def test_faster_than_it_can(self) -> None:
        (item,) = findings(b"M3 S15000\nG0 X1\n")
        assert (item.line, item.code, item.severity) == (1, "spindle-over-limit", Severity.WARNING)
        assert item.text.endswith("over the machine's 12000 rev/min. The controller will run it at 12000 rev/min.")


class TestUnplaced:
    """Cuts of which nobody knows where they are."""

    ANYWHERE = Dialect(start=None, offset=OFFSET)

    def check(self, text: bytes, block: Block | None = BLOCK) -> list[Diagnostic]:
        program = interpret(text, dialect=self.ANYWHERE)
        return check(program, TRAVEL, OFFSET, banned=OPERATOR_BANNED, tools=TOOLS, block=block)

    @pytest.mark.parametrize("block", [BLOCK, None])
    @pytest.mark.parametrize(
        ("text", "line", "axes"),
        [
            (b"G1 Z-1 F150\nX10 Y10 F600\nX20\n", 4, "X and Y"),
            (b"G0 X10\nG1 Z-1 F150\nX20 F600\n", 5, "Y"),
            (b"G1 X20 Y20 F600\nG1 Z-1 F150\nG0 Z5\nX900\nG1 Z-1 F600\n", 0, ""),
        ],
    )
    def test_are_told_once(self, text: bytes, line: int, axes: str, block: Block | None) -> None:
        unknown = [item for item in self.check(HEAD + text, block) if item.code == "place-unknown"]
        assert [(item.line, item.severity) for item in unknown] == ([(line, Severity.WARNING)] if line else [])
        assert all(f"a place of {axes}:" in item.text for item in unknown)

    def test_are_told_by_the_word_that_counts_from_there_where_there_is_one(self) -> None:
        for word, line in ((b"G91 G1 X5 F150", 4), (b"G55", 4), (b"G92 X0", 4)):
            text = HEAD + word + b"\nG90\nG0 X10 Y10 Z5\nG1 Z-1 F150\nX20 F600\nG0 Z5\n"
            assert [(item.line, item.code) for item in self.check(text)] == [(line, "place-unknown")], word

    def test_above_the_material_are_no_matter(self) -> None:
        assert self.check(HEAD + b"G1 Z4 F150\nG0 X10 Y10\nG1 Z-1 F150\nX20 F600\nG0 Z5\n") == []

    def test_a_probe_at_a_place_that_nobody_knows_cuts_nothing(self) -> None:
        assert self.check(b"G0 Z5\nG38.2 Z-3 F50\nG0 Z5\n") == []

    def test_how_deep_they_are_is_judged_where_the_block_holds_every_cut(self) -> None:
        text = HEAD + b"G1 Z-7 F150\nG1 X10 Y10 F600\nG0 Z5\n"
        assert [item.code for item in self.check(text, None)] == ["place-unknown", "depth-over-flute"]
        assert [item.code for item in self.check(text)] == ["place-unknown"]

    def test_behind_a_height_that_nobody_knows_only_the_end_counts(self) -> None:
        text = HEAD + b"G0 X10 Y10\nG92.1\nG0 Z-9\nG53 G0 Z-1\nG0 X20\n"
        assert [item.code for item in self.check(text)] == ["place-unknown"]


def test_a_feed_that_is_faster_than_the_machine() -> None:
    (item,) = findings(b"M3 S9000\nG1 X1 F4500\nX2\n", tools={})
    assert (item.line, item.code, item.severity) == (2, "feed-over-limit", Severity.WARNING)
    assert item.text == (
        "The feed F4500 mm/min is over the machine's 3000 mm/min. "
        "The controller will run each axis at 3000 mm/min at most. 1 more line is like it."
    )


def test_a_feed_that_is_slower_than_the_controller_moves() -> None:
    (item,) = findings(b"M3 S9000\nG1 X1 F0.02\nX2\nX3 F1\n", tools={})
    assert (item.line, item.code, item.severity) == (2, "feed-under-limit", Severity.WARNING)
    assert (
        item.text == "The feed is 0.02 mm/min, and the controller moves at 1 mm/min at least. 1 more line is like it."
    )
