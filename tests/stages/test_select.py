"""Exact cuts against a plain sort, and the subsets that they make."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from swallow_spark import lookups
from swallow_spark.outputs import Outputs
from swallow_spark.sections.select import Cleanup, parse_band
from swallow_spark.stages import select as stage
from swallow_spark.storage import Root
from swallow_spark.tables import PAGES, SCORES

_RNG = random.Random(41)
SCORE_SETS = {
    "random": [_RNG.random() for _ in range(700)],
    "half are equal": [0.5 if i % 2 else _RNG.random() for i in range(600)],
    "all are equal": [0.25] * 300,
    "negative and both zeros": [_RNG.choice((-1e-300, -3.0, -0.0, 0.0, 2.5, -7e200)) for _ in range(300)],
    "next to each other": [1 + 2**-52 * (i % 9) for i in range(200)],
    "of all sizes": [_RNG.choice((-1, 1)) * 10.0 ** _RNG.randint(-9, 9) for _ in range(300)],
    "one": [0.75],
}


def doc_ids(number: int) -> list[int]:
    """Over several crawls and files: far apart, as real ones are, and some next to each other."""
    rng = random.Random(number)
    return rng.sample([(1 + i % 900) << 53 | (i * 7 % 99) << 32 | i // 3 for i in range(2 * number)], number)


def check_cuts(spark: SparkSession, scores: list[float]) -> None:
    rows = list(zip(doc_ids(len(scores)), scores, strict=True))
    ranked = sorted(rows, key=lambda row: (-row[1], row[0]))
    frame = spark.createDataFrame(pa.table([pa.array(c) for c in zip(*rows, strict=True)], schema=SCORES))
    frame = frame.coalesce(2).localCheckpoint()
    for documents in sorted({len(rows) // 10 or 1, len(rows) // 2 or 1, len(rows)}):
        doc_id, score = ranked[documents - 1]
        cut = stage.cut_after(frame, documents)
        assert cut == stage.Cut(documents, score, doc_id)
        assert not (cut.score == 0 and str(cut.score).startswith("-"))
        above = frame.where(stage.is_above(cut)).select("doc_id").collect()
        assert sorted(row.doc_id for row in above) == sorted(row[0] for row in ranked[:documents])


@pytest.mark.parametrize("scores", SCORE_SETS.values(), ids=SCORE_SETS.keys())
def test_cut_is_that_of_a_sort(spark: SparkSession, scores: list[float]) -> None:
    check_cuts(spark, scores)


def test_cut_is_found_in_many_rounds(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_BINS", 3)
    check_cuts(spark, SCORE_SETS["random"][:25] + [0.5] * 25)


def test_cut_above_all(spark: SparkSession) -> None:
    frame = spark.createDataFrame(pa.table([[1, 2], [0.5, 0.1]], schema=SCORES))
    assert stage.cut_after(frame, 0) is None
    assert frame.where(stage.is_above(None)).isEmpty()


@pytest.mark.parametrize(
    ("scores", "documents", "message"),
    [
        ([0.1, float("nan"), 0.3], 1, "not a finite number"),
        ([0.1, float("-inf"), 0.3], 1, "not a finite number"),
        ([0.1, 0.2], 3, "a cut after 3 documents, but there are 2"),
        ([], 1, "a cut after 1 documents, but there are 0"),
    ],
)
def test_cuts_refused(spark: SparkSession, scores: list[float], documents: int, message: str) -> None:
    columns = [pa.array(range(len(scores)), pa.int64()), pa.array(scores, pa.float64())]
    with pytest.raises(ValueError, match=message):
        stage.cut_after(spark.createDataFrame(pa.table(columns, schema=SCORES)), documents)


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


def test_subsets_hold_their_members(spark: SparkSession, tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    doc_ids = [(1 + i % 2) << 53 | i for i in range(50)]
    pages = [
        dict.fromkeys(PAGES.names)
        | {"doc_id": doc_id, "text": f"本文{doc_id}", "num_chars": i, "language_score": 1.0, "record_length": 9}
        for i, doc_id in enumerate(doc_ids)
    ]
    # Bit 0: a third; bit 1: those beyond the 30th; the first five have no row at all.
    wanted = {d: (i % 3 == 0) | (i >= 30) << 1 for i, d in enumerate(doc_ids)}
    members = [(d, bits, d / 7) for i, (d, bits) in enumerate(wanted.items()) if bits and i >= 5]
    shipped = lookups.ship(
        spark.createDataFrame(members, "doc_id long, subsets long, score_wiki double"), root, "members", 1
    )
    schema = stage.subset_schema(["wiki"])
    tables = {"subsets/wiki-top10": 0, "subsets/wiki-top10-30": 1}
    directories = {table: {1: f"{table}/crawl=a/x", 2: f"{table}/crawl=b/x"} for table in tables}
    written = stage.write_subsets(
        spark.createDataFrame(pa.Table.from_pylist(pages, PAGES)).repartition(3),
        shipped,
        tables,
        ["score_wiki"],
        Cleanup(mode="off"),
        Outputs(root, dict.fromkeys(tables, schema), directories),
    ).collect()
    for table, bit in tables.items():
        found = {}
        for crawl_no, directory in directories[table].items():
            files = [row for row in written if row["path"].startswith(f"{directory}/")]
            rows = [row for file in files for row in pq.read_table(root.local_path(file["path"])).to_pylist()]
            assert all(row["doc_id"] >> 53 == crawl_no for row in rows)
            found.update({row["doc_id"]: row for row in rows})
        assert set(found) == {d for i, d in enumerate(doc_ids) if i >= 5 and wanted[d] >> bit & 1}
        assert all(row["score_wiki"] == d / 7 and row["text"] == f"本文{d}" for d, row in found.items())
        sums = [dict(row["sums"]).get(f"chars:{table}", 0) for row in written if row["table"] == table]
        assert sum(sums) == sum(row["num_chars"] for row in found.values())
        assert {tuple(row) for row in map(dict, found.values())} == {tuple(schema.names)}


@pytest.mark.parametrize("mode", ["off", "careful", "swallow"])
def test_texts_are_cleaned_and_what_that_did_is_counted(
    spark: SparkSession, tmp_path: Path, mode: Literal["off", "careful", "swallow"]
) -> None:
    texts = ["雨，風．", "本文が長く続く。\n" * 3 + "Copyright", "お知らせ", "雨、風。"]
    root, table = Root(str(tmp_path)), "subsets/wiki-top10"
    pages = [
        dict.fromkeys(PAGES.names)
        | {"doc_id": i, "text": text, "num_chars": len(text), "language_score": 1.0, "record_length": 9}
        for i, text in enumerate(texts)
    ]
    members = [(i, int(i != 3), 0.5) for i in range(4)]
    shipped = lookups.ship(
        spark.createDataFrame(members, "doc_id long, subsets long, score_wiki double"), root, "members", 1
    )
    outputs = Outputs(root, {table: stage.subset_schema(["wiki"])}, {table: {0: f"{table}/crawl=a/x"}})
    frame = spark.createDataFrame(pa.Table.from_pylist(pages, PAGES)).coalesce(1)
    written = stage.write_subsets(frame, shipped, {table: 0}, ["score_wiki"], Cleanup(mode=mode), outputs).collect()
    found = pq.read_table(root.local_path(written[0]["path"])).sort_by("doc_id").to_pylist()
    trimmed = ("本文が長く続く。\n" * 3).rstrip()
    expected = {
        "off": (texts[:3], 0, 0),
        "careful": (["雨、風。", trimmed, "お知らせ"], 1, 0),
        "swallow": (["雨、風。", trimmed], 2, 1),
    }[mode]
    assert [row["text"] for row in found] == expected[0]
    assert [row["num_chars"] for row in found] == [len(text) for text in expected[0]]
    sums = {"chars": sum(map(len, expected[0])), "trimmed": expected[1], "emptied": expected[2]}
    assert dict(written[0]["sums"]) == {f"{name}:{table}": value for name, value in sums.items()}
