"""Ends of chains, against following them link by link."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.kernels.minhash.chains import ends


def slow_ends(witnesses: dict[int, int]) -> dict[int, int]:
    found = {}
    for page, end in witnesses.items():
        while end in witnesses:
            end = witnesses[end]
        found[page] = end
    return found


@given(st.dictionaries(st.integers(1, 60), st.integers(0, 59)), st.sampled_from([1, -1, 2**33]))
def test_ends_as_followed_link_by_link(drawn: dict[int, int], factor: int) -> None:
    witnesses = {page * factor: witness * factor for page, witness in drawn.items() if witness < page}
    pages = np.array(list(witnesses), np.int64)
    found = ends(pages, np.array(list(witnesses.values()), np.int64))
    assert dict(zip(pages.tolist(), found.tolist(), strict=True)) == slow_ends(witnesses)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 63, 64, 65, 1000])
def test_one_long_chain(length: int) -> None:
    pages = np.random.default_rng(1).permutation(length) + 1
    assert ends(pages, pages - 1).tolist() == [0] * length


def test_chain_that_comes_back_to_its_beginning() -> None:
    with pytest.raises(ValueError, match="without end"):
        ends(np.array([1, 2, 3]), np.array([2, 3, 1]))
