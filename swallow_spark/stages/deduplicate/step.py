"""Deduplicates all pages of the corpus: duplicates and groups."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark.config.load import fingerprint
from swallow_spark.corpus import lookup_file as lookup
from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import Manifest, Unit
from swallow_spark.corpus.read import are_few, in_order
from swallow_spark.corpus.write import Kernel, write
from swallow_spark.errors import LedgerError
from swallow_spark.stages.deduplicate import tasks as stage
from swallow_spark.stages.run import Run
from swallow_spark.stages.stage import Due, Source, Stage
from swallow_spark.tables import CRAWL_SHIFT, DUPLICATES, GROUPS, PAGES, SKETCHES

_DOC_IDS: Final = pa.schema([PAGES.field("doc_id")])
_LENGTHS: Final = pa.schema([PAGES.field("doc_id"), PAGES.field("num_chars")])
_ROWS_PER_PARTITION: Final = 4 << 20
_ROWS_PER_PASS: Final = 16 << 20  # at least, some 270 MB, whatever bands_per_pass: planning a pass has a cost too
_ARROW_TYPES: Final = {"bigint": pa.int64(), "int": pa.int32(), "boolean": pa.bool_(), "binary": pa.binary()}


def deduplicate(run: Run) -> None:
    """Writes duplicates and groups, unless they are up to date."""
    corpus, config = run.corpus, run.config
    sketched = run.lineage.finished("sketch")
    (due,) = run.lineage.due("deduplicate")
    if due.is_done(corpus):
        _forget_boundaries(run)
        return
    num_pages = sum(manifest.rows("sketches") for manifest in sketched)
    per_pass = max(config.execution.bands_per_pass, _ROWS_PER_PASS // max(1, num_pages))
    exchanged = num_pages * min(config.sketch.bands, per_pass)
    least = 1 if are_few(exchanged) else run.spark.sparkContext.defaultParallelism
    parts = config.execution.shuffle_partitions or max(least, -(-exchanged // _ROWS_PER_PARTITION))
    shipped: list[lookups.Lookups] = []
    scan = corpus.scan(run.spark, "sketches", SKETCHES, sketched)

    def sketches(*names: str) -> DataFrame:
        return corpus.read(run.spark, "sketches", pa.schema([SKETCHES.field(name) for name in names]), sketched)

    def ship(df: DataFrame) -> lookups.Lookups:
        shipped.append(lookups.ship(df, corpus.root, "copies", num_pages))
        return shipped[-1]

    dedup = config.dedup
    how = (config.sketch.bands, per_pass, parts, num_pages)
    settings = stage.Settings(dedup.policy, dedup.prefer, dedup.min_similarity, *how)
    with run.progress.stage("deduplicate"):
        lengths = corpus.read(run.spark, "pages", _LENGTHS, corpus.manifests("ingest"))
        found = stage.deduplicate(sketches, scan.select, lengths, settings, partial(_boundary, run, due), ship)
        outputs = corpus.outputs(due.unit, due.stage.tables(config, ""), corpus.crawls())
        pieces = max(1, num_pages // _ROWS_PER_PARTITION)
        written: list[dict[str, Any]] = []
        for table, rows, sums in (("duplicates", found.duplicates, None), ("groups", found.groups, _kept)):
            ordered = in_order(rows, num_pages, pieces, "doc_id")
            written.extend(row.asDict() for row in write(ordered, table, outputs, sums))
        kept = _kept_sets(written, corpus.crawls())
        copies = corpus.manifest(Unit("boundary", "copies"))
        counts = {"rounds": found.rounds, "exact_copies": copies.rows("boundaries") if copies else 0}
        counts |= _changes(run, corpus.manifest(due.unit), written)
    if (accounted := sum(row["rows"] for row in written)) != num_pages:
        raise LedgerError(f"dedup: {num_pages} pages, but {accounted} in duplicates and groups together")
    due.commit(corpus, written, counts=counts, details={"kept": kept})
    _forget_boundaries(run)
    for one in shipped:
        corpus.root.delete(one.directory)


def _kept(batch: pa.RecordBatch) -> dict[str, int]:
    """Sums that identify the kept pages of each crawl, whatever order and files they are in."""
    doc_ids = batch.column("doc_id").to_numpy()
    crawl_nos = doc_ids >> CRAWL_SHIFT
    return {
        f"{crawl_no}:{name}": value
        for crawl_no in np.unique(crawl_nos)
        for name, value in lookup.identity(doc_ids[crawl_nos == crawl_no])._asdict().items()
    }


def _kept_sets(written: list[dict[str, Any]], crawls: Mapping[int, str]) -> dict[str, str]:
    """crawl -> the identity of its kept pages, from the sums of `_kept`, which are removed from the rows."""
    totals: Counter[str] = Counter()
    for row in written:
        totals.update(dict(row["sums"]))
        row["sums"] = {}
    return {
        crawl: "-".join(f"{totals[f'{number}:{name}']:x}" for name in lookup.Identity._fields)
        for number, crawl in crawls.items()
    }


def _changes(run: Run, before: Manifest | None, written: list[dict[str, Any]]) -> dict[str, int]:
    """How many pages the previous result kept and this one drops, and the other way round."""
    if not before:
        return {}
    changes = {}
    for name, table, other in (
        ("kept_before_dropped_now", "groups", "duplicates"),
        ("dropped_before_kept_now", "duplicates", "groups"),
    ):
        was = run.corpus.read(run.spark, table, _DOC_IDS, [before])
        paths = [row["path"] for row in written if row["table"] == other]
        changes[name] = was.join(run.corpus.read_files(run.spark, _DOC_IDS, paths), "doc_id", "left_semi").count()
    return changes


def _forget_boundaries(run: Run) -> None:
    for part in run.corpus.manifests("boundary"):
        run.corpus.forget(Unit("boundary", part.unit))


def _boundary(run: Run, of: Due, name: str, df: DataFrame, by: Kernel | None = None) -> DataFrame:
    """A narrow frame, or a kernel's result for it, written and read back. A run that is interrupted later doesn't
    compute it again."""
    corpus = run.corpus
    types = [(field.name, _ARROW_TYPES[field.dataType.simpleString()]) for field in df.schema] if by is None else []
    schema = by.schema if by else pa.schema(types)
    # With the columns: another release may use the name for other rows.
    print_ = fingerprint({"columns": str(schema)}, {}, of.fingerprint)
    due = Due(run.stages["boundary"], Unit("boundary", name), print_, {}, of.upstream)
    if not due.is_done(corpus):
        outputs = corpus.outputs(due.unit, {"boundaries": schema}, {0: "all"})
        due.commit(corpus, write(df, "boundaries", outputs, by=by))
    manifest = corpus.manifest(due.unit)
    return corpus.read(run.spark, "boundaries", schema, [manifest] if manifest else [])


def kept_of(deduplicated: Manifest, crawl: str) -> str:
    """Identifies the pages of a crawl that are kept."""
    return str(deduplicated.details.get("kept", {}).get(crawl, ""))


STAGE: Final = Stage(
    "deduplicate",
    each="corpus",
    unit="corpus",
    sources=(Source("sketch"),),
    run=deduplicate,
    help="Find near-duplicates among all pages of the corpus.",
    tables=lambda config, _: {"duplicates": DUPLICATES, "groups": GROUPS},
    meaning=lambda config, _: config.dedup.meaning(),
    versions=lambda config, _: {"deduplicate": 3},
)

BOUNDARY: Final = Stage(
    "boundary",
    each="corpus",
    sources=(Source("deduplicate"),),
    command="deduplicate",
    checked=False,
    reported=False,
)
