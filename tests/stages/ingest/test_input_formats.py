"""A format of extracted text that the program doesn't know, from INPUT arguments to pages."""

from pathlib import Path

import pytest
import tab_format
from pyspark.sql import SparkSession
from runs import MakeRun, table

from swallow_spark.errors import InputError
from swallow_spark.files import inputs
from swallow_spark.stages.ingest.step import ingest
from swallow_spark.tables import unpack_doc_id


def test_another_format_becomes_pages(
    spark: SparkSession, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tab"
    path.write_text("http://a.example/1\t一つ目\nno tab\nhttp://b.example/2\t \nhttp://b.example/3\t三つ目\n")
    with pytest.raises(InputError, match=r"not a file of text \(\.jsonl, .*, \.csv\)"):
        inputs.expand([str(path)], text=True)
    monkeypatch.setitem(inputs.TEXT_FORMATS, "tab", inputs.Format((".tab", ".tab.txt"), tab_format.rows))
    spark.sparkContext.addPyFile(tab_format.__file__)
    run = make_run([path], text=True)
    ingest(run, "c")
    pages = [(unpack_doc_id(row["doc_id"]).offset, row["host"], row["text"]) for row in table(run, "pages", "ingest")]
    assert pages == [(0, "a.example", "一つ目"), (3, "b.example", "三つ目")]
    outcomes = {row["outcome"]: row["num_records"] for row in table(run, "ledger", "ingest")}
    assert outcomes == {"page": 2, "failure:no_tab": 1, "passed_over:no_text": 1}
    assert [file.format for file in run.corpus.inputs("c")] == ["tab"]
