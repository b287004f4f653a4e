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
from swallow_spark.kernels import buckets as kernel
from swallow_spark.kernels import lsh
from swallow_spark.kernels.minhash import estimated_jaccard
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
            "sketch": sketch_of(buckets),
            "text_hash": hash((number, buckets)),
        }
        for number, case in enumerate(all_cases)
        for page, buckets in enumerate(case)
    ]
    random.Random(seed).shuffle(rows)
    return spark.createDataFrame(pa.Table.from_pylist(rows, SKETCHES)).repartition(partitions)


def run(
    sketches: DataFrame,
    directory: Path,
    *,
    bands: int = BANDS,
    bands_per_pass: int,
    partitions: int,
    policy: Any = "bucket",
    prefer: Any = "oldest",
    min_similarity: float | None = None,
    lengths: DataFrame | None = None,
) -> tuple[list[Any], list[Any]]:
    """`duplicates` and `groups`, sorted, by the stage; a boundary keeps its rows in memory."""
    names: list[str] = []

    def boundary(name: str, df: DataFrame) -> DataFrame:
        assert name not in names, "a boundary's name stands for its rows"
        names.append(name)
        return df.localCheckpoint()

    if lengths is None:
        lengths = sketches.selectExpr("doc_id", "1 as num_chars")
    duplicates, groups, rounds = stage.deduplicate(
        sketches,
        lengths,
        stage.Settings(policy, prefer, min_similarity, bands, bands_per_pass, partitions),
        boundary,
        lambda df: lookups.ship(df, Root(str(directory)), "copies", 1),
    )
    assert rounds >= 1
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


# ---- the other policies, orders, and min_similarity


def sketch_of(buckets: tuple[int, ...]) -> bytes:
    return str(buckets).encode().ljust(100, b"\0")[:100]


def similarity(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    bits = [np.frombuffer(sketch_of(page), np.uint8)[None] for page in (one, other)]
    return float(estimated_jaccard(*bits)[0])


def length_of(number: int, buckets: tuple[int, ...]) -> int:
    """The same for copies, and often the same for others."""
    return 100 + hash((number, buckets)) % 4


def in_order(number: int, case: Case, prefer: str) -> list[int]:
    pages = list(range(len(case)))
    if prefer == "newest":
        return pages[::-1]
    if prefer == "longest":
        return sorted(pages, key=lambda page: (-length_of(number, case[page]), page))
    return pages


def kept_by_definition(case: Case, order: list[int], policy: str, min_similarity: float | None) -> set[int]:
    """The pages that a policy keeps, by the definitions in words, one page after the other."""
    distinct: dict[tuple[int, ...], int] = {}
    for page in order:
        distinct.setdefault(case[page], page)
    pages = list(distinct.values())

    def near(page: int, other: int) -> bool:
        return min_similarity is None or similarity(case[page], case[other]) >= np.float32(min_similarity)

    firsts: dict[tuple[int, int], int] = {}
    edges = []
    for page in pages:
        for place in enumerate(case[page]):
            first = firsts.setdefault(place, page)
            if first != page and near(page, first):
                edges.append((page, first))
    if policy == "bucket":
        return set(pages) - {page for page, _ in edges}
    if policy == "greedy":
        leaders: dict[tuple[int, int], int] = {}
        kept = set()
        for page in pages:
            places = list(enumerate(case[page]))
            if not any(place in leaders and near(page, leaders[place]) for place in places):
                kept.add(page)
                for place in places:
                    leaders.setdefault(place, page)
        return kept
    component = {page: page for page in pages}
    place_of = {page: place for place, page in enumerate(pages)}
    for _ in pages:
        for page, first in edges:
            least = min(component[page], component[first], key=place_of.__getitem__)
            component[page] = component[first] = least
    return set(component.values())


@pytest.mark.parametrize(
    ("policy", "prefer", "min_similarity"),
    [
        ("bucket", "newest", None),
        ("bucket", "longest", 0.55),
        ("greedy", "oldest", None),
        ("greedy", "longest", 0.55),
        ("component", "newest", None),
    ],
)
def test_policies_as_defined(
    spark: SparkSession, tmp_path: Path, policy: str, prefer: str, min_similarity: float | None
) -> None:
    all_cases = cases()
    sketches = frame(spark, all_cases, seed=1, partitions=2)
    table = {
        "doc_id": [doc_id(number, page) for number, case in enumerate(all_cases) for page in range(len(case))],
        "num_chars": [length_of(number, page) for number, case in enumerate(all_cases) for page in case],
    }
    lengths = spark.createDataFrame(pa.table(table))
    duplicates, groups = run(
        sketches,
        tmp_path,
        bands_per_pass=5,
        partitions=3,
        policy=policy,
        prefer=prefer,
        min_similarity=min_similarity,
        lengths=lengths,
    )
    page_of = {doc_id(n, page): (n, page) for n, case in enumerate(all_cases) for page in range(len(case))}
    orders = [in_order(number, case, prefer) for number, case in enumerate(all_cases)]
    places = [{page: place for place, page in enumerate(order)} for order in orders]
    kept = {
        doc_id(number, page)
        for number, (case, order) in enumerate(zip(all_cases, orders, strict=True))
        for page in kept_by_definition(case, order, policy, min_similarity)
    }
    assert {row.doc_id for row in groups} == kept
    assert {row.doc_id for row in duplicates} == set(page_of) - kept
    assert sum(row.num_duplicates for row in groups) == len(duplicates)
    for row in duplicates:
        (number, page), (other, witness) = page_of[row.doc_id], page_of[row.witness]
        assert number == other
        assert row.representative in kept
        assert places[number][witness] < places[number][page]
        assert row.policy == policy
        assert row.similarity == pytest.approx(similarity(all_cases[number][page], all_cases[number][witness]))
        if policy != "bucket":
            assert row.witness == row.representative
        if policy != "component" and all_cases[number][page] != all_cases[number][witness]:
            assert all_cases[number][page][row.band] == all_cases[number][witness][row.band]
            assert min_similarity is None or row.similarity >= np.float32(min_similarity)


def test_greedy_keeps_every_second_page_of_a_long_chain(spark: SparkSession, tmp_path: Path) -> None:
    case = chain(20, random.Random(7))
    sketches = frame(spark, [case], seed=3, partitions=2)
    _, groups = run(sketches, tmp_path, bands_per_pass=40, partitions=2, policy="greedy")
    assert [row.doc_id for row in groups] == [doc_id(0, page) for page in range(0, 20, 2)]


# ---- the work inside tasks, without Spark


def edges_in_process(case: Case, map_tasks: int, partitions: int, batch_rows: int) -> list[dict[str, Any]]:
    """What the edges of a pass are, with lists in the place of Spark's partitions and exchange."""
    rows = [
        {"doc_id": page, "bands": [key(0, band, bucket) for band, bucket in enumerate(buckets)]}
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
        patch.setattr(kernel, "HOT", 2)
        patch.setattr(kernel, "CHUNK_ROWS", 12)
        patch.setattr(kernel, "REDUCE_ROWS", 5)
        check_edges(case, edges_in_process(case, map_tasks, partitions, batch_rows))
