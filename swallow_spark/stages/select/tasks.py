"""Select: the texts of all subsets, cleaned up, in one scan of the pages."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from swallow_spark.config.select import Cleanup
from swallow_spark.corpus.lookups import Lookups
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.stages.select.cleaned import cleaned
from swallow_spark.tables import SUBSETS


def subset_schema(classifiers: Sequence[str]) -> pa.Schema:
    fields = [pa.field(f"score_{classifier}", pa.float64(), nullable=False) for classifier in classifiers]
    return pa.schema([*SUBSETS, *fields])


def write_subsets(
    pages: DataFrame | Scan,
    members: Lookups,
    bits: Mapping[str, int],
    scores: Sequence[str],
    section: Cleanup,
    repeated: Lookups | None,
    outputs: Outputs,
) -> DataFrame:
    """Writes the subsets' tables from pages, with texts cleaned up; a frame of what was written.

    Sums for each table: `chars` after clean-up, texts `trimmed`, and those `emptied`, which are left out; `host_lines`
    dropped, and `masked_<kind>`; for each two tables the pages in `both`.

    members: doc_id, `subsets` (bit `bits[table]` is set for a page of that table) and the columns `scores`. repeated:
    the keys of the lines to drop, with `host` (host_lines.tasks.repeated); None: drop none.
    """
    work = partial(_write, members=members, bits=dict(bits), scores=tuple(scores), section=section, repeated=repeated)
    return write_tables(pages, [*SUBSETS.names, *(["host"] if repeated else [])], work, outputs)


def _write(
    batches: Iterator[pa.RecordBatch],
    members: Lookups,
    bits: dict[str, int],
    scores: tuple[str, ...],
    section: Cleanup,
    repeated: Lookups | None,
) -> Iterator[Rows]:
    for batch in batches:
        present, values = members.find(batch.column("doc_id").to_numpy())
        batch = batch.filter(pa.array(present))
        if not batch.num_rows:
            continue
        batch, done = cleaned(batch, section, repeated)
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
                    **done.sums(here, table),
                    f"emptied:{table}": int((num_chars[here] == 0).sum()),
                    **both.pop(table, {}),
                }
                yield Rows(table, with_scores.filter(pa.array(here & (num_chars > 0))), sums)


def _in_both(members: NDArray[np.int64], bits: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """For each table, the number of pages that it shares with each later one."""
    found: dict[str, dict[str, int]] = {}
    for (one, bit), (other, other_bit) in combinations(bits.items(), 2):
        wanted = 1 << bit | 1 << other_bit
        if number := int(((members & wanted) == wanted).sum()):
            found.setdefault(one, {})[f"both:{one}:{other}"] = number
    return found
