"""Dedup against its definition, over many small corpora in one frame: no page or bucket of one is in another."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dedup_cases import BANDS, Case, cases, chain, defined, in_order, length_of, similarity, sketch_row
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.corpus import lookups
from swallow_spark.corpus.write import Kernel
from swallow_spark.files.storage import Root
from swallow_spark.kernels import lsh
from swallow_spark.kernels.minhash import chains, greedy
from swallow_spark.stages.deduplicate import tasks as stage
from swallow_spark.tables import DUPLICATES, GROUPS, SKETCHES


def doc_id(case: int, page: int) -> int:
    return (1 + case % 3) << 53 | case << 32 | page * 1000


def frame(spark: SparkSession, all_cases: Sequence[Case], seed: int, partitions: int) -> DataFrame:
    """The pages of all cases as sketches, in an order that tells nothing."""
    rows = [
        sketch_row(number, buckets, doc_id(number, page))
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
