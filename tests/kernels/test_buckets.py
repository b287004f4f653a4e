"""Edges of buckets, as tasks make them: with hot buckets, in chunks and on disk."""

import random
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels import buckets as kernel
from swallow_spark.kernels.xxhash import xxh64

Case = list[tuple[int, ...]]  # the pages' buckets, band by band, in the order of doc_ids


def key(band: int, bucket: int) -> int:
    """A hash, as real keys are, with the band mixed in."""
    name = np.frombuffer(f"{band} {bucket}".encode(), np.uint8)
    return int(np.uint64(xxh64(name, 0, len(name), 0)).astype(np.int64))


def hot_case(rng: random.Random) -> Case:
    """Pages of one bucket in band 3, some of few others, some copies."""
    case: Case = []
    for _ in range(rng.randint(20, 70)):
        page = [-rng.getrandbits(40) if rng.random() < 0.7 else rng.randrange(rng.choice((2, 30))) for _ in range(10)]
        if rng.random() < 0.7:
            page[3] = 1
        case.append(tuple(page) if not case or rng.random() < 0.9 else rng.choice(case))
    return case


def edges_in_process(case: Case, map_tasks: int, partitions: int, batch_rows: int) -> list[dict[str, Any]]:
    """What the edges of a pass are, with lists in the place of Spark's partitions and exchange."""
    rows = [
        {"doc_id": page, "bands": [key(band, bucket) for band, bucket in enumerate(buckets)]}
        for page, buckets in enumerate(case)
    ]
    random.Random(len(case)).shuffle(rows)
    exchanged: list[list[dict[str, Any]]] = [[] for _ in range(partitions)]
    for task in range(map_tasks):
        own = rows[task::map_tasks]
        parts = [own[at : at + 3] for at in range(0, len(own), 3)]
        exploded = [
            kernel.explode(
                np.array([row["doc_id"] for row in part]),
                pa.array([row["bands"] for row in part], pa.list_(pa.int64())),
                0,
            )
            for part in parts
        ]
        for batch in kernel.thin(exploded):
            assert batch.schema.equals(kernel.KEYS)
            for row in batch.to_pylist():
                target = row["key"] if row["first"] is None else row["doc_id"]
                exchanged[target % partitions].append(row)
    found = []
    for part in exchanged:
        batches = [
            pa.RecordBatch.from_pylist(part[at : at + batch_rows], kernel.KEYS)
            for at in range(0, len(part), batch_rows)
        ]
        for batch in kernel.reduce(batches):
            assert batch.schema.equals(kernel.EDGES)
            found.extend(batch.to_pylist())
    return found


def check_edges(case: Case, found: list[dict[str, Any]]) -> int:
    """One edge for each page and bucket that it isn't the first of. It leads to the bucket's first; a thinned one may
    lead to a page whose own edge of that band does. The number of thinned edges."""
    buckets: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for page, own in enumerate(case):
        for band, bucket in enumerate(own):
            buckets[band, bucket].append(page)
    expected = {(page, band): pages[0] for (band, _), pages in buckets.items() for page in pages[1:]}
    sure = {(edge["doc_id"], edge["band"]): edge["first"] for edge in found if not edge["thinned"]}
    assert sorted((edge["doc_id"], edge["band"]) for edge in found) == sorted(expected)
    for edge in found:
        first = edge["first"]
        if edge["thinned"]:
            first = sure.get((first, edge["band"]), first)
        assert first == expected[edge["doc_id"], edge["band"]]
    return sum(edge["thinned"] for edge in found)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so small that small cases exceed all of them."""
    monkeypatch.setattr(kernel, "HOT", 3)
    monkeypatch.setattr(kernel, "CHUNK_ROWS", 40)
    monkeypatch.setattr(kernel, "REDUCE_ROWS", 10)


@pytest.mark.usefixtures("small")
def test_edges_with_hot_buckets_in_chunks_and_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    parts = kernel._Spill.parts
    monkeypatch.setattr(kernel._Spill, "parts", lambda spill: used.append(spill.used) or parts(spill))
    rng = random.Random(20250812)
    all_cases = [hot_case(rng) for _ in range(10)]
    for map_tasks, partitions, batch_rows in ((1, 1, 1000), (3, 4, 7)):
        thinned = [check_edges(case, edges_in_process(case, map_tasks, partitions, batch_rows)) for case in all_cases]
        assert sum(thinned) > 100  # else nothing was tested
    assert len(used) >= 40
    assert all(used)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 3), max_size=25),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 30),
)
def test_edges_of_any_case(case: Case, map_tasks: int, partitions: int, batch_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "HOT", 2)
        patch.setattr(kernel, "CHUNK_ROWS", 12)
        patch.setattr(kernel, "REDUCE_ROWS", 5)
        check_edges(case, edges_in_process(case, map_tasks, partitions, batch_rows))
