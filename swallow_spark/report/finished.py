"""The finished units of a corpus, as the report's queries read them."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.corpus import Manifest
from swallow_spark.corpus.summary import summarise
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.stages.stage import Lineage
from swallow_spark.tables import DUPLICATES, FAILURES, GROUPS, PAGES, REMOVED, SCORES, SUBSETS, VERDICTS


class Finished:
    """The finished units of a corpus, and their tables as DataFrames."""

    def __init__(self, spark: SparkSession, lineage: Lineage) -> None:
        self.lineage = lineage
        self.corpus = lineage.corpus
        self.config = lineage.config
        self.spark = spark

    @cached_property
    def summary(self) -> dict[str, Any]:
        return summarise(self.corpus, self.config.rules.preset, self.config.classifiers)

    @cached_property
    def crawls(self) -> dict[int, str]:
        return self.corpus.crawls()

    @cached_property
    def files_pending(self) -> int:
        return sum(len(self.corpus.pending(crawl)) for crawl in self.crawls.values())

    @cached_property
    def ingested(self) -> list[Manifest]:
        return self.corpus.manifests("ingest")

    @cached_property
    def deduplicated(self) -> list[Manifest]:
        return self.corpus.manifests("deduplicate")

    @cached_property
    def decided(self) -> list[Manifest]:
        return self.corpus.manifests("decide", f"preset={self.config.rules.preset}/")

    @cached_property
    def cuts(self) -> list[dict[str, Any]]:
        """As select writes them: ranking, classifier (None if made of ranks), band, by, and the documents `upper` and
        `lower` (documents, score, doc_id)."""
        found = self.corpus.manifests("select", "cuts")
        return list(found[0].details["cuts"]) if found else []

    def pages(self, *columns: str) -> DataFrame:
        """With all columns if none is named."""
        return self._read("pages", _narrow(PAGES, columns), self.ingested)

    def failures(self, crawl: str) -> DataFrame | None:
        """None if the crawl has none."""
        manifests = self.corpus.manifests("ingest", f"crawl={crawl}/")
        found = any(manifest.rows("failures") for manifest in manifests)
        return self._read("failures", FAILURES, manifests) if found else None

    def features(self) -> DataFrame:
        return self._read("features", FEATURES, self.corpus.manifests("measure"))

    def but_removed(self, rows: DataFrame) -> DataFrame:
        """Rows without those of removed pages, of which nothing is shown."""
        manifests = self.corpus.manifests("remove", "crawl=")
        if not any(manifest.rows("removed") for manifest in manifests):
            return rows
        return rows.join(self._read("removed", REMOVED, manifests).select("doc_id"), "doc_id", "left_anti")

    def groups(self) -> DataFrame:
        return self._read("groups", GROUPS, self.deduplicated)

    def duplicates(self) -> DataFrame:
        return self._read("duplicates", DUPLICATES, self.deduplicated)

    def verdicts(self) -> DataFrame:
        return self._read(f"verdicts/preset={self.config.rules.preset}", VERDICTS, self.decided)

    def scores(self, classifier: str) -> DataFrame:
        manifests = self.corpus.manifests("score", f"classifier={classifier}/")
        return self._read(f"scores/classifier={classifier}", SCORES, manifests)

    def subset(self, name: str, *columns: str) -> DataFrame:
        schema = _narrow(SUBSETS, columns)
        return self._read(f"subsets/{name}", schema, self.corpus.manifests("select", "crawl="))

    def _read(self, table: str, schema: pa.Schema, manifests: Iterable[Manifest]) -> DataFrame:
        return self.corpus.read(self.spark, table, schema, manifests)


def _narrow(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """For readers other than Spark's own, which read all columns of the schema."""
    return pa.schema([schema.field(name) for name in columns]) if columns else schema


def is_any_of(column: str, values: Sequence[int]) -> Column:
    """Whether the column has one of the values, as a disjunction of equalities.

    With these, the Parquet reader skips row groups without a match; a long `isin` reaches it as one range, which covers
    nearly all.
    """
    if not values:
        return F.lit(False)
    if len(values) == 1:
        return F.col(column).eqNullSafe(values[0])
    middle = len(values) // 2  # balanced: a chain of hundreds would be too deep
    return is_any_of(column, values[:middle]) | is_any_of(column, values[middle:])


def day(micros: int | None) -> str:
    """The UTC day of microseconds since 1970, as 2025-08-12; empty for None."""
    if micros is None:
        return ""
    try:
        return (datetime(1970, 1, 1) + timedelta(microseconds=micros)).strftime("%Y-%m-%d")
    except OverflowError:
        return "?"


def without_secrets(location: str) -> str:
    """A path or URI without user names, passwords and queries, which may hold keys."""
    scheme, separator, rest = location.partition("://")
    if not separator:
        return location
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
