"""Nearest edges, with lists in place of Spark's partitions and exchange."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.kernels.minhash import exchange, nearest

PAGES = st.integers(-3, 12)
EDGES = st.lists(st.tuples(PAGES, PAGES, st.integers(0, 4)), max_size=60)


@given(EDGES, st.integers(1, 3), st.integers(1, 4), st.integers(1, 20))
def test_the_least_edge_of_each_page(
    edges: list[tuple[int, int, int]], tasks: int, partitions: int, at_once: int
) -> None:
    exchanged: list[list[pa.RecordBatch]] = [[] for _ in range(partitions)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "CHUNK_ROWS", at_once)
        for task in range(tasks):
            own = [dict(zip(nearest.SCHEMA.names, edge, strict=True)) for edge in edges[task::tasks]]
            batches = [pa.RecordBatch.from_pylist(own[at : at + 7], nearest.SCHEMA) for at in range(0, len(own), 7)]
            for packed in nearest.thin(batches, partitions):
                for row in range(packed.num_rows):
                    exchanged[packed.column("partition")[row].as_py()].append(packed.slice(row, 1).select(["rows"]))
        found = [[row for batch in nearest.reduce(part) for row in batch.to_pylist()] for part in exchanged]
    expected: dict[int, tuple[int, int]] = {}
    for page, first, band in edges:
        expected[page] = min(expected.get(page, (first, band)), (first, band))
    rows = [tuple(row.values()) for part in found for row in part]
    assert sorted(rows) == sorted((page, *least) for page, least in expected.items())
    assert all(part == sorted(part, key=lambda row: row["doc_id"]) for part in found)


def test_a_chunk_sends_one_edge_of_a_page() -> None:
    rows = [{"doc_id": page % 10, "first": -page, "band": 3} for page in range(1000)]
    (packed,) = nearest.thin([pa.RecordBatch.from_pylist(rows, nearest.SCHEMA)], 1)
    assert sum(len(part) for part in exchange.unpack([packed], nearest.ROW)) == 10
    assert np.concatenate(list(exchange.unpack([packed], nearest.ROW)))["first"].max() == -990
