"""[[subsets]] and [cleanup]: which pages become training text, and how it is cleaned."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from swallow_spark.sections.section import Name, Section


class Band(NamedTuple):
    """The documents between two shares from the top: above `start`, down to and with `end`; exact decimals."""

    name: str
    start: Fraction
    end: Fraction


def parse_band(name: str) -> Band:
    """`top10` is the best 10 %; `top10-30` what follows, down to 30 %. Raises ValueError for anything else."""
    match = re.fullmatch(r"top(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", name, re.ASCII)
    if match:
        cuts = [Fraction(Decimal(cut)) / 100 for cut in match.groups() if cut is not None]
        start, end = cuts if len(cuts) == 2 else (Fraction(0), cuts[0])
        if start < end <= 1:
            return Band(name, start, end)
    raise ValueError(f"{name!r} is no band: write top10 (the best 10 %) or top10-30 (the 20 % behind them)")


def _bands(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        parse_band(name)
    return names


class Subset(Section):
    """Top-k% bands of the accepted survivors by one classifier; each becomes the subset `CLASSIFIER-BAND`."""

    classifier: Name
    bands: Annotated[tuple[str, ...], AfterValidator(_bands)] = ("top10", "top10-30")


class Cleanup(Section):
    """What is done to texts when subsets are written: Japanese commas and full stops, footers trimmed."""

    mode: Literal["careful", "swallow", "off"] = Field(
        default="careful", description="swallow: as the original; careful: never the first line nor more than half"
    )
