"""Duplicates and groups over all pages of the corpus."""

from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark import lookups
from swallow_spark.corpus import Unit, lineage
from swallow_spark.errors import LedgerError
from swallow_spark.stages import deduplicate as stage
from swallow_spark.steps.run import Fingerprints, Run, complete, write
from swallow_spark.tables import DUPLICATES, GROUPS, SKETCHES

_ROWS_PER_PARTITION: Final = 4 << 20
_ARROW_TYPES: Final = {"bigint": pa.int64(), "int": pa.int32(), "boolean": pa.bool_()}


def deduplicate(run: Run) -> None:
    """Duplicates and groups over all pages of the corpus."""
    corpus, config = run.corpus, run.config
    prints = Fingerprints(config)
    sketched = complete(run, "sketch", prints.sketch)
    unit, upstream = Unit("deduplicate", "corpus"), lineage(sketched)
    if corpus.is_finished(unit, prints.deduplicate, upstream):
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

    with run.progress.stage("deduplicate"):
        duplicates, groups = stage.deduplicate(
            sketches,
            num_bands=config.sketch.bands,
            bands_per_pass=config.execution.bands_per_pass,
            partitions=parts,
            boundary=boundary,
            ship=ship,
        )
        outputs = corpus.outputs(unit, {"duplicates": DUPLICATES, "groups": GROUPS}, corpus.crawls())
        pieces = max(1, num_pages // _ROWS_PER_PARTITION)
        written = [
            *write(
                duplicates.repartitionByRange(pieces, "doc_id").sortWithinPartitions("doc_id"), "duplicates", outputs
            ),
            *write(groups.repartitionByRange(pieces, "doc_id").sortWithinPartitions("doc_id"), "groups", outputs),
        ]
    manifest = corpus.commit(unit, prints.deduplicate, config.dedup.meaning(), upstream, written)
    if manifest.rows("duplicates") + manifest.rows("groups") != num_pages:
        corpus.forget(unit)
        raise LedgerError(f"dedup: {num_pages} pages, but {manifest.rows('duplicates')} + {manifest.rows('groups')}")
    for part in corpus.manifests("boundary"):
        corpus.forget(Unit("boundary", part.unit))
    for one in shipped:
        corpus.root.delete(one.directory)


def _boundary(run: Run, name: str, df: DataFrame, print_: str, upstream: str) -> DataFrame:
    """A narrow frame, written and read back. A run that was interrupted behind it does not compute it again."""
    corpus, unit = run.corpus, Unit("boundary", name)
    schema = pa.schema([(field.name, _ARROW_TYPES[field.dataType.simpleString()]) for field in df.schema])
    if not corpus.is_finished(unit, print_, upstream):
        outputs = corpus.outputs(unit, {"boundaries": schema}, {0: "all"})
        corpus.commit(unit, print_, {}, upstream, write(df, "boundaries", outputs))
    manifest = corpus.manifest(unit)
    return corpus.read(run.spark, "boundaries", schema, [manifest] if manifest else [])
