"""One large WARC read by several tasks: the same corpus as read by one."""

import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import DEMO_WARCS
from pyspark.sql import SparkSession

from swallow_spark import tables
from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.files.inputs import expand
from swallow_spark.kernels.warc.warc import Record, read
from swallow_spark.pipeline import STAGES
from swallow_spark.session.progress import Progress
from swallow_spark.stages.ingest import tasks as stage
from swallow_spark.stages.ingest.step import ingest
from swallow_spark.stages.run import Run

DEMO = DEMO_WARCS[0]


def sound() -> bytes:
    data = DEMO.read_bytes()[:500_000]
    return data[: list(read(io.BytesIO(data)))[-1].offset]


def damaged() -> bytes:
    data = bytearray(sound())
    data[len(data) // 2] ^= 0x55
    return bytes(data)


def nested() -> bytes:
    """A WARC that is stored in a record of another one, uncompressed, so that its members' heads can be seen."""
    inner = sound()
    head = b"WARC/1.0\r\nWARC-Type: resource\r\nContent-Length: %d\r\n\r\n" % len(inner)
    return sound() + gzip.compress(head + inner + b"\r\n\r\n", 0) + sound()


def ingested(spark: SparkSession, directory: Path, warc: Path, *settings: str) -> tuple[dict[str, Any], dict[str, int]]:
    corpus = Corpus.open_or_create(str(directory))
    run = Run(corpus, load("demo", settings), Progress(lambda: spark), STAGES)
    with corpus.lock():
        corpus.register("c", list(expand([str(warc)])))
        ingest(run, "c")
    (manifest,) = corpus.manifests("ingest")
    found: dict[str, Any] = {}
    for table, schema in stage.TABLES.items():
        files = [pq.read_table(directory / f.path, schema=schema) for f in manifest.files if f.table == table]
        rows = pa.concat_tables(files) if files else schema.empty_table()
        found[table] = rows.sort_by([(name, "ascending") for name in schema.names[:2]]).to_pylist()
    listed = {directory / file.path for file in manifest.files}
    assert listed == {path for table in stage.TABLES for path in (directory / table).rglob("*.parquet")}
    return found, manifest.counts


@pytest.mark.parametrize("content", [sound, damaged, nested])
def test_ranges_give_the_same_corpus(spark: SparkSession, tmp_path: Path, content: Any) -> None:
    warc = tmp_path / "one.warc.gz"
    warc.write_bytes(content())
    whole = ingested(spark, tmp_path / "whole", warc)
    ranges = ingested(spark, tmp_path / "ranges", warc, "execution.min_bytes_per_range=50000")
    assert ranges == whole
    records = [item for item in read(io.BytesIO(content())) if isinstance(item, Record)]
    assert whole[1]["page"] > 20
    doc_ids = {tables.pack_doc_id(1, 0, record.offset) for record in records}
    assert {page["doc_id"] for page in whole[0]["pages"]} <= doc_ids


def test_ranges_are_used(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound file is put together from its ranges, a damaged one is not, and a plain one is never cut."""
    answers: list[bool] = []
    put_together = stage.whole

    def watched(*arguments: Any) -> Any:
        found = put_together(*arguments)
        answers.append(found is not None)
        return found

    monkeypatch.setattr(stage, "whole", watched)
    for name, content in (("sound", sound()), ("damaged", damaged()), ("plain", gzip.decompress(sound()))):
        warc = tmp_path / f"{name}.warc{'' if name == 'plain' else '.gz'}"
        warc.write_bytes(content)
        ingested(spark, tmp_path / name, warc, "execution.min_bytes_per_range=50000")
    assert answers == [True, False]
