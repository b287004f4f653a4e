"""The finished units of a corpus, as the report's queries read them."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from swallow_spark.corpus.corpus import Manifest
from swallow_spark.corpus.summary import summarise
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.stages.stage import Lineage
from swallow_spark.tables import GROUPS, PAGES, SUBSETS, VERDICTS


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

    @cached_property
    def presets(self) -> tuple[str, ...]:
        """The presets with verdicts."""
        names = (manifest.unit.partition("/")[0] for manifest in self.corpus.manifests("decide", "preset="))
        return tuple(sorted({name.removeprefix("preset=") for name in names}))

    def range_of(self, classifier: str) -> tuple[float, float]:
        """The lowest and the highest score that the classifier's weights allow."""
        weights = self.config.classifiers[classifier].weights.values()
        low, high = min(0.0, *weights), max(0.0, *weights)
        return low, high if high > low else low + 1

    def pages(self, *columns: str) -> DataFrame:
        """With all columns if none is named."""
        return self._read("pages", _narrow(PAGES, columns), self.ingested)

    def features(self, *columns: str) -> DataFrame:
        """With all columns if none is named."""
        return self._read("features", _narrow(FEATURES, columns), self.corpus.manifests("measure"))

    def groups(self) -> DataFrame:
        return self._read("groups", GROUPS, self.deduplicated)

    def verdicts(self, preset: str | None = None) -> DataFrame:
        """Those of the configured preset, or of the named one."""
        name = preset or self.config.rules.preset
        units = self.corpus.manifests("decide", f"preset={name}/")
        return self._read(f"verdicts/preset={name}", VERDICTS, units)

    def subset(self, name: str) -> DataFrame:
        """The doc_ids of a subset."""
        return self._read(f"subsets/{name}", _narrow(SUBSETS, ["doc_id"]), self.corpus.manifests("select", "crawl="))

    def _read(self, table: str, schema: pa.Schema, manifests: Iterable[Manifest]) -> DataFrame:
        return self.corpus.read(self.spark, table, schema, manifests)


def _narrow(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """For readers other than Spark's own, which read all columns of the schema."""
    return pa.schema([schema.field(name) for name in columns]) if columns else schema


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
