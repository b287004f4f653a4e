"""Decisions shipped to where the text is, in several pieces."""

import pickle
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from swallow_spark.corpus import lookups, read
from swallow_spark.files.storage import Root


@pytest.mark.parametrize(("chosen_from", "step"), [(0, "coalesce"), (read.FEW_ROWS + 1, "repartitionByRange")])
def test_few_rows_of_many_are_not_chosen_by_one_task(tmp_path: Path, chosen_from: int, step: str) -> None:
    frame = MagicMock(columns=["doc_id"])
    lookups.ship(frame, Root(str(tmp_path)), "accepted", 1, chosen_from)
    assert [call[0] for call in frame.method_calls] == [step]


def test_finds_over_several_pieces(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "_ROWS_PER_PIECE", 50)
    monkeypatch.setattr(read, "FEW_ROWS", 0)
    rng = random.Random(3)
    rows = [(rng.getrandbits(62), number, number / 3) for number in range(400)]
    frame = spark.createDataFrame(rows, "doc_id long, subsets long, score double").repartition(3)
    shipped = pickle.loads(pickle.dumps(lookups.ship(frame, Root(str(tmp_path)), "members", len(rows))))
    assert len(shipped.pieces) >= 6
    assert list(shipped.pieces) == sorted(shipped.pieces)
    assert shipped.columns == ("subsets", "score")

    known = {doc_id: values for doc_id, *values in rows}
    asked = [doc_id for doc_id, *_ in rows] + [doc_id + 1 for doc_id, *_ in rows] + [0, 2**62, *list(known)[:9]]
    rng.shuffle(asked)
    present, values = shipped.find(np.array(asked, np.int64))
    assert present.tolist() == [doc_id in known for doc_id in asked]
    expected = [known[doc_id] for doc_id in asked if doc_id in known]
    assert values["subsets"].tolist() == [subsets for subsets, _ in expected]
    assert values["score"].tolist() == [score for _, score in expected]


def test_finds_nothing_in_nothing(spark: SparkSession, tmp_path: Path) -> None:
    shipped = lookups.ship(spark.createDataFrame([], "doc_id long"), Root(str(tmp_path)), "accepted", 0)
    present, values = shipped.find(np.array([1, 2], np.int64))
    assert (present.tolist(), values) == ([False, False], {})
    assert shipped.find(np.array([], np.int64))[0].tolist() == []


def test_pages_before_the_first(spark: SparkSession, tmp_path: Path) -> None:
    shipped = lookups.ship(spark.createDataFrame([(10,), (20,)], "doc_id long"), Root(str(tmp_path)), "accepted", 2)
    assert shipped.find(np.array([5, 10, 15, 20, 25], np.int64))[0].tolist() == [False, True, False, True, False]


def test_double_doc_ids_are_an_error(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.createDataFrame([(10,), (10,)], "doc_id long")
    with pytest.raises(Exception, match="doc_ids do not ascend"):
        lookups.ship(frame, Root(str(tmp_path)), "accepted", 2)


def test_the_end_of_a_task_lets_go_of_its_lookups(spark: SparkSession, tmp_path: Path) -> None:
    def mapped(batches: Iterator[pa.RecordBatch], shipped: lookups.Lookups | None) -> Iterator[pa.RecordBatch]:
        """The lookup files that the process has mapped, also deleted ones, after looking for what it is given."""
        for batch in batches:
            if shipped:
                assert shipped.find(batch.column(0).to_numpy())[0].all()
            maps = Path("/proc/self/maps").read_text().splitlines()
            yield pa.RecordBatch.from_pydict({"line": [line for line in maps if "/lookups/" in line]})

    root = Root(str(tmp_path))
    pages = spark.range(0, 1000, 1, 4)
    for _ in range(3):
        shipped = lookups.ship(pages.withColumnRenamed("id", "doc_id"), root, "accepted", 1000)
        assert pages.mapInArrow(partial(mapped, shipped=shipped), "line string").count(), "a file is mapped, not read"
        root.delete(shipped.directory)
    left = pages.mapInArrow(partial(mapped, shipped=None), "line string").collect()
    assert [row.line for row in left] == []


def test_the_driver_lets_go_of_them(spark: SparkSession, tmp_path: Path) -> None:
    shipped = lookups.ship(spark.createDataFrame([(10,)], "doc_id long"), Root(str(tmp_path)), "accepted", 1)
    assert shipped.find(np.array([10]))[0].all()
    assert not pickle.loads(pickle.dumps(shipped))._opened
    assert str(tmp_path) in Path("/proc/self/maps").read_text()
    del shipped
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
