"""Annotate: sketches, features and other tables of the pages, in one scan of their text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark.config.annotate import Features, Sketch
from swallow_spark.config.lists import expressions
from swallow_spark.config.section import Listing
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.kernels import features as feature_kernels
from swallow_spark.kernels import lsh
from swallow_spark.kernels.text.ngwords import Matcher, Variant
from swallow_spark.stages.stage import Annotation
from swallow_spark.tables import PAGES, SKETCHES

# With host and length, so that rules on hosts and sums of characters need no second table.
_FROM_PAGES: Final = ("doc_id", "host", "num_chars")
FEATURES: Final = pa.schema([*map(PAGES.field, _FROM_PAGES), *feature_kernels.SCHEMA])


@dataclass(frozen=True)
class Sketching:
    """The annotation `sketches`."""

    section: Sketch
    table = "sketches"
    schema = SKETCHES

    def start(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        settings = self.section.model_dump()
        return lambda pages: with_columns(lsh.sketch(pages.column("text"), **settings), pages, ("doc_id",))


@dataclass(frozen=True)
class Measuring:
    """The annotation `features`."""

    section: Features
    table = "features"
    schema = FEATURES

    def start(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        return lambda pages: with_columns(measure(pages.column("text"), self.section), pages, _FROM_PAGES)


def annotate(pages: DataFrame | Scan, annotations: Sequence[Annotation], outputs: Outputs) -> DataFrame:
    """Writes the annotations' tables for pages (doc_id, host, num_chars, text); a frame of what was written."""
    work = partial(_annotate, annotations=annotations)
    return write_tables(pages, (*_FROM_PAGES, "text"), work, outputs)


def _annotate(batches: Iterator[pa.RecordBatch], annotations: Sequence[Annotation]) -> Iterator[Rows]:
    started = [(annotation.table, annotation.start()) for annotation in annotations]
    for batch in batches:
        for table, work in started:
            yield Rows(table, work(batch))


def with_columns(rows: pa.RecordBatch, pages: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """The rows, with columns of their pages in front."""
    columns = [*map(pages.column, names), *rows.columns]
    return pa.RecordBatch.from_arrays(columns, [*names, *rows.schema.names])


def measure(texts: pa.Array, section: Features) -> pa.RecordBatch:
    """The configured features of texts. Raises ConfigError for a list that can't be used."""
    lists = {key: _matcher(listing, section.ng_variants) for key, listing in section.lists.items()}
    return feature_kernels.measure(texts, blank_lines=section.blank_lines, groups=section.groups, **lists)


@lru_cache(maxsize=16)
def _matcher(listing: Listing, variants: tuple[Variant, ...]) -> Matcher:
    """Made once per worker: 50,000 expressions take a quarter of a second."""
    return Matcher(expressions(listing), variants)
