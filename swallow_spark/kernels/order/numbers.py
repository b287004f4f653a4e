"""Numbers as people write them: 8.3B, 45M, 1.9e9, 7_000_000."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

_UNITS: Final = {"": 0, "k": 3, "m": 6, "b": 9, "g": 9, "t": 12}


def whole(text: str) -> int:
    """The number, rounded. Raises ValueError for other text, and for numbers below 1."""
    match = re.fullmatch(r"([0-9][0-9_]*(?:\.[0-9]+)?(?:e\+?[0-9]{1,2})?)([kmbgt]?)", text.lower())
    number = Fraction(Decimal(match[1])) * 10 ** _UNITS[match[2]] if match else Fraction(0)
    if number < 1:
        raise ValueError(f"{text!r} is no number: write it as 8.3B, 45M, 1.9e9 or 7_000_000")
    return round(number)
