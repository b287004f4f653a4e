"""Annotate: sketches and features of the pages, in one scan of their text."""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Final, NamedTuple

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.config.annotate import Features, Sketch
from swallow_spark.config.lists import expressions
from swallow_spark.config.section import Listing
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import (
    WRITTEN,
    Outputs,
)
from swallow_spark.kernels import features as feature_kernels
from swallow_spark.kernels import lsh
from swallow_spark.kernels.text.ngwords import Matcher, Variant
from swallow_spark.tables import PAGES, SKETCHES

# Host and length go along, so that rules on hosts, and sums of characters, need no second table.
_FROM_PAGES: Final = ("doc_id", "host", "num_chars")
FEATURES: Final = pa.schema([*map(PAGES.field, _FROM_PAGES), *feature_kernels.SCHEMA])
TABLES: Final = {"sketches": SKETCHES, "features": FEATURES}


class Kernels(NamedTuple):
    """What to annotate with; None leaves a table as it is."""

    sketch: Sketch | None
    features: Features | None


def annotate(pages: DataFrame | Scan, kernels: Kernels, outputs: Outputs) -> DataFrame:
    """Writes `sketches` and `features` of pages (doc_id, host, num_chars, text); a frame of what was written."""
    work = partial(_annotate_task, kernels=kernels, outputs=outputs)
    return pages.select(*_FROM_PAGES, "text").mapInArrow(work, from_arrow_schema(WRITTEN))


def measure(texts: pa.Array, section: Features) -> pa.RecordBatch:
    """The features of texts, as the section says. Raises ConfigError for a list that can't be used."""
    lists = {key: _matcher(listing, section.ng_variants) for key, listing in section.lists.items()}
    return feature_kernels.measure(texts, blank_lines=section.blank_lines, groups=section.groups, **lists)


@lru_cache(maxsize=16)
def _matcher(listing: Listing, variants: tuple[Variant, ...]) -> Matcher:
    """Once per worker: of 50,000 expressions it takes a quarter of a second to make."""
    return Matcher(expressions(listing), variants)


def _annotate_task(batches: Iterator[pa.RecordBatch], kernels: Kernels, outputs: Outputs) -> Iterator[pa.RecordBatch]:
    context = TaskContext.get()
    with outputs.open(context.partitionId() if context else 0) as opened:
        for batch in batches:
            *from_pages, texts = batch.columns
            if kernels.sketch:
                sketched = lsh.sketch(texts, **kernels.sketch.model_dump())
                opened.write("sketches", _with(sketched, {"doc_id": from_pages[0]}))
            if kernels.features:
                measured = measure(texts, kernels.features)
                opened.write("features", _with(measured, dict(zip(_FROM_PAGES, from_pages, strict=True))))
        yield opened.written()


def _with(batch: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([*columns.values(), *batch.columns], [*columns, *batch.schema.names])
