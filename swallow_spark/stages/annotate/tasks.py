"""Annotate: sketches and features of the pages, in one scan of their text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark.config.annotate import Features, Sketch
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.kernels import features as feature_kernels
from swallow_spark.kernels import lsh
from swallow_spark.kernels.text import ngwords
from swallow_spark.stages.stage import Annotation
from swallow_spark.tables import PAGES, SKETCHES

# Host and length go along, so that rules on hosts, and sums of characters, need no second table.
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
        looked_for = lists(self.section)
        return lambda pages: with_columns(measure(pages.column("text"), self.section, looked_for), pages, _FROM_PAGES)


def annotate(pages: DataFrame | Scan, annotations: Sequence[Annotation], outputs: Outputs) -> DataFrame:
    """Writes the tables of annotations of pages (doc_id, host, num_chars, text); a frame of what was written."""
    work = partial(_annotate, annotations=annotations)
    return write_tables(pages, (*_FROM_PAGES, "text"), work, outputs)


def _annotate(batches: Iterator[pa.RecordBatch], annotations: Sequence[Annotation]) -> Iterator[Rows]:
    started = [(annotation.table, annotation.start()) for annotation in annotations]
    for batch in batches:
        for table, work in started:
            yield Rows(table, work(batch))


def with_columns(rows: pa.RecordBatch, pages: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """The rows with columns of their pages before their own."""
    columns = [*map(pages.column, names), *rows.columns]
    return pa.RecordBatch.from_arrays(columns, [*names, *rows.schema.names])


class Lists(NamedTuple):
    """What the configured lists look for; None where there is no list."""

    ng_words: ngwords.Matcher | None
    phrases: ngwords.Matcher | None


def lists(section: Features) -> Lists:
    """The configured lists, ready to look for. Raises ConfigError."""
    ng_words, phrases = section.ng_words, section.phrases
    return Lists(
        ngwords.Matcher(ngwords.expressions(*ng_words), section.ng_variants) if ng_words else None,
        ngwords.Matcher(ngwords.expressions(*phrases), section.ng_variants) if phrases else None,
    )


def measure(texts: pa.Array, section: Features, looked_for: Lists) -> pa.RecordBatch:
    """The features of texts, as the section says."""
    return feature_kernels.measure(
        texts,
        ng_words=looked_for.ng_words,
        phrases=looked_for.phrases,
        blank_lines=section.blank_lines,
        groups=section.groups,
    )
