# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fuzzing is made of: programs and conversations that look real, and ways to spoil them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

REPLIES = (
    "ok",
    "error:2",
    "error:9",
    "ALARM:1",
    "ALARM:3",
    "<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:-1.000,0.000,0.000>",
    "<Run|MPos:1.000,-2.000,3.000|FS:800,12000|Ov:100,100,100|A:SF>",
    "<Hold:1|MPos:1.000,0.000,0.000|Bf:15,128|FS:0,0>",
    "<Hold:0|WPos:1.000,0.000,0.000|F:0>",
    "<Door:0|MPos:0.000,0.000,0.000|FS:0,0|Pn:DXYZ>",
    "<Alarm|MPos:0.000,0.000,0.000|FS:0,0>",
    "[MSG:'$H'|'$X' to unlock]",
    "[MSG:Check Door]",
    "[MSG:Reset to continue]",
    "[VER:1.1h.20190830:]",
    "[OPT:V,15,128]",
    "[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]",
    "[G54:-250.000,-170.000,-40.000]",
    "[PRB:0.000,0.000,1.492:1]",
    "$110=3000.000",
    "$N0=G54",
    ">G54:ok",
    "Grbl 1.1h ['$' for help]",
    "GrblHAL 1.1f ['$' or '$HELP' for help]",
)

GCODE = (
    *("G0 X1 Y2", "G1 X1.5 Y-2.25 F800", "N10 G1 X3", "G2 X2 Y0 I1 J0 F300", "G3 X0 Y5 R2.5", "X.5", "Y-.5 Z+1."),
    *("G21 G90 G17 G94", "G20", "G91", "G93 G1 X1 F2", "G92 X0 Y0", "G92.1", "G53 G0 Z-1", "G28", "G43.1 Z1", "G49"),
    *("M3 S8000", "M5", "M8", "M9", "G4 P0.5", "M0", "M30", "T1 M6", "G18", "G19 G2 Y1 J.5", "S100", "F1e9", "%", "$H"),
    *("(a comment)", "; all of it", "G1 (in (nested) it) X2", "G0 X99999999999999999999", "G1 X0.00000000001 F.0001"),
    *("G1 XNaN", "G1 Xinf", "G0 X--1", "G1 X1 X2", "G10 L2 P1 X0", "G38.2 Z-5 F10", "/G0 X1", "O100", "#1=2", "G80"),
    *("G2 X0 Y0 I5 J0 F100", "G2 R1 X9", "g1x1y1f100", "\t G0\tX1 ", "", "X" + "1" * 90, "G1X1" + " " * 200 + "Y2"),
)

DIAL = b"0123456789.-+XYZIJKRFGMNPSTL \r\n%()!?~;/\x00\x18\x80\xff"


@st.composite
def spoiled(draw: st.DrawFn, lines: tuple[str, ...], *, end: str = "\n", most: int = 40) -> bytes:
    """Return some of `lines`, with bytes changed, taken out, put in or cut off."""
    text = bytearray(end.join([*draw(st.lists(st.sampled_from(lines), max_size=most)), ""]).encode("ascii"))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(["change", "take", "put", "cut", "repeat"])):
            case "change" if at < len(text):
                text[at] = draw(st.integers(0, 255))
            case "take":
                del text[at : at + draw(st.integers(1, 8))]
            case "put":
                text[at:at] = bytes(draw(st.lists(st.sampled_from(DIAL), max_size=6)))
            case "cut":
                del text[at:]
            case "repeat":
                text[at:at] = text[at : at + 30] * draw(st.integers(1, 40))
            case _:
                pass
    return bytes(text)


programs = st.one_of(st.binary(max_size=300), spoiled(GCODE), spoiled(GCODE, end="\r\n"))
conversations = st.one_of(st.binary(max_size=300), spoiled(REPLIES, end="\r\n"))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return `data` cut at `cuts`, which may be anywhere."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(edges)]
