"""Greedy dedup of what is left, compared with its definition in words, on thousands of cases."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels import greedy
from swallow_spark.kernels.minhash import estimated_jaccard

Pages = list[set[int]]  # the buckets of each page, in the order of doc_ids


def defined(pages: Pages, sketches: np.ndarray, min_similarity: float | None) -> set[int]:
    """The pages that fall, one page after the other."""
    leaders: dict[int, int] = {}
    fallen = set()
    for page, buckets in enumerate(pages):
        met = [leaders[bucket] for bucket in buckets if bucket in leaders]
        if min_similarity is not None:
            near = [float(estimated_jaccard(sketches[[page]], sketches[[other]])[0]) for other in met]
            met = [other for other, value in zip(met, near, strict=True) if value >= np.float32(min_similarity)]
        if met:
            fallen.add(page)
        else:
            for bucket in buckets:
                leaders.setdefault(bucket, page)
    return fallen


def check(pages: Pages, rng: random.Random, min_similarity: float | None) -> int:
    rows = [(page, bucket * 7919 - 40000) for page, buckets in enumerate(pages) for bucket in buckets]
    rng.shuffle(rows)
    doc_ids = np.array([page - 3 for page, _ in rows], np.int64)  # orders other than the oldest have negative numbers
    keys = np.array([key for _, key in rows], np.int64)
    sketches = np.array([[rng.choice((0, 1, 15, 255)) for _ in range(3)] for _ in pages], np.uint8).reshape(-1, 3)
    beside = None if min_similarity is None else sketches[doc_ids + 3]
    found = greedy.falls(keys, doc_ids, beside, min_similarity or 0)
    expected = defined(pages, sketches, min_similarity)
    assert found.tolist() == sorted(page - 3 for page in expected)
    return len(expected)


@pytest.mark.parametrize("min_similarity", [None, 0.0, 0.5, 0.75, 1.0])
def test_two_thousand_random_cases(min_similarity: float | None) -> None:
    rng = random.Random(f"{min_similarity}")
    fallen = 0
    for _ in range(2000):
        pages = [{rng.randrange(rng.choice((4, 12, 60))) for _ in range(rng.randint(1, 4))} for _ in range(12)]
        fallen += check(pages, rng, min_similarity)
    assert fallen > 300


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 8), min_size=1, max_size=4), max_size=15),
    st.randoms(use_true_random=False),
    st.sampled_from([None, 0.0, 1 / 3, 0.5, 1.0]),
)
def test_any_case(pages: Pages, rng: random.Random, min_similarity: float | None) -> None:
    check(pages, rng, min_similarity)


def test_every_second_page_of_a_chain_of_ninety_links() -> None:
    keys = np.repeat(np.arange(90), 2)
    doc_ids = keys + np.tile([0, 1], 90)
    assert greedy.falls(keys, doc_ids).tolist() == list(range(1, 91, 2))


@pytest.mark.parametrize("bits", [8, 64, 800])
@pytest.mark.parametrize("least", [0, 0.25, 0.5, 0.8, 0.9, 0.95, 1, 1 / 3])
def test_the_bits_that_may_differ(bits: int, least: float) -> None:
    most = greedy._most_differing(bits, least)
    for differing in {0, max(0, most - 1), most, min(bits, most + 1), bits}:
        one = np.packbits(np.arange(bits) < differing)[None]
        similar = estimated_jaccard(one, np.zeros_like(one))[0] >= np.float32(least)
        assert similar == (differing <= most)
