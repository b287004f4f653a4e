"""Cuts and places of documents against a plain sort, without Spark."""

import random
import struct
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.kernels.order import cuts
from swallow_spark.kernels.order.cuts import Bin, Bins, Cut, Range, find, keys_of, num_cuts_above, score_of

Row = tuple[float, int, int]  # score, doc_id, weight

finite = st.floats(allow_nan=False, allow_infinity=False)
few = st.sampled_from([0.0, -0.0, 0.5, 5e-324, -5e-324, 1e-310, 1.7e308, -1.7e308, 1.0, 1.0000000000000002])
rows = st.lists(
    st.tuples(finite | few, st.integers(0, 2**63 - 1), st.integers(0, 9)), min_size=1, unique_by=lambda row: row[1]
)


def counted(documents: list[Row], parts: int = 2) -> cuts.Count:
    """Counts in some parts, as tasks do, and puts these together."""

    def count(ranges: list[Range], bins: int) -> list[list[Bin]]:
        assert ranges == sorted(ranges)
        assert len(ranges) * bins <= max(cuts.MOST_BINS, cuts.LEAST_BINS * len(ranges))
        merged: dict[tuple[int, int], Bin] = {}
        for part in range(parts):
            counts = Bins(ranges, bins)
            for own in (documents[part::parts][:3], documents[part::parts][3:]):
                scores, doc_ids, weights = zip(*own, strict=True) if own else ((), (), ())
                counts.add(keys_of(np.array(scores, float)), np.array(doc_ids, int), np.array(weights, int))
            for of, number, number_of, weight, *bounds in zip(*counts.columns(), strict=True):
                assert number < bins
                old = merged.get((of, number))
                low, high, first, last = bounds
                if old:
                    number_of, weight = number_of + old.documents, weight + old.weight
                    low, high = min(low, old.range.low), max(high, old.range.high)
                    first, last = min(first, old.range.first), max(last, old.range.last)
                found = Range(int(low), int(high), int(first), int(last))
                merged[of, number] = Bin(int(number), int(number_of), int(weight), found)
        return [sorted(bin_ for (of, _), bin_ in merged.items() if of == number) for number in range(len(ranges))]

    return count


def by_sorting(documents: list[Row], target: int) -> Cut | None:
    """The same by a plain sort."""
    if target == 0:
        return None
    ranked = sorted(documents, key=lambda row: (-row[0], row[1]))
    sums = list(accumulate(weight for _, _, weight in ranked))
    place = next(i for i, reached in enumerate(sums) if reached >= target)
    score, doc_id, _ = ranked[place]
    return Cut(place + 1, score + 0.0, doc_id, sums[place], sum(row[0] > score for row in ranked))


@given(rows, st.data())
def test_cuts_are_those_of_a_sort(documents: list[Row], data: st.DataObject) -> None:
    total = sum(weight for _, _, weight in documents)
    targets = data.draw(st.lists(st.integers(0, total), min_size=1, max_size=5))
    found = find(counted(documents), targets)
    assert found == [by_sorting(documents, target) for target in targets]
    assert all(cut is None or struct.pack("d", cut.score) != struct.pack("d", -0.0) for cut in found)


@pytest.mark.parametrize("equal", [0.5, 1.0])
def test_half_of_all_scores_or_all_are_equal(equal: float) -> None:
    rng = random.Random(5)
    documents = [(0.5 if rng.random() < equal else rng.random(), i << 40 | i % 7, 1) for i in range(20_000)]
    rng.shuffle(documents)
    targets = [1, 2_000, 6_000, 9_999, 10_001, 20_000]
    assert find(counted(documents), targets) == [by_sorting(documents, target) for target in targets]


def test_few_passes_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for scores and doc_ids of all sizes."""
    rng = np.random.default_rng(1)
    scores = rng.choice([-1.0, 1.0], 30_000) * rng.integers(0, 0x7FEFFFFFFFFFFFFF, 30_000).view(float)
    documents = list(zip(scores.tolist(), rng.integers(0, 2**63 - 1, 30_000).tolist(), [1] * 30_000, strict=True))
    passes = 0
    count = counted(documents)

    def counting(ranges: list[Range], bins: int) -> object:
        nonlocal passes
        passes += 1
        return count(ranges, bins)

    find(counting, [15_000])  # type: ignore[arg-type]
    assert passes <= 3
    passes = 0
    documents[:] = [(0.25, doc_id, 1) for _, doc_id, _ in documents]
    find(counting, [1, 15_000, 29_999])  # type: ignore[arg-type]
    assert passes <= 4


def test_many_cuts_at_once() -> None:
    rng = random.Random(3)
    documents = [(0.0, i * i, rng.randrange(1000)) for i in range(3_000)]
    total = sum(weight for _, _, weight in documents)
    targets = [total * i // 500 for i in range(1, 501)]
    assert find(counted(documents), targets) == [by_sorting(documents, target) for target in targets]


def test_a_cut_behind_all() -> None:
    with pytest.raises(ValueError, match="a cut after 4, but there are 3"):
        find(counted([(0.5, 1, 3)]), [4])


@given(st.lists(finite | few, min_size=2, max_size=2))
def test_keys_are_in_the_order_of_scores(pair: list[float]) -> None:
    first, second = keys_of(np.array(pair)).tolist()
    assert (first < second, first == second) == (pair[0] > pair[1], pair[0] == pair[1])
    assert [score_of(first), score_of(second)] == pair


@given(rows, st.data())
def test_places_between_cuts(documents: list[Row], data: st.DataObject) -> None:
    ranked = sorted((int(keys_of(np.array([score]))[0]), doc_id) for score, doc_id, _ in documents)
    at = sorted(data.draw(st.sets(st.integers(0, len(ranked) - 1))))
    chosen = np.array([ranked[i] for i in at], np.int64).reshape(-1, 2)
    places = num_cuts_above(*np.array(ranked, np.int64).T, *np.ascontiguousarray(chosen.T))
    assert places.tolist() == [sum(cut < i for cut in at) for i in range(len(ranked))]
