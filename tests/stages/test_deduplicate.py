"""Dedup against its definition, over many small corpora in one frame: no page or bucket of one is in another."""

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from swallow_spark import lookups
from swallow_spark.kernels import lsh
from swallow_spark.kernels.xxhash import xxh64
from swallow_spark.stages import deduplicate as stage
from swallow_spark.storage import Root
from swallow_spark.tables import DUPLICATES, GROUPS, SKETCHES

BANDS = 10
Case = list[tuple[int, ...]]  # the pages' buckets, band by band, in the order of doc_ids


class Fall(NamedTuple):
    witness: int
    representative: int
    band: int


def defined(case: Case) -> dict[int, Fall]:
    """The falls of a case, by the definition: page -> witness, representative, band. Pages are numbered in order."""
    falls: dict[int, Fall] = {}
    for page, buckets in enumerate(case):
        for earlier in range(page):
            shared = [band for band in range(len(buckets)) if case[earlier][band] == buckets[band]]
            if shared:
                end = falls[earlier].representative if earlier in falls else earlier
                falls[page] = Fall(earlier, end, shared[0])
                break
    return falls


def random_case(rng: random.Random) -> Case:
    """Up to 12 pages with few different buckets, so that they share many; some are copies."""
    case: Case = []
    values = rng.choice((2, 5, 30, 200))
    for _ in range(rng.randint(1, 12)):
        if case and rng.random() < 0.2:
            case.append(rng.choice(case))
        else:
            case.append(tuple(rng.randrange(values) if rng.random() < 0.4 else -rng.getrandbits(40) for _ in range(10)))
    return case


def unique(rng: random.Random) -> list[int]:
    return [rng.getrandbits(48) for _ in range(BANDS)]


def chain(links: int, rng: random.Random) -> Case:
    """Page i shares a bucket with page i - 1 and i + 1 alone."""
    pages = [unique(rng) for _ in range(links)]
    for one, (page, following) in enumerate(itertools.pairwise(pages)):
        page[one % BANDS] = following[one % BANDS] = one
    return [tuple(page) for page in pages]


def hot(pages: int, rng: random.Random) -> Case:
    """Pages of one bucket in band 3, which is thinned within tasks; every second is also in a bucket of band 7."""
    case = [unique(rng) for _ in range(pages)]
    for number, page in enumerate(case):
        page[3] = 1
        if number % 2:
            page[7] = 2
    return [tuple(page) for page in case]


def cases() -> list[Case]:
    rng = random.Random(20250812)
    many = [random_case(rng) for _ in range(120)]
    special = [chain(17, rng), chain(2, rng), hot(100, rng), [(5,) * BANDS] * 40, [tuple(unique(rng))]]
    # A hot bucket whose pages have earlier witnesses by other bands, and a chain through a hot bucket.
    mixed = [list(page) for page in hot(60, rng)]
    first = unique(rng)
    for page in mixed[1::3]:
        page[9] = first[9]
    return [*many, *special, [tuple(first), *map(tuple, mixed)], [*chain(6, rng), *hot(50, rng)]]


def key(case: int, band: int, bucket: int) -> int:
    """A hash, as real keys are, with case and band mixed in."""
    value = xxh64(np.frombuffer(f"{case} {band} {bucket}".encode(), np.uint8), 0, len(f"{case} {band} {bucket}"), 0)
    return int(np.uint64(value).astype(np.int64))


def doc_id(case: int, page: int) -> int:
    return (1 + case % 3) << 53 | case << 32 | page * 1000


def frame(spark: SparkSession, all_cases: Sequence[Case], seed: int, partitions: int) -> DataFrame:
    """The pages of all cases as sketches, in an order that tells nothing."""
    rows = [
        {
            "doc_id": doc_id(number, page),
            "bands": [key(number, band, bucket) for band, bucket in enumerate(buckets)],
            "sketch": str(buckets).encode().ljust(100, b"\0")[:100],
            "text_hash": hash((number, buckets)),
        }
        for number, case in enumerate(all_cases)
        for page, buckets in enumerate(case)
    ]
    random.Random(seed).shuffle(rows)
    return spark.createDataFrame(pa.Table.from_pylist(rows, SKETCHES)).repartition(partitions)


def run(
    sketches: DataFrame, directory: Path, *, bands: int = BANDS, bands_per_pass: int, partitions: int
) -> tuple[list[Any], list[Any]]:
    """`duplicates` and `groups`, sorted, by the stage; a boundary keeps its rows in memory."""
    names: list[str] = []

    def boundary(name: str, df: DataFrame) -> DataFrame:
        assert name not in names, "a boundary's name stands for its rows"
        names.append(name)
        return df.localCheckpoint()

    duplicates, groups = stage.deduplicate(
        sketches,
        num_bands=bands,
        bands_per_pass=bands_per_pass,
        partitions=partitions,
        boundary=boundary,
        ship=lambda df: lookups.ship(df, Root(str(directory)), "copies", 1),
    )
    assert duplicates.columns == DUPLICATES.names
    assert groups.columns == GROUPS.names
    return sorted(duplicates.collect()), sorted(groups.collect())


@pytest.mark.parametrize(("partitions", "bands_per_pass", "map_tasks"), [(1, 40, 1), (4, 3, 3)], ids=lambda n: str(n))
def test_falls_as_defined(
    spark: SparkSession, tmp_path: Path, partitions: int, bands_per_pass: int, map_tasks: int
) -> None:
    all_cases = cases()
    sketches = frame(spark, all_cases, seed=partitions, partitions=map_tasks)
    duplicates, groups = run(sketches, tmp_path, bands_per_pass=bands_per_pass, partitions=partitions)
    falls, sizes = [], []
    for number, case in enumerate(all_cases):
        expected = defined(case)
        for page, fall in expected.items():
            pages = (page, fall.witness, fall.representative)
            falls.append((*(doc_id(number, one) for one in pages), fall.band))
        for page in range(len(case)):
            if page not in expected:
                size = sum(fall.representative == page for fall in expected.values())
                sizes.append((doc_id(number, page), size))
    assert [(row.doc_id, row.witness, row.representative, row.band) for row in duplicates] == sorted(falls)
    assert [tuple(row) for row in groups] == sorted(sizes)
    assert {row.policy for row in duplicates} == {"bucket"}


def shingles(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(len(text) - 4)}


def test_similarity_is_near_jaccard(spark: SparkSession, tmp_path: Path) -> None:
    rng = random.Random(7)
    words = [
        "".join(rng.choice("あいうえおかきくけこさしすせそ日本語文書検索東京大学") for _ in range(5))
        for _ in range(400)
    ]
    texts = []
    for changed in (0, 1, 2, 4, 8) * 4:
        original = [rng.choice(words) for _ in range(150)]
        other = [rng.choice(words) if rng.random() < changed / 100 else word for word in original]
        texts += ["".join(original), "".join(other)]
    columns = lsh.sketch(pa.array(texts))
    doc_ids = pa.array([doc_id(0, page) for page in range(len(texts))])
    table = pa.Table.from_arrays([doc_ids, *columns.columns], schema=SKETCHES)
    duplicates, groups = run(spark.createDataFrame(table), tmp_path, bands=40, bands_per_pass=40, partitions=2)
    assert len(duplicates) + len(groups) == len(texts)
    assert len(duplicates) >= 12
    assert sum(row.similarity == 1 for row in duplicates) >= 4  # the unchanged
    for row in duplicates:
        own, other_set = (shingles(texts[(doc & 0xFFFFFFFF) // 1000]) for doc in (row.doc_id, row.witness))
        jaccard = len(own & other_set) / len(own | other_set)
        # An estimate from 800 bits has a standard deviation of 2 sqrt(p (1 - p) / 800), p = (1 + J) / 2.
        p = (1 + jaccard) / 2
        assert row.similarity == pytest.approx(jaccard, abs=1e-6 + 4 * 2 * (p * (1 - p) / 800) ** 0.5)


def test_no_page_and_one_page(spark: SparkSession, tmp_path: Path) -> None:
    for name, all_cases in (("none", []), ("one", [[(1,) * BANDS]])):
        sketches = frame(spark, all_cases, seed=1, partitions=1)
        duplicates, groups = run(sketches, tmp_path / name, bands_per_pass=40, partitions=4)
        assert duplicates == []
        assert [tuple(row) for row in groups] == [(doc_id(0, 0), 0)] * len(all_cases)


# ---- the work inside tasks, without Spark


class NoCopies:
    def find(self, doc_ids: Any) -> tuple[Any, dict[str, Any]]:
        return np.zeros(len(doc_ids), np.bool_), {}


def edges_in_process(case: Case, map_tasks: int, partitions: int, batch_rows: int) -> list[dict[str, Any]]:
    """What stages.deduplicate.edges gives, with lists in the place of Spark's partitions and exchange."""
    schema = pa.schema([("doc_id", pa.int64()), ("bands", pa.list_(pa.int64()))])
    rows = [
        {"doc_id": page, "bands": [key(0, band, bucket) for band, bucket in enumerate(buckets)]}
        for page, buckets in enumerate(case)
    ]
    random.Random(len(case)).shuffle(rows)
    exchanged: list[list[dict[str, Any]]] = [[] for _ in range(partitions)]
    for task in range(map_tasks):
        own = rows[task::map_tasks]
        batches = [pa.RecordBatch.from_pylist(own[at : at + 3], schema) for at in range(0, len(own), 3)]
        for batch in stage._keys(iter(batches), NoCopies(), 0):  # type: ignore[arg-type]
            assert batch.schema.equals(stage._KEYS)
            for row in batch.to_pylist():
                target = row["key"] if row["first"] is None else row["doc_id"]
                exchanged[target % partitions].append(row)
    found = []
    for part in exchanged:
        batches = [
            pa.RecordBatch.from_pylist(part[at : at + batch_rows], stage._KEYS)
            for at in range(0, len(part), batch_rows)
        ]
        for batch in stage._reduce(iter(batches)):
            assert batch.schema.equals(stage._EDGES)
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
    monkeypatch.setattr(stage, "_HOT", 3)
    monkeypatch.setattr(stage, "_CHUNK_ROWS", 40)
    monkeypatch.setattr(stage, "_REDUCE_ROWS", 10)


@pytest.mark.usefixtures("small")
def test_edges_with_hot_buckets_in_chunks_and_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    parts = stage._Spill.parts
    monkeypatch.setattr(stage._Spill, "parts", lambda spill: used.append(spill.used) or parts(spill))
    all_cases = cases()[90:]
    for map_tasks, partitions, batch_rows in ((1, 1, 1000), (3, 4, 7)):
        thinned = [check_edges(case, edges_in_process(case, map_tasks, partitions, batch_rows)) for case in all_cases]
        assert sum(thinned) > 100  # else nothing was tested
    assert len(used) > 40
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
        patch.setattr(stage, "_HOT", 2)
        patch.setattr(stage, "_CHUNK_ROWS", 12)
        patch.setattr(stage, "_REDUCE_ROWS", 5)
        check_edges(case, edges_in_process(case, map_tasks, partitions, batch_rows))


def test_passes_cover_each_band_once() -> None:
    for bands, size in itertools.product((1, 7, 40), (1, 7, 40, 64)):
        passes = stage._passes(bands, size)
        assert [band for start, stop in passes for band in range(start, stop)] == list(range(bands))
        assert all(0 < stop - start <= size for start, stop in passes)
