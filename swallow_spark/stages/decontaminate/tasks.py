"""Decontaminate: how much of a benchmark question each kept page contains."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from swallow_spark.corpus.lookups import Lookups
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.files.storage import Root
from swallow_spark.kernels.text import contamination as kernel


@dataclass(frozen=True)
class Questions:
    """An index of questions below the corpus root, memory-mapped by the workers of a machine."""

    root: Root
    directory: str
    ngram_chars: int


def ship(root: Root, index: kernel.Index, ngram_chars: int) -> Questions:
    """Writes an index where tasks find it."""
    directory = f"lookups/questions-{uuid4().hex[:12]}"
    for name, array in index._asdict().items():
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        root.write_atomically(f"{directory}/{name}.npy", content.getvalue())
    return Questions(root, directory, ngram_chars)


def decontaminate(pages: DataFrame | Scan, kept: Lookups, questions: Questions, outputs: Outputs) -> DataFrame:
    """Writes `contamination` of the kept pages (doc_id, text); a frame of what was written. Pages that share nothing
    with a question have no row."""
    work = partial(_measure, kept=kept, questions=questions)
    return write_tables(pages, ("doc_id", "text"), work, outputs)


def _measure(batches: Iterator[pa.RecordBatch], kept: Lookups, questions: Questions) -> Iterator[Rows]:
    index = _load(questions.root.local_copy(questions.directory))
    for batch in batches:
        batch = kept.among(batch)
        found = kernel.measure(batch.column("text"), index, questions.ngram_chars)
        columns = [batch.column("doc_id"), pa.array(found.fraction), pa.array(found.question)]
        rows = pa.RecordBatch.from_arrays(columns, ["doc_id", "fraction", "question"])
        rows = rows.filter(pa.array(found.question >= 0))
        if rows.num_rows:
            yield Rows("contamination", rows)


def _load(directory: Path) -> kernel.Index:
    arrays: dict[str, NDArray[Any]] = {
        name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in kernel.Index._fields
    }
    return kernel.Index(**arrays)
