# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as the controller reads and prints them (8 digits, no exponent, half away from zero)."""

import math

MAX_DIGITS = 8
INCH = 25.4


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
    number = value / 10**-exponent if exponent < 0 else float(value * 10**exponent)
    return (-number if negative else number), at


def quotient(steps: int, scale: float) -> float:
    """Length of `steps`; 0 where a setting of 0 steps/mm leaves none."""
    return steps / scale if scale else 0.0


def fixed(value: float, decimals: int) -> str:
    """`value` with `decimals` places, rounded half away from zero."""
    scaled = math.floor(abs(value) * 10**decimals + 0.5)
    sign = "-" if value < 0 else ""
    if not decimals:
        return f"{sign}{scaled}"
    whole, part = divmod(scaled, 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}"


def coordinate(value_mm: float, *, inches: bool) -> str:
    """A length in the report unit: 3 places in mm, 4 in inches."""
    return fixed(value_mm / INCH, 4) if inches else fixed(value_mm, 3)


def rate(value_mm_min: float, *, inches: bool) -> str:
    """A feed in the report unit: whole mm/min, or inches/min with one place."""
    return fixed(value_mm_min / INCH, 1) if inches else fixed(value_mm_min, 0)
