"""Duplicates and groups over all pages of the corpus."""

from typing import Any, Final

import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark import lookups
from swallow_spark.corpus import Unit, lineage
from swallow_spark.errors import LedgerError
from swallow_spark.stages import deduplicate as stage
from swallow_spark.steps.run import Fingerprints, Run, complete, write
from swallow_spark.tables import DUPLICATES, GROUPS, PAGES, SKETCHES

_ROWS_PER_PARTITION: Final = 4 << 20
_ARROW_TYPES: Final = {"bigint": pa.int64(), "int": pa.int32(), "boolean": pa.bool_()}


def deduplicate(run: Run) -> None:
    """Duplicates and groups over all pages of the corpus."""
    corpus, config = run.corpus, run.config
    prints = Fingerprints(config)
    sketched = complete(run, "sketch", prints.sketch)
    unit, upstream = Unit("deduplicate", "corpus"), lineage(sketched)
    if corpus.is_finished(unit, prints.deduplicate, upstream):
        _forget_boundaries(run)
        return
    num_pages = sum(manifest.rows("sketches") for manifest in sketched)
    sketches = corpus.read(run.spark, "sketches", SKETCHES, sketched)
    parts = config.execution.shuffle_partitions or max(
        run.spark.sparkContext.defaultParallelism,
        -(-num_pages * min(config.sketch.bands, config.execution.bands_per_pass) // _ROWS_PER_PARTITION),
    )
    shipped: list[lookups.Lookups] = []

    def boundary(name: str, df: DataFrame) -> DataFrame:
        return _boundary(run, name, df, prints.deduplicate, upstream)

    def ship(df: DataFrame) -> lookups.Lookups:
        shipped.append(lookups.ship(df, corpus.root, "copies", num_pages))
        return shipped[-1]

    settings = stage.Settings(
        config.dedup.policy,
        config.dedup.prefer,
        config.dedup.min_similarity,
        config.sketch.bands,
        config.execution.bands_per_pass,
        parts,
    )
    with run.progress.stage("deduplicate"):
        lengths = corpus.read(run.spark, "pages", PAGES, corpus.manifests("ingest")).select("doc_id", "num_chars")
        found = stage.deduplicate(sketches, lengths, settings, boundary, ship)
        outputs = corpus.outputs(unit, {"duplicates": DUPLICATES, "groups": GROUPS}, corpus.crawls())
        pieces = max(1, num_pages // _ROWS_PER_PARTITION)
        written = []
        for table, rows in (("duplicates", found.duplicates), ("groups", found.groups)):
            ordered = rows.repartitionByRange(pieces, "doc_id").sortWithinPartitions("doc_id")
            written.extend(write(ordered, table, outputs))
        counts = {"rounds": found.rounds, **_changes(run, written)}
    if (accounted := sum(row["rows"] for row in written)) != num_pages:
        raise LedgerError(f"dedup: {num_pages} pages, but {accounted} in duplicates and groups together")
    corpus.commit(unit, prints.deduplicate, config.dedup.meaning(), upstream, written, counts=counts)
    _forget_boundaries(run)
    for one in shipped:
        corpus.root.delete(one.directory)


def _changes(run: Run, written: list[Any]) -> dict[str, int]:
    """What the result before this one had kept and this one drops, and the other way round."""
    before = run.corpus.manifest(Unit("deduplicate", "corpus"))
    if not before:
        return {}
    paths = [run.corpus.root.spark_path(row["path"]) for row in written if row["table"] == "groups"]
    kept_now = run.spark.read.parquet(*paths).select("doc_id") if paths else None
    if kept_now is None:
        return {}
    kept_before = run.corpus.read(run.spark, "groups", GROUPS, [before]).select("doc_id")
    dropped_before = run.corpus.read(run.spark, "duplicates", DUPLICATES, [before]).select("doc_id")
    return {
        "kept_before_dropped_now": kept_before.join(kept_now, "doc_id", "left_anti").count(),
        "dropped_before_kept_now": dropped_before.join(kept_now, "doc_id", "left_semi").count(),
    }


def _forget_boundaries(run: Run) -> None:
    for part in run.corpus.manifests("boundary"):
        run.corpus.forget(Unit("boundary", part.unit))


def _boundary(run: Run, name: str, df: DataFrame, print_: str, upstream: str) -> DataFrame:
    """A narrow frame, written and read back. A run that was interrupted behind it does not compute it again."""
    corpus, unit = run.corpus, Unit("boundary", name)
    schema = pa.schema([(field.name, _ARROW_TYPES[field.dataType.simpleString()]) for field in df.schema])
    if not corpus.is_finished(unit, print_, upstream):
        outputs = corpus.outputs(unit, {"boundaries": schema}, {0: "all"})
        corpus.commit(unit, print_, {}, upstream, write(df, "boundaries", outputs))
    manifest = corpus.manifest(unit)
    return corpus.read(run.spark, "boundaries", schema, [manifest] if manifest else [])
