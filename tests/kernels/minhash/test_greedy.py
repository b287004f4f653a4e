"""The greedy policy in one process, compared with a direct implementation of its definition, on thousands of cases."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels.minhash import greedy
from swallow_spark.kernels.minhash.minhash import estimated_jaccard

Pages = list[set[int]]  # the buckets of each page, in the order of doc_ids


def defined(pages: Pages, sketches: np.ndarray, min_similarity: float | None) -> set[int]:
    """The removed pages, one page after the other."""
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
    sketches = np.array([[rng.choice((0, 1, 15, 255)) for _ in range(3)] for _ in pages], np.uint8).reshape(-1, 3)
    table = pa.table(
        {
            "doc_id": pa.array(range(-3, len(pages) - 3), pa.int64()),  # orders but the oldest have negative numbers
            "keys": pa.array(
                [[7919 * b - 40000 for b in rng.sample([*p], len(p))] for p in pages], pa.list_(pa.int64())
            ),
            "sketch": pa.array([row.tobytes() for row in sketches], pa.binary()),
        }
    )
    columns = ["doc_id", "keys"] if min_similarity is None else table.column_names
    batches = table.select(columns).to_batches(max_chunksize=rng.choice((1, 5, 100)))
    found = greedy.falls(batches, sum(map(len, pages)), min_similarity)
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


@settings(max_examples=300)
@given(
    st.lists(st.sets(st.integers(0, 8), min_size=1, max_size=4), max_size=15),
    st.randoms(use_true_random=False),
    st.sampled_from([None, 0.0, 1 / 3, 0.5, 1.0]),
)
def test_any_case(pages: Pages, rng: random.Random, min_similarity: float | None) -> None:
    check(pages, rng, min_similarity)


def test_every_second_page_of_a_chain_of_ninety_links() -> None:
    keys = [[0], *([link, link + 1] for link in range(89)), [89]]
    chain = pa.record_batch({"doc_id": range(91), "keys": keys})
    assert greedy.falls([chain], 180).tolist() == list(range(1, 91, 2))


def test_other_keys_or_another_order_than_said() -> None:
    batch = pa.record_batch({"doc_id": [3, 5], "keys": [[1], [1, 2]]})
    assert greedy.falls([batch], 3).tolist() == [5]
    for num_keys in (0, 1, 2, 4):
        with pytest.raises(ValueError, match="keys"):
            greedy.falls([batch], num_keys)
    for batches in ([batch, batch], [batch.take([1, 0])]):
        with pytest.raises(ValueError, match="order"):
            greedy.falls(batches, 3 * len(batches))


@pytest.mark.parametrize("bits", [8, 64, 800])
@pytest.mark.parametrize("least", [0, 0.25, 0.5, 0.8, 0.9, 0.95, 1, 1 / 3])
def test_the_bits_that_may_differ(bits: int, least: float) -> None:
    most = greedy._most_differing(bits, least)
    for differing in {0, max(0, most - 1), most, min(bits, most + 1), bits}:
        one = np.packbits(np.arange(bits) < differing)[None]
        similar = estimated_jaccard(one, np.zeros_like(one))[0] >= np.float32(least)
        assert similar == (differing <= most)
