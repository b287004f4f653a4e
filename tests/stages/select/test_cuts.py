"""Exact cuts and ranks over frames, against a plain sort."""

import random
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config.select import parse_band
from swallow_spark.stages.select import cuts as stage
from swallow_spark.tables import SCORES

_RNG = random.Random(41)
SCORE_SETS = {
    "random": [_RNG.random() for _ in range(700)],
    "half are equal": [0.5 if i % 2 else _RNG.random() for i in range(600)],
    "all are equal": [0.25] * 300,
    "negative, denormal and both zeros": [_RNG.choice((-1e-320, 5e-324, -3.0, -0.0, 0.0, -7e200)) for _ in range(300)],
    "next to each other": [1 + 2**-52 * (i % 9) for i in range(200)],
    "of all sizes": [_RNG.choice((-1, 1)) * 10.0 ** _RNG.randint(-300, 307) for _ in range(300)],
    "one": [0.75],
}


def doc_ids(number: int) -> list[int]:
    """Over several crawls and files: far apart, as real ones are, and some next to each other."""
    rng = random.Random(number)
    return rng.sample([(1 + i % 900) << 53 | (i * 7 % 99) << 32 | i // 3 for i in range(2 * number)], number)


def frame_of(spark: SparkSession, rows: list[tuple[int, float]]) -> DataFrame:
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    return spark.createDataFrame(pa.table(columns, schema=SCORES)).repartition(3)


@pytest.mark.parametrize("scores", SCORE_SETS.values(), ids=SCORE_SETS.keys())
def test_cuts_are_those_of_a_sort(spark: SparkSession, scores: list[float]) -> None:
    rows = list(zip(doc_ids(len(scores)), scores, strict=True))
    ranked = sorted(rows, key=lambda row: (-row[1], row[0]))
    frame = frame_of(spark, rows)
    numbers = sorted({len(rows) // 10 or 1, len(rows) // 2 or 1, len(rows)})
    found = stage.cuts_after(frame, [0, *numbers])
    assert found[0] is None
    for number, cut in zip(numbers, found[1:], strict=True):
        doc_id, score = ranked[number - 1]
        assert cut is not None
        assert (cut.documents, cut.score, cut.doc_id, cut.weight) == (number, score, doc_id, number)
        above = frame.where(stage.is_above(cut, F.col("score"), F.col("doc_id"))).select("doc_id").collect()
        assert sorted(row.doc_id for row in above) == sorted(row[0] for row in ranked[:number])


def test_both_zeros_are_one_score_in_files_too(spark: SparkSession, tmp_path: Path) -> None:
    """Parquet's own filters tell them apart."""
    for number, zero in enumerate((-0.0, 0.0)):
        rows = {"doc_id": range(number * 5, number * 5 + 5), "score": [zero] * 5}
        pq.write_table(pa.table(rows, SCORES), tmp_path / f"{number}.parquet")
    found = stage.cuts_after(spark.read.parquet(str(tmp_path)), [3, 7])
    assert [cut and (cut.documents, cut.doc_id) for cut in found] == [(3, 2), (7, 6)]


def test_cuts_by_weights_are_the_shortest_prefixes(spark: SparkSession) -> None:
    rng = random.Random(8)
    rows = [(doc_id, rng.choice((0.5, rng.random()))) for doc_id in doc_ids(200)]
    weights = {doc_id: rng.choice((0, 1, 400, 9_000)) for doc_id, _ in rows}
    frame = frame_of(spark, rows)
    weighed = spark.createDataFrame(list(weights.items()), "doc_id long, weight long")
    ranked = [doc_id for doc_id, _ in sorted(rows, key=lambda row: (-row[1], row[0]))]
    total = sum(weights.values())
    targets = [stage.num_above(Fraction(percent, 100), total) for percent in (0, 10, 30, 100)]
    for target, cut in zip(targets, stage.cuts_after(frame.join(weighed, "doc_id"), targets), strict=True):
        if not target:
            assert cut is None
            continue
        assert cut is not None
        prefix = ranked[: cut.documents]
        assert prefix[-1] == cut.doc_id
        assert sum(weights[doc_id] for doc_id in prefix) == cut.weight >= target
        assert sum(weights[doc_id] for doc_id in prefix[:-1]) < target


def test_a_threshold_takes_all_equal_scores(spark: SparkSession) -> None:
    frame = frame_of(spark, [(1, 0.5), (2, 0.5), (3, 0.4), (4, 0.6)])
    cut = stage.Cut(3, 0.5, None, 3, 1)
    above = frame.where(stage.is_above(cut, F.col("score"), F.col("doc_id"))).select("doc_id").collect()
    assert sorted(row.doc_id for row in above) == [1, 2, 4]
    assert frame.where(stage.is_above(None, F.col("score"), F.col("doc_id"))).isEmpty()


def unchecked(spark: SparkSession, scores: list[float]) -> DataFrame:
    columns = [pa.array(range(len(scores)), pa.int64()), pa.array(scores, pa.float64())]
    return spark.createDataFrame(pa.table(columns, schema=SCORES))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_no_numbers_are_refused(spark: SparkSession, bad: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        stage.totals(unchecked(spark, [0.1, bad, 0.3]))


@pytest.mark.parametrize("scores", [[0.1, 0.2], []])
def test_cuts_behind_all_are_refused(spark: SparkSession, scores: list[float]) -> None:
    frame = unchecked(spark, scores)
    assert stage.totals(frame) == (len(scores), len(scores))
    with pytest.raises(ValueError, match=f"a cut after 3, but there are {len(scores)}"):
        stage.cuts_after(frame, [3])


def test_no_negative_weights(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1, 0.5, 3), (2, 0.5, -1)], "doc_id long, score double, weight long")
    with pytest.raises(ValueError, match="missing or negative"):
        stage.totals(frame)


@pytest.mark.parametrize(
    ("band", "total", "above", "down_to"),
    [
        ("top10", 10, 0, 1),
        ("top10", 30, 0, 3),
        ("top10", 1001, 0, 101),
        ("top7", 100, 0, 7),  # 0.07 * 100 is 7.000000000000001 in floating point
        ("top10-30", 10, 1, 3),
        ("top10-30", 1, 1, 1),
        ("top0.1", 1000, 0, 1),
        ("top33.3", 1000, 0, 333),
        ("top100", 5, 0, 5),
        ("top29-58", 100, 29, 58),  # 0.29 * 100 is 28.999999999999996
        ("top10", 0, 0, 0),
        ("top10", 10**18 + 1, 0, 10**17 + 1),
    ],
)
def test_ranks_of_bands_are_exact(band: str, total: int, above: int, down_to: int) -> None:
    parsed = parse_band(band)
    assert parsed.name == band
    assert (stage.num_above(parsed.start, total), stage.num_above(parsed.end, total)) == (above, down_to)


def test_bands_side_by_side_share_no_document() -> None:
    for total in range(200):
        upper, lower = parse_band("top10"), parse_band("top10-30")
        assert upper.end == lower.start == Fraction(1, 10)
        assert stage.num_above(upper.end, total) <= stage.num_above(lower.end, total) <= total


@pytest.mark.parametrize(
    "name", ["", "top", "10", "top0", "top101", "top30-10", "top10-10", "top-5", "top1e1", "top1٠"]
)
def test_no_bands(name: str) -> None:
    with pytest.raises(ValueError, match="is no band"):
        parse_band(name)


@pytest.mark.parametrize("rows_per_part", [2 << 20, 37])
def test_ranks_are_those_of_a_sort(spark: SparkSession, monkeypatch: pytest.MonkeyPatch, rows_per_part: int) -> None:
    """With many parts too, where equal scores lie in several of them."""
    monkeypatch.setattr(stage, "_ROWS_PER_PART", rows_per_part)
    for scores in (SCORE_SETS["half are equal"], SCORE_SETS["negative, denormal and both zeros"]):
        rows = list(zip(doc_ids(len(scores)), scores, strict=True))
        expected = {doc_id: 1 + sum(other > score for other in scores) for doc_id, score in rows}
        found = stage.ranks(frame_of(spark, rows)).collect()
        assert len(found) == len(rows)
        assert {row.doc_id: row["rank"] for row in found} == expected


def test_combined_ranks(spark: SparkSession) -> None:
    ranks = {"a": {1: 1, 2: 2, 3: 3}, "b": {1: 3, 2: 1, 3: 1}}
    frames = {name: spark.createDataFrame(list(of.items()), "doc_id long, rank long") for name, of in ranks.items()}
    weights = {"a": Fraction("0.5"), "b": Fraction("1.25")}
    found = stage.combined(frames, weights, 3).collect()
    assert {row.doc_id: row.score for row in found} == {1: -17.0, 2: -9.0, 3: -11.0}  # 2 x rank + 5 x rank
    with pytest.raises(ValueError, match="too fine for"):
        stage.combined(frames, {"a": Fraction("1000000"), "b": Fraction("0.001")}, 10**8)
