"""A corpus of ten pages whose every figure is known, in two input files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import Corpus, Manifest
from swallow_spark.pipeline import STAGES
from swallow_spark.stages.stage import Due, Lineage
from swallow_spark.tables import FAILURES, PAGES, InputFile, pack_doc_id

SCRIPT = "<script>alert(1)</script>"


# Pages 0..9 in two files; 1 and 2 are duplicates of 0, 4 of 3; 5 and 6 are rejected, 7 too, for two reasons.
IDS = [pack_doc_id(1, number % 2, 1000 * number) for number in range(10)]


TEXTS = [f"{number}番の文章。" + "あ" * 400 for number in range(10)]


def commit(
    corpus: Corpus,
    due: Due,
    rows: Mapping[str, tuple[pa.Schema, Sequence[Mapping[str, Any]], Mapping[str, int]]],
    **more: Any,
) -> Manifest:
    """A unit with these rows (table -> schema, rows, sums), as a step would commit it."""
    outputs = corpus.outputs(due.unit, {table: schema for table, (schema, _, _) in rows.items()}, {1: "c"})
    with outputs.open(0) as opened:
        for table, (schema, values, sums) in rows.items():
            opened.write(table, pa.RecordBatch.from_pylist([dict(row) for row in values], schema), sums)
        written = opened.written().to_pylist()
    return due.commit(corpus, written, **more)


def page(number: int) -> dict[str, Any]:
    return {
        "doc_id": IDS[number],
        "url": "javascript:alert(1)" if number == 8 else f"https://host{number % 3}.example/{number}",
        "host": f"host{number % 3}.example",
        "date": datetime(2025, 8, 1 + number, tzinfo=UTC),
        "title": f"{SCRIPT} {number}",
        "text": TEXTS[number],
        "charset": "utf-8" if number < 7 else "euc-jp",
        "language_score": 1.0,
        "num_chars": len(TEXTS[number]),
        "record_length": 5000,
        "robots": {2: "NoIndex, nofollow", 3: "max-snippet:5"}.get(number),
        "truncated": {4: True, 5: False}.get(number),
    }


def ingested(directory: Path, config: Config) -> tuple[Corpus, Manifest]:
    corpus = Corpus.open_or_create(str(directory / "corpus"))
    files = ("a", "b")
    corpus.register(
        "c", [InputFile(f"{f}.warc.gz", f"https://u:secret@h/{f}.warc.gz?key=1", 9, None, "warc") for f in files]
    )
    failures = [
        {"file_no": 0, "offset": 70, "scope": "record", "stage": "ingest", "reason": "bad_http", "detail": SCRIPT},
        {"file_no": 1, "offset": 50, "scope": "gap", "stage": "ingest", "reason": "garbage", "detail": "9 bytes"},
    ]
    sums = {"records": 14, "page": 10, "passed_over:status": 3, "failure:bad_http": 1, "file_failure:garbage": 1}
    rows = {
        "pages": (PAGES, [page(number) for number in range(10)], {"chars": sum(map(len, TEXTS)), **sums}),
        "failures": (FAILURES, failures, {}),
    }
    covers = [(0, 1)]
    return corpus, commit(corpus, Lineage(STAGES, config, corpus).made("ingest", "crawl=c/0-1"), rows, covers=covers)
