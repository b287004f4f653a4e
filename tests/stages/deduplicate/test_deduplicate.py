"""Dedup against its definition, over many small corpora in one frame: no page or bucket of one is in another."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import DEMO_TEXTS
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.corpus import lookups
from swallow_spark.corpus.write import Kernel
from swallow_spark.files.storage import Root
from swallow_spark.kernels import lsh
from swallow_spark.kernels.minhash import chains, greedy
from swallow_spark.kernels.minhash.minhash import estimated_jaccard
from swallow_spark.kernels.minhash.xxhash import xxh64
from swallow_spark.stages.deduplicate import tasks as stage
from swallow_spark.tables import DUPLICATES, GROUPS, SKETCHES

BANDS = 10
Case = list[tuple[int, ...]]  # the pages' buckets, band by band, in the order of doc_ids


class Fall(NamedTuple):
    witness: int
    representative: int
    band: int


def defined(case: Case, order: list[int], policy: str, min_similarity: float | None) -> dict[int, Fall]:
    """The falls of a case, page -> witness, representative, band, by the definitions in words, one page after the
    other. A copy falls by what its first falls by, or by its first."""
    firsts_of_texts: dict[tuple[int, ...], int] = {}
    for page in order:
        firsts_of_texts.setdefault(case[page], page)
    pages = list(firsts_of_texts.values())
    place_of = {page: place for place, page in enumerate(pages)}
    falls = {
        "bucket": _by_bucket if min_similarity is None else _by_firsts,
        "greedy": _by_kept,
        "component": _by_component,
    }[policy](case, pages, min_similarity)
    found: dict[int, Fall] = {}
    for page in pages:
        if page in falls:
            witness, band = falls[page]
            found[page] = Fall(witness, found[witness].representative if witness in found else witness, band)
            assert place_of[witness] < place_of[page]
    for page in order:
        first = firsts_of_texts[case[page]]
        if page != first:
            found[page] = found.get(first, Fall(first, first, 0))
    return found


Witnesses = dict[int, tuple[int, int]]  # page -> witness, band


def _by_bucket(case: Case, pages: list[int], _: float | None) -> Witnesses:
    """A page falls if a page before it shares any bucket; its witness is the first that does."""
    found = {}
    for place, page in enumerate(pages):
        for earlier in pages[:place]:
            shared = [band for band in range(BANDS) if case[earlier][band] == case[page][band]]
            if shared:
                found[page] = earlier, shared[0]
                break
    return found


def _edges(case: Case, pages: list[int], min_similarity: float | None, kept_only: bool) -> dict[int, list[Any]]:
    """page -> (place of the first, first, band) for each bucket whose first (kept) page it is near to."""
    leaders: dict[tuple[int, int], int] = {}
    edges: dict[int, list[Any]] = {}
    places = {page: place for place, page in enumerate(pages)}
    for page in pages:
        met = [(places[leaders[spot]], leaders[spot], spot[0]) for spot in enumerate(case[page]) if spot in leaders]
        if min_similarity is not None:
            met = [m for m in met if similarity(case[page], case[m[1]]) >= np.float32(min_similarity)]
        if met:
            edges[page] = met
        if not (met and kept_only):
            for spot in enumerate(case[page]):
                leaders.setdefault(spot, page)
    return edges


def _by_firsts(case: Case, pages: list[int], min_similarity: float | None) -> Witnesses:
    """A page falls if it is near to the first page of one of its buckets."""
    return {page: min(met)[1:] for page, met in _edges(case, pages, min_similarity, kept_only=False).items()}


def _by_kept(case: Case, pages: list[int], min_similarity: float | None) -> Witnesses:
    """A page falls if it is near to the first kept page of one of its buckets."""
    return {page: min(met)[1:] for page, met in _edges(case, pages, min_similarity, kept_only=True).items()}


def _by_component(case: Case, pages: list[int], min_similarity: float | None) -> Witnesses:
    """The first page of each connected component is kept."""
    edges = _edges(case, pages, min_similarity, kept_only=False)
    component = {page: page for page in pages}
    for page in pages:
        for _, first, _ in edges.get(page, []):
            one, other = sorted((component[page], component[first]), key=pages.index)
            component = {p: one if c == other else c for p, c in component.items()}
    return {
        page: (component[page], min((band for _, _, band in edges.get(page, [])), default=-1))
        for page in pages
        if component[page] != page
    }


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


def real(texts: int) -> Case:
    """Buckets of real texts, each as it is and in three versions that are edited more and more; some are copies."""
    rng = random.Random(texts)
    found = []
    for text in pq.read_table(DEMO_TEXTS / "wiki.parquet")["text"].to_pylist()[:texts]:
        words = [text[at : at + 20] for at in range(0, min(len(text), 1000), 20)]
        for changed in (0, 0.02, 0.05, 0.15):
            found.append("".join("" if rng.random() < changed else word for word in words))
    rng.shuffle(found)
    return [tuple(keys) for keys in lsh.sketch(pa.array(found), bands=BANDS, rows_per_band=8)["bands"].to_pylist()]


@lru_cache
def cases() -> list[Case]:
    """Well over a thousand small corpora."""
    rng = random.Random(20250812)
    many = [random_case(rng) for _ in range(1500)]
    special = [chain(91, rng), chain(17, rng), chain(2, rng), hot(100, rng), [(5,) * BANDS] * 40, [tuple(unique(rng))]]
    # A hot bucket whose pages have earlier witnesses by other bands, and a chain through a hot bucket.
    mixed = [list(page) for page in hot(60, rng)]
    first = unique(rng)
    for page in mixed[1::3]:
        page[9] = first[9]
    return [*many, *special, real(60), [tuple(first), *map(tuple, mixed)], [*chain(6, rng), *hot(50, rng)]]


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

    def boundary(name: str, df: DataFrame, by: Kernel | None = None) -> DataFrame:
        assert name not in names, "a boundary's name stands for its rows"
        names.append(name)
        made = df.mapInArrow(by.work, from_arrow_schema(by.schema)) if by else df
        return made.localCheckpoint()

    def columns(*names: str) -> DataFrame:
        assert not {"bands", "text_hash"} & {*names}, "tasks read them themselves"
        return sketches.select(*names)

    if lengths is None:
        lengths = sketches.selectExpr("doc_id", "1 as num_chars")
    duplicates, groups, rounds = stage.deduplicate(
        columns,
        sketches.select,
        lengths,
        stage.Settings(policy, prefer, min_similarity, bands, bands_per_pass, partitions, sketches.count()),
        boundary,
        lambda df: lookups.ship(df, Root(str(directory)), "copies", 1),
    )
    assert rounds >= 1
    assert duplicates.columns == DUPLICATES.names
    assert groups.columns == GROUPS.names
    return sorted(duplicates.collect()), sorted(groups.collect())


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


def check(
    spark: SparkSession,
    directory: Path,
    all_cases: list[Case],
    policy: str,
    prefer: str,
    min_similarity: float | None,
    *,
    seed: int = 1,
    map_tasks: int = 2,
    **how: int,
) -> int:
    """Fails where anything that dedup tells of a page isn't as defined; the number of pages that fall."""
    sketches = frame(spark, all_cases, seed, map_tasks)
    table = {
        "doc_id": [doc_id(number, page) for number, case in enumerate(all_cases) for page in range(len(case))],
        "num_chars": [length_of(number, page) for number, case in enumerate(all_cases) for page in case],
    }
    lengths = spark.createDataFrame(pa.table(table))
    given = {"policy": policy, "prefer": prefer, "min_similarity": min_similarity}
    duplicates, groups = run(sketches, directory, lengths=lengths, **given, **how)
    falls, sizes, near = [], [], {}
    for number, case in enumerate(all_cases):
        expected = defined(case, in_order(number, case, prefer), policy, min_similarity)
        counts = Counter(fall.representative for fall in expected.values())
        for page, fall in expected.items():
            falls.append((*(doc_id(number, one) for one in (page, fall.witness, fall.representative)), fall.band))
            near[doc_id(number, page)] = similarity(case[page], case[fall.witness])
        sizes += [(doc_id(number, page), counts[page]) for page in range(len(case)) if page not in expected]
    assert [(row.doc_id, row.witness, row.representative, row.band) for row in duplicates] == sorted(falls)
    assert [tuple(row) for row in groups] == sorted(sizes)
    assert {row.policy for row in duplicates} <= {policy}
    for row in duplicates:
        assert row.similarity == pytest.approx(near[row.doc_id])
    return len(duplicates)


@pytest.mark.parametrize(
    ("policy", "prefer", "min_similarity", "partitions", "bands_per_pass"),
    [
        ("bucket", "oldest", None, 1, 40),
        ("bucket", "newest", None, 4, 3),
        ("bucket", "longest", 0.55, 3, 5),
        ("greedy", "oldest", None, 3, 5),
        ("greedy", "longest", 0.55, 1, 40),
        ("component", "newest", None, 3, 5),
        ("component", "oldest", 0.55, 1, 40),
    ],
    ids=str,
)
def test_as_defined(
    spark: SparkSession,
    tmp_path: Path,
    policy: str,
    prefer: str,
    min_similarity: float | None,
    partitions: int,
    bands_per_pass: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if prefer != "oldest":  # ends of chains by rounds, as for many pages
        monkeypatch.setattr(chains, "MAX_ROWS", 0)
    how = {"partitions": partitions, "bands_per_pass": bands_per_pass, "map_tasks": partitions}
    assert check(spark, tmp_path, cases(), policy, prefer, min_similarity, **how) > 2000


@pytest.mark.parametrize(("prefer", "min_similarity"), [("oldest", None), ("newest", 0.55)])
def test_greedy_by_rounds_alone_is_the_same(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefer: str, min_similarity: float | None
) -> None:
    monkeypatch.setattr(greedy, "MAX_ROWS", 0)
    short = [*cases()[:800], chain(9, random.Random(1))]
    assert check(spark, tmp_path, short, "greedy", prefer, min_similarity, partitions=2, bands_per_pass=4) > 500
