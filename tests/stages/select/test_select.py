"""The subsets that decisions make of pages."""

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from swallow_spark.config.select import Cleanup
from swallow_spark.corpus import lookups
from swallow_spark.corpus.write import Outputs
from swallow_spark.files.storage import Root
from swallow_spark.stages.select import tasks as stage
from swallow_spark.tables import PAGES


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
        None,
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
        both = [dict(row["sums"]).get(f"both:{table}:subsets/wiki-top10-30", 0) for row in written]
        assert sum(both) == (sum(wanted[d] == 3 for d in doc_ids) if bit == 0 else 0)
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
    section = Cleanup(mode=mode)
    written = stage.write_subsets(frame, shipped, {table: 0}, ["score_wiki"], section, None, outputs).collect()
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


def test_personal_data_is_masked_and_counted(spark: SparkSession, tmp_path: Path) -> None:
    root, tables = Root(str(tmp_path)), {"subsets/wiki-top10": 0, "subsets/wiki-top10-30": 1}
    texts = ["電話，03-1234-5678．〒100-0001", "a@example.jp、b@example.jp", "c@example.jp 2024-01-02"]
    pages = [
        dict.fromkeys(PAGES.names)
        | {"doc_id": i, "text": text, "num_chars": len(text), "language_score": 1.0, "record_length": 9}
        for i, text in enumerate(texts)
    ]
    members = [(0, 1, 0.9), (1, 1, 0.8), (2, 2, 0.5)]
    shipped = lookups.ship(
        spark.createDataFrame(members, "doc_id long, subsets long, score_wiki double"), root, "members", 1
    )
    schema = stage.subset_schema(["wiki"])
    outputs = Outputs(root, dict.fromkeys(tables, schema), {table: {0: f"{table}/crawl=a/x"} for table in tables})
    frame = spark.createDataFrame(pa.Table.from_pylist(pages, PAGES)).coalesce(1)
    section = Cleanup(mask=("mail", "phone"))
    written = stage.write_subsets(frame, shipped, tables, ["score_wiki"], section, None, outputs).collect()
    rows = {row["doc_id"]: row for file in written for row in pq.read_table(root.local_path(file["path"])).to_pylist()}
    masked = ["電話、<PHONE>．〒100-0001", "<MAIL>、<MAIL>", "<MAIL> 2024-01-02"]
    assert [rows[i]["text"] for i in range(3)] == masked
    assert [rows[i]["num_chars"] for i in range(3)] == list(map(len, masked))
    sums = {name: value for file in written for name, value in dict(file["sums"]).items() if name.startswith("masked_")}
    assert sums == {
        "masked_mail:subsets/wiki-top10": 2,
        "masked_phone:subsets/wiki-top10": 1,
        "masked_mail:subsets/wiki-top10-30": 1,
    }
