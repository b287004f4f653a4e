"""Select: the subsets' texts, cleaned up, from pages and the decisions about them, all subsets in one scan."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.kernels import cleanup
from swallow_spark.lookups import Lookups
from swallow_spark.outputs import WRITTEN, Outputs
from swallow_spark.sections.select import Cleanup
from swallow_spark.tables import SUBSETS


def subset_schema(classifiers: Sequence[str]) -> pa.Schema:
    fields = [pa.field(f"score_{classifier}", pa.float64(), nullable=False) for classifier in classifiers]
    return pa.schema([*SUBSETS, *fields])


def write_subsets(
    pages: DataFrame,
    members: Lookups,
    bits: Mapping[str, int],
    scores: Sequence[str],
    section: Cleanup,
    outputs: Outputs,
) -> DataFrame:
    """Writes the subsets' tables from pages, all in one scan, with texts cleaned up; a frame of what was written.

    Counted for each table: `chars` after clean-up, texts `trimmed`, and those `emptied`, which are left out; and for
    each two tables the pages that are in `both`.

    members: doc_id, `subsets` (bit `bits[table]` is set where the page belongs to that table) and the columns `scores`.
    """
    work = partial(
        _write_task, members=members, bits=dict(bits), scores=tuple(scores), section=section, outputs=outputs
    )
    return pages.select(*SUBSETS.names).mapInArrow(work, from_arrow_schema(WRITTEN))


def _write_task(
    batches: Iterator[pa.RecordBatch],
    members: Lookups,
    bits: dict[str, int],
    scores: tuple[str, ...],
    section: Cleanup,
    outputs: Outputs,
) -> Iterator[pa.RecordBatch]:
    context = TaskContext.get()
    with outputs.open(context.partitionId() if context else 0) as opened:
        for batch in batches:
            present, values = members.find(batch.column("doc_id").to_numpy())
            batch = batch.filter(pa.array(present))
            if not batch.num_rows:
                continue
            batch, trimmed = _cleaned(batch, section)
            with_scores = pa.RecordBatch.from_arrays(
                [*batch.columns, *(pa.array(values[name]) for name in scores)], [*batch.schema.names, *scores]
            )
            num_chars = with_scores.column("num_chars").to_numpy()
            both = _in_both(values["subsets"][num_chars > 0], bits)
            for table, bit in bits.items():
                here = values["subsets"] >> bit & 1 == 1
                if here.any():
                    sums = {
                        f"chars:{table}": int(num_chars[here].sum(dtype=np.int64)),
                        f"trimmed:{table}": int(trimmed[here].sum()),
                        f"emptied:{table}": int((num_chars[here] == 0).sum()),
                        **both.pop(table, {}),
                    }
                    opened.write(table, with_scores.filter(pa.array(here & (num_chars > 0))), sums)
        yield opened.written()


def _in_both(members: NDArray[np.int64], bits: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """For each table, the pages that are in it and in a later one, by that."""
    found: dict[str, dict[str, int]] = {}
    for (one, bit), (other, other_bit) in combinations(bits.items(), 2):
        wanted = 1 << bit | 1 << other_bit
        if number := int(((members & wanted) == wanted).sum()):
            found.setdefault(one, {})[f"both:{one}:{other}"] = number
    return found


def _cleaned(batch: pa.RecordBatch, section: Cleanup) -> tuple[pa.RecordBatch, NDArray[np.bool_]]:
    """The batch with its texts cleaned up and their lengths, and which of them lost a footer."""
    if section.mode == "off":
        return batch, np.zeros(batch.num_rows, np.bool_)
    cleaned = cleanup.clean(batch.column("text"), section.mode)
    columns = {"text": cleaned.texts, "num_chars": pa.array(cleaned.num_chars)}
    arrays = [columns.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names), cleaned.trimmed
