"""Decisions shipped to where the text is, in several pieces."""

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from swallow_spark.corpus import lookups
from swallow_spark.files.storage import Root


def test_finds_over_several_pieces(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "_ROWS_PER_PIECE", 50)
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
