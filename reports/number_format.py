"""How numbers are written: as many digits as a reader can use, and no exponents."""

from __future__ import annotations

import math


def significant(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits: 0.0123, 1.23, 12.3, 123, 2580."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:.{decimals}f}"


def percent(fraction: float) -> str:
    """A fraction 0..1 in percent with two decimals, as segmentation tables print it: 67.20."""
    return f"{100 * fraction:.2f}"


def points(value: float) -> str:
    """A difference in percentage points, with its sign: +2.45, −0.10, 0.00."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def one_decimal(value: float) -> str:
    """With one decimal: 78.4."""
    return f"{value:.1f}"
