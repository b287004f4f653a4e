"""A stage that annotates pages is added by a row, a section and what makes its table; all else follows."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from commands import call
from corpora import ids, rows
from pydantic import Field
from pyspark import cloudpickle
from pyspark.sql import SparkSession

from swallow_spark.config.load import Config
from swallow_spark.config.section import Section
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.pipeline import STAGES
from swallow_spark.report.state import stages
from swallow_spark.stages.annotate.step import annotate
from swallow_spark.stages.stage import Lineage, Source, Stage

SCHEMA = pa.schema([pa.field("doc_id", pa.int64(), nullable=False), pa.field("num_marks", pa.int32())])


class Marks(Section):
    """The section [marks]."""

    mark: str = Field(default="。", min_length=1)


class WithMarks(Config):
    marks: Marks = Marks()


@dataclass(frozen=True)
class Marking:
    """How often each page has the mark. Fails at a text that says so, as long as a file is there."""

    section: Marks
    failing: Path
    table = "counts"
    schema = SCHEMA

    def start(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        def work(pages: pa.RecordBatch) -> pa.RecordBatch:
            texts = pages.column("text")
            if self.failing.exists() and any("止まれ" in text for text in texts.to_pylist()):
                raise ValueError("stopped")
            counts = pc.count_substring(texts, self.section.mark)
            return pa.RecordBatch.from_arrays([pages.column("doc_id"), counts], SCHEMA.names)

        return work


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    return tmp_path / "failing"


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch, failing: Path) -> Iterator[None]:
    row = Stage(
        "count_marks",
        each="batch",
        sources=(Source("ingest"),),
        run=annotate,
        annotation=lambda config: Marking(config.marks, failing),  # type: ignore[attr-defined]
        meaning=lambda config, _: config.marks.meaning(),  # type: ignore[attr-defined]
        versions=lambda config, _: {"count_marks": 1},
    )
    monkeypatch.setattr("swallow_spark.config.load.Config", WithMarks)
    monkeypatch.setattr(STAGES, "_rows", {**{stage.name: stage for stage in STAGES}, row.name: row})
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import a test
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def corpus(spark: SparkSession, tmp_path: Path) -> Path:
    """Two batches of pages, which is all that there is."""
    for crawl, texts in (("a", ["一。二。", "三。"]), ("b", ["四", "止まれ。"])):
        lines = [json.dumps({"text": text * 200}, ensure_ascii=False) for text in texts]
        (tmp_path / f"{crawl}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        done = call("import", "--corpus", tmp_path / "corpus", "--crawl", crawl, tmp_path / f"{crawl}.jsonl")
        assert done.status == 0, done.err
    return tmp_path / "corpus"


def state(corpus: Path, **marks: Any) -> str:
    config = WithMarks.model_validate({"rules": {"preset": "p"}, "marks": marks})
    found = stages(Lineage(STAGES, config, Corpus.open(str(corpus))), 0)
    return {stage.name: stage.state for stage in found}["count_marks"]


def test_it_runs_goes_on_where_it_stopped_and_is_told_of(corpus: Path, failing: Path) -> None:
    assert state(corpus) == "not done"
    assert "count_marks" in STAGES.needed("report") - STAGES.needed("deduplicate")
    failing.touch()
    one_by_one = ("--set", "execution.batches_in_flight=1")
    assert call("annotate", "--corpus", corpus, *one_by_one).status == 1
    before = ids(corpus, "count_marks", "sketch", "measure")
    assert "count_marks/crawl=a/0000000-0000000" in before
    assert not any("crawl=b" in name for name in before)
    assert state(corpus) == "partly done"
    assert "count_marks" in {one["stage"] for one in not_done(corpus)}

    failing.unlink()
    assert call("annotate", "--corpus", corpus).status == 0
    after = ids(corpus, "count_marks", "sketch", "measure")
    assert after.items() > before.items()
    assert len(after) == 6
    assert state(corpus) == "done"
    assert state(corpus, mark="、") == "out of date"
    assert "count_marks" not in {one["stage"] for one in not_done(corpus)}
    counted = rows(corpus, "counts")
    assert [row["num_marks"] for row in sorted(counted, key=lambda row: row["doc_id"])] == [400, 200, 0, 200]

    # Its section is its own: another value makes only its rows out of date.
    assert call("annotate", "--corpus", corpus, "--set", "marks.mark=一").status == 0
    again = ids(corpus, "count_marks", "sketch", "measure")
    assert {name.partition("/")[0] for name in again if again[name] != after[name]} == {"count_marks"}


def not_done(corpus: Path) -> list[dict[str, str]]:
    return list(json.loads(call("check", "--corpus", corpus, "--json").out)["not_done"])


def test_it_is_checked_mended_and_discarded(corpus: Path) -> None:
    assert call("annotate", "--corpus", corpus).status == 0
    lost = next((corpus / "counts").rglob("*.parquet"))
    lost.unlink()
    found = json.loads(call("check", "--corpus", corpus, "--json").out)["damaged"]
    assert [(one["stage"], one["problem"]) for one in found] == [("count_marks", "missing")]
    mended = call("annotate", "--corpus", corpus)
    assert "`swallow-spark annotate` (or `build`)" in mended.err
    assert len(rows(corpus, "counts")) == 4

    assert call("discard", "--corpus", corpus, "--stage", "count_marks").status == 0
    assert ids(corpus, "count_marks") == {}
    assert not list((corpus / "counts").rglob("*.parquet"))
    assert len(ids(corpus, "sketch")) == 2
    assert call("annotate", "--corpus", corpus).status == 0
    assert call("discard", "--corpus", corpus, "--crawl", "b").status == 0
    assert list(ids(corpus, "count_marks")) == ["count_marks/crawl=a/0000000-0000000"]
    assert call("discard", "--corpus", corpus, "--stage", "ingest").status == 0
    assert ids(corpus, "count_marks") == {}
