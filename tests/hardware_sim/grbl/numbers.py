# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as the controller reads, keeps and prints them: 8 digits, no exponent, single precision.

The rounding of each single precision step is followed where a position depends on it: which step a target falls on
and which last digit is printed (gnea/grbl nuts_bolts.c read_float, print.c printFloat).
"""

from ctypes import c_float

MAX_DIGITS = 8
INCH = 25.4
_PER_INCH = 0.0393701
_LONGEST = 0x7FFFFFFF


def single(value: float) -> float:
    """`value` rounded to single precision."""
    return c_float(value).value


_TENTH, _HUNDREDTH = single(0.1), single(0.01)


def read_number(line: str, at: int) -> tuple[float, int] | None:
    """Value and next position of the number at `at`, or None when there is no digit.

    Leading zeros count as digits; digits after the eighth are not kept, so ``000000000100`` reads as 0
    (trace line_too_long).
    """
    end = len(line)
    negative = False
    if at < end and line[at] in "+-":
        negative = line[at] == "-"
        at += 1
    value = digits = exponent = 0
    decimal = False
    while at < end:
        char = line[at]
        if "0" <= char <= "9":
            digits += 1
            if digits <= MAX_DIGITS:
                value = value * 10 + ord(char) - 48
                exponent -= decimal
            elif not decimal:
                exponent += 1
        elif char == "." and not decimal:
            decimal = True
        else:
            break
        at += 1
    if not digits:
        return None
    number = single(value)
    while exponent <= -2:
        number = single(number * _HUNDREDTH)
        exponent += 2
    if exponent < 0:
        number = single(number * _TENTH)
    for _ in range(exponent):
        number = single(number * 10)
    return (-number if negative else number), at


def quotient(steps: int, scale: float) -> float:
    """Length of `steps`; 0 where a setting of 0 steps/mm leaves none."""
    return single(steps / scale) if scale else 0.0


def fixed(value: float, decimals: int) -> str:
    """`value` with `decimals` places, rounded half away from zero."""
    number = single(abs(value))
    for _ in range(decimals // 2):
        number = single(number * 100)
    if decimals % 2:
        number = single(number * 10)
    scaled = int(min(single(number + 0.5), _LONGEST))
    sign = "-" if value < 0 else ""
    if not decimals:
        return f"{sign}{scaled}"
    whole, part = divmod(scaled, 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}"


def coordinate(value_mm: float, *, inches: bool) -> str:
    """A length in the report unit: 3 places in mm, 4 in inches."""
    return fixed(single(value_mm * _PER_INCH), 4) if inches else fixed(value_mm, 3)


def rate(value_mm_min: float, *, inches: bool) -> str:
    """A feed in the report unit: whole mm/min, or inches/min with one place."""
    return fixed(single(value_mm_min * _PER_INCH), 1) if inches else fixed(value_mm_min, 0)
