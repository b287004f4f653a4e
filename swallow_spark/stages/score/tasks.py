"""Score: all classifiers over the accepted pages, in one scan of the text."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark.corpus.lookups import Lookups
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.kernels import classifiers


class Model(NamedTuple):
    """A classifier's model, as its `share` wrote it below the corpus root, and how it is opened and applied."""

    path: str
    open_shared: Callable[[Path], classifiers.Model]
    weights: Mapping[str, float]
    preparation: classifiers.Preparation


def table_of(classifier: str) -> str:
    return f"scores/classifier={classifier}"


def score(pages: DataFrame | Scan, accepted: Lookups, models: Mapping[str, Model], outputs: Outputs) -> DataFrame:
    """Writes a table of scores of the accepted pages (doc_id, text) for each classifier; a frame of what was written.
    A page's score is the sum of weight x probability over the labels."""
    work = partial(_score, accepted=accepted, models=dict(models))
    return write_tables(pages, ("doc_id", "text"), work, outputs)


def _score(batches: Iterator[pa.RecordBatch], accepted: Lookups, models: dict[str, Model]) -> Iterator[Rows]:
    for batch in batches:
        batch = accepted.among(batch)
        if not batch.num_rows:
            continue
        for classifier, (path, open_shared, weights, preparation) in models.items():
            model = _open(open_shared, accepted.root.local_copy(path))
            texts = preparation.apply(batch.column("text"))
            scores = model.expected_score(model.probabilities(texts), weights)
            if not np.isfinite(scores).all():
                raise ValueError(f"classifier {classifier}: a score is not a finite number")
            columns = [batch.column("doc_id"), pa.array(scores, pa.float64())]
            yield Rows(table_of(classifier), pa.RecordBatch.from_arrays(columns, ["doc_id", "score"]))


@lru_cache(maxsize=16)
def _open(open_shared: Callable[[Path], classifiers.Model], path: Path) -> classifiers.Model:
    """Once per worker, which is reused from task to task; all workers of a machine map the same file."""
    return open_shared(path)
