"""Samples by hash: of the right size, nested, and different for another seed."""

from fractions import Fraction

import numpy as np
import pytest

from swallow_spark.kernels.order.sampling import hashes, is_sampled

DOC_IDS = np.arange(200_000, dtype=np.int64) + (3 << 53)


@pytest.mark.parametrize("share", [Fraction(1, 2), Fraction(31, 50), Fraction(1, 1000)])
def test_a_share_is_about_that(share: Fraction) -> None:
    number = int(is_sampled(DOC_IDS, 7, share).sum())
    expected = float(share) * len(DOC_IDS)
    assert abs(number - expected) < 5 * (expected * (1 - float(share))) ** 0.5


def test_all_and_none() -> None:
    assert is_sampled(DOC_IDS, 1, Fraction(1)).all()
    assert not is_sampled(DOC_IDS, 1, Fraction(0)).any()


def test_a_larger_sample_holds_a_smaller_one() -> None:
    small, large = (is_sampled(DOC_IDS, 5, Fraction(n, 10)) for n in (2, 3))
    assert small.sum() < large.sum()
    assert not (small & ~large).any()


def test_seeds_give_independent_samples() -> None:
    one, other = (is_sampled(DOC_IDS, seed, Fraction(1, 10)) for seed in (1, 2))
    both = int((one & other).sum())
    assert 0.008 < both / len(DOC_IDS) < 0.012
    assert is_sampled(DOC_IDS[::-1], 1, Fraction(1, 10)).tolist() == one[::-1].tolist()


def test_hashes_are_what_they_were() -> None:
    """Exports depend on them: they must not change."""
    assert [f"{value:x}" for value in hashes(np.array([1, 1 << 53], np.int64), 1)] == HASHES


def plain(doc_id: int, seed: int) -> int:
    def mixed(z: int) -> int:
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    return mixed(mixed(doc_id) ^ (seed + 1) * 0x9E3779B97F4A7C15 % 2**64)


HASHES = [f"{plain(doc_id, 1):x}" for doc_id in (1, 1 << 53)]
