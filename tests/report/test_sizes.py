"""Estimates of tokens, and their errors, against repeated sampling."""

import math
import random

import pytest

from swallow_spark.report.sizes import estimate


def test_estimates_are_right_on_average_and_so_are_their_errors() -> None:
    rng = random.Random(2)
    pages = [
        (length, round(length * rng.gauss(0.6, 0.05))) for length in (rng.randint(400, 9_000) for _ in range(3_000))
    ]
    characters, tokens = (sum(page[i] for page in pages) for i in (0, 1))
    found = [estimate(rng.sample(pages, 200), len(pages), characters) for _ in range(400)]
    spread = (sum((number - tokens) ** 2 for number, _ in found) / len(found)) ** 0.5
    error = sum(error for _, error in found) / len(found)
    assert abs(sum(number for number, _ in found) / len(found) - tokens) < 4 * spread / len(found) ** 0.5
    assert 0.9 < error / spread < 1.1
    assert error < 0.01 * tokens


@pytest.mark.parametrize(
    ("sample", "documents", "characters", "expected"),
    [
        ([], 0, 0, (0, 0.0)),
        ([(0, 0)], 1, 0, (0, 0.0)),
        ([(10, 5), (20, 20)], 2, 30, (25, 0.0)),  # all of them: counted
        ([(10, 5)], 9, 100, (50, math.inf)),
    ],
)
def test_small_samples(
    sample: list[tuple[int, int]], documents: int, characters: int, expected: tuple[int, float]
) -> None:
    assert estimate(sample, documents, characters) == expected
