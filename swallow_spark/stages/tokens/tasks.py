"""Tokens: the number of tokens of each text."""

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from swallow_spark.config.section import sha256_of
from swallow_spark.config.select import Tokens
from swallow_spark.corpus.lookups import Lookups
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.files.storage import Root
from swallow_spark.kernels.text import tokens


class Counting(NamedTuple):
    """A tokenizer for tasks: a file below the root, or the name of an encoding."""

    root: Root
    file: str | None
    encoding: str | None

    def load(self) -> tokens.Tokenizer:
        """Loaded once per worker, which is reused from task to task."""
        return _load(self.root.local_copy(self.file) if self.file else None, self.encoding)


def put_tokenizer(root: Root, section: Tokens) -> Counting:
    """The configured tokenizer, its file copied below the root for tasks."""
    path = None
    if section.file:
        path = f"models/{sha256_of(section.file)}.json"
        if not root.exists(path):
            root.write_atomically(path, section.file.read_bytes())
    return Counting(root, path, section.encoding)


@lru_cache(maxsize=4)
def _load(file: Path | None, encoding: str | None) -> tokens.Tokenizer:
    return tokens.load(file, encoding)


def count_tokens(
    texts: DataFrame | Scan, wanted: Lookups | None, counting: Counting, table: str, outputs: Outputs
) -> DataFrame:
    """Writes (doc_id, num_tokens) of the wanted texts (doc_id, text); a frame of what was written. Sum: `tokens`."""
    work = partial(_count, wanted=wanted, counting=counting, table=table)
    return write_tables(texts, ("doc_id", "text"), work, outputs)


def _count(batches: Iterator[pa.RecordBatch], wanted: Lookups | None, counting: Counting, table: str) -> Iterator[Rows]:
    tokenizer = counting.load()
    for batch in batches:
        if wanted:
            batch = wanted.among(batch)
        if batch.num_rows:
            counts = tokenizer(batch.column("text"))
            columns = [batch.column("doc_id"), pa.array(counts)]
            rows = pa.RecordBatch.from_arrays(columns, ["doc_id", "num_tokens"])
            yield Rows(table, rows, {"tokens": int(counts.sum(dtype=np.int64))})


def measure(texts: DataFrame, counting: Counting) -> DataFrame:
    """(doc_id, num_chars, num_tokens) of texts (doc_id, text)."""
    schema = "doc_id long, num_chars long, num_tokens long"
    return texts.select("doc_id", "text").mapInArrow(partial(_measure_task, counting=counting), schema)


def _measure_task(batches: Iterator[pa.RecordBatch], counting: Counting) -> Iterator[pa.RecordBatch]:
    tokenizer = counting.load()
    for batch in batches:
        texts = batch.column("text")
        counts = [pc.utf8_length(texts).cast(pa.int64()), pa.array(tokenizer(texts).astype(np.int64))]
        columns = [batch.column("doc_id"), *counts]
        yield pa.RecordBatch.from_arrays(columns, ["doc_id", "num_chars", "num_tokens"])
