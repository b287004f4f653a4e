"""Edges of buckets, as tasks make them: with hot buckets, in chunks and on disk."""

import random
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels.minhash import buckets as kernel
from swallow_spark.kernels.minhash import exchange
from swallow_spark.kernels.minhash.xxhash import xxh64
from swallow_spark.stages.deduplicate.spill import DiskSpill

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
    """The edges of a pass, with lists in place of Spark's partitions and exchange."""
    rows = [
        {"doc_id": page, "bands": [key(band, bucket) for band, bucket in enumerate(buckets)]}
        for page, buckets in enumerate(case)
    ]
    random.Random(len(case)).shuffle(rows)
    exchanged: list[list[dict[str, Any]]] = [[] for _ in range(partitions)]  # rows of PACKED
    for task in range(map_tasks):
        own = rows[task::map_tasks]
        parts = [own[at : at + 3] for at in range(0, len(own), 3)]
        exploded = [
            kernel.explode(
                np.array([row["doc_id"] for row in part]),
                pa.array([row["bands"] for row in part], pa.list_(pa.int64())),
                0,
                len(part[0]["bands"]),
            )
            for part in parts
        ]
        for batch in kernel.thin(exploded, partitions):
            assert batch.schema.equals(exchange.PACKED)
            for row in batch.to_pylist():
                assert len(row["rows"]) <= exchange.PACKED_BYTES
                exchanged[row["partition"]].append(row)
    found = []
    for part in exchanged:
        packed = [
            pa.RecordBatch.from_pylist(part[at : at + batch_rows], exchange.PACKED).select(["rows"])
            for at in range(0, len(part), batch_rows)
        ]
        for batch in kernel.reduce(packed, DiskSpill):
            assert batch.schema.equals(kernel.EDGES)
            found.extend(batch.to_pylist())
    return found


def check_edges(case: Case, found: list[dict[str, Any]]) -> int:
    """One edge for each page and bucket that it isn't the first of. It leads to the bucket's first; a thinned one may
    lead to a page whose own edge of that band, which `leads`, does. The number of thinned edges."""
    buckets: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for page, own in enumerate(case):
        for band, bucket in enumerate(own):
            buckets[band, bucket].append(page)
    expected = {(page, band): pages[0] for (band, _), pages in buckets.items() for page in pages[1:]}
    leading = {(edge["doc_id"], edge["band"]): edge["first"] for edge in found if edge["leads"]}
    assert sorted((edge["doc_id"], edge["band"]) for edge in found) == sorted(expected)
    for edge in found:
        first = edge["first"]
        if edge["thinned"]:
            assert not edge["leads"]
            first = leading.get((first, edge["band"]), first)
        assert first == expected[edge["doc_id"], edge["band"]]
    return sum(edge["thinned"] for edge in found)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so low that small cases exceed all of them."""
    monkeypatch.setattr(kernel, "HOT", 3)
    monkeypatch.setattr(kernel, "CHUNK_ROWS", 40)
    monkeypatch.setattr(kernel, "REDUCE_ROWS", 10)
    monkeypatch.setattr(exchange, "PACKED_BYTES", 84)
    monkeypatch.setattr(exchange, "_BATCH_BYTES", 200)


@pytest.mark.usefixtures("small")
def test_edges_with_hot_buckets_in_chunks_and_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    parts = DiskSpill.parts
    monkeypatch.setattr(DiskSpill, "parts", lambda spill: used.append(spill.used) or parts(spill))
    rng = random.Random(20250812)
    all_cases = [hot_case(rng) for _ in range(10)]
    for map_tasks, partitions, batch_rows in ((1, 1, 1000), (3, 4, 7)):
        thinned = [check_edges(case, edges_in_process(case, map_tasks, partitions, batch_rows)) for case in all_cases]
        assert sum(thinned) > 100  # otherwise nothing was tested
    assert len(used) >= 40
    assert all(used)


@settings(max_examples=150)
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


def test_packed_rows_are_spread_over_partitions_and_cut_to_size() -> None:
    """Rows of a key are in one partition; thinned rows of a hot key in all."""
    rng = np.random.default_rng(1)
    keys = np.r_[np.repeat(rng.integers(-(2**63), 2**63 - 1, 30_000), 3), np.full(30_000, 42)]
    rows = kernel.members(keys, np.arange(len(keys)), np.zeros(len(keys), np.int32))
    of_key: defaultdict[int, set[int]] = defaultdict(set)
    sizes = np.zeros(7, np.int64)
    thinned = np.zeros(7, np.int64)
    found = []
    for batch in kernel.thin([rows], 7):
        assert batch.nbytes < exchange._BATCH_BYTES + exchange.PACKED_BYTES + 1000
        for at in range(batch.num_rows):
            partition = batch.column("partition")[at].as_py()
            for own in exchange.unpack([batch.slice(at, 1)], kernel.ROW):
                found.append(own)
                is_thinned = (own["first"] != kernel.NONE) & (own["first"] != own["doc_id"])
                sizes[partition] += len(own)
                thinned[partition] += is_thinned.sum()
                for one in set(own["key"][~is_thinned].tolist()):
                    of_key[one].add(partition)
    sent = np.concatenate(found)
    expected = rows.copy()
    expected["first"][90_000:] = 90_000  # the first page of the hot key
    assert (sent[np.argsort(sent["doc_id"])] == expected).all()
    assert all(len(partitions) == 1 for partitions in of_key.values())
    assert thinned.sum() == 29_999
    assert min(thinned) > 4_000
    assert max(sizes) < 1.1 * len(keys) / 7


@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
@pytest.mark.parametrize("shift", [5, 42])
@pytest.mark.parametrize("distinct", [1, 3, 40, 30_000])
def test_rows_lie_bucket_by_bucket(order: str, shift: int, distinct: int) -> None:
    """Also for keys that are not hashes: then the radix passes leave everything to the sorts."""
    rng = np.random.default_rng(distinct)
    pages = {"ascending": np.arange(5000), "descending": -np.arange(5000), "random": rng.permutation(5000)}[order]
    for keys in (rng.integers(-(2**63), 2**63 - 1, distinct)[rng.integers(0, distinct, 5000)], pages % distinct):
        rows = kernel.members(keys, pages, np.zeros(5000, np.int32))
        found = rows[kernel._order(rows, shift)]
        assert sorted(found.tolist()) == sorted(rows.tolist())
        starts = np.flatnonzero(np.r_[True, found["key"][1:] != found["key"][:-1]])
        assert len(starts) == len(np.unique(keys))
        same = found["key"][1:] == found["key"][:-1]
        assert (found["doc_id"][1:] > found["doc_id"][:-1])[same].all()
        if shift == 42:
            partitions = exchange.partition_of_hash(found["key"].copy(), 7)
            assert (np.diff(partitions.astype(int)) >= 0).all()
