"""Removal requests (`tombstones`): their pages are kept out of every later ingest and subset."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from swallow_spark.corpus.corpus import Corpus, Manifest, Unit
from swallow_spark.corpus.summary import removal
from swallow_spark.corpus.write import Outputs, write
from swallow_spark.kernels.text import tombstones as kernel
from swallow_spark.kernels.text.tombstones import Keys, Kind
from swallow_spark.stages.remove import tasks
from swallow_spark.stages.remove.shipped import Shipped, ship
from swallow_spark.stages.run import Run, each_batch
from swallow_spark.stages.stage import Source, Stage
from swallow_spark.tables import DUPLICATES, PAGES, REMOVED, REMOVED_DUPLICATES, TOMBSTONES

_KINDS: Final[tuple[Kind, ...]] = ("host", "url")
_ROWS_WRITTEN_AT_ONCE: Final = 65_536
_URLS: Final = pa.schema([PAGES.field(name) for name in ("doc_id", "url")])


def remove(run: Run, listed: Mapping[Kind, Sequence[str]]) -> dict[str, int]:
    """Adds removal requests (in normal form) and finds the pages under any; the counts of both."""
    corpus = run.corpus
    added = _add(corpus, listed)
    found = {f"{kind}s_added": number for kind, number in added.items()}
    if corpus.manifests("ingest"):
        find_removed(run)
        _find_duplicates(run)
    return {**found, **removal(corpus)}


def _add(corpus: Corpus, listed: Mapping[Kind, Sequence[str]]) -> dict[Kind, int]:
    """Writes the new ones as a unit; how many of each kind."""
    known = _keys(corpus)
    rows: list[dict[str, Any]] = []
    added: dict[Kind, int] = {}
    for kind in _KINDS:
        keys = {kernel.key(kind, value): value for value in listed.get(kind, ())}
        new = np.setdiff1d(kernel.sorted_keys(keys), known[kind]).tolist()
        rows += [{"kind": kind, "value": keys[key], "key": key} for key in new]
        added[kind] = len(new)
    if rows:
        unit = Unit("tombstones", f"{len(corpus.manifests('tombstones')):06}")
        outputs = Outputs(corpus.root, {"tombstones": TOMBSTONES}, _directory("tombstones", unit))
        with outputs.open(0) as opened:
            opened.write("tombstones", pa.RecordBatch.from_pylist(rows, TOMBSTONES))
            written = opened.written().to_pylist()
        corpus.commit(unit, "", {}, "", written, counts={str(kind): number for kind, number in added.items()})
    return added


def _directory(table: str, unit: Unit) -> dict[str, dict[int, str]]:
    return {table: {0: f"tombstones/{unit.name}-{uuid4().hex[:12]}"}}


def _keys(corpus: Corpus) -> dict[Kind, Keys]:
    """The keys of all removal requests: 16 bytes each."""
    parts: dict[Kind, list[Keys]] = {kind: [kernel.sorted_keys([])] for kind in _KINDS}
    for manifest in corpus.manifests("tombstones"):
        for file in manifest.files:
            content = pa.BufferReader(corpus.root.read_bytes(file.path))
            table = pq.read_table(content, columns=["kind", "key"])
            for kind, found in parts.items():
                found.append(kernel.keys_of(table.filter(pc.equal(table["kind"], kind))["key"]))
    return {kind: np.unique(np.concatenate(found)) for kind, found in parts.items()}


def ship_tombstones(run: Run) -> Shipped | None:
    """The removal requests, for tasks; None if there are none."""
    if not run.corpus.manifests("tombstones"):
        return None
    keys = _keys(run.corpus)
    return ship(run.corpus.root, keys["host"], keys["url"])


def find_removed(run: Run) -> None:
    """Finds the pages under removal requests, in batches that lack this. Reads only URLs and hosts."""
    corpus, listed = run.corpus, run.corpus.manifests("tombstones")
    if not listed:
        for manifest in corpus.manifests("remove"):  # of discarded requests
            corpus.forget(Unit("remove", manifest.unit))
        return
    due = [one for one in run.lineage.due("remove") if not one.is_done(corpus)]
    if due and (shipped := ship_tombstones(run)):
        each_batch(run, "remove", due, lambda batch: tasks.find_removed(batch.rows, shipped, batch.outputs))
        corpus.root.delete(shipped.directory)


def removed(run: Run) -> DataFrame:
    """The removed pages: doc_id."""
    return run.corpus.read(run.spark, "removed", REMOVED, run.corpus.manifests("remove", "crawl="))


def _find_duplicates(run: Run) -> None:
    corpus = run.corpus
    due = next(iter(run.lineage.due("removed_duplicates")), None)
    if not due or due.is_done(corpus):
        return
    with run.progress.stage("remove"):
        pages = corpus.read(run.spark, "pages", _URLS, corpus.manifests("ingest"))
        rows = corpus.read(run.spark, "duplicates", DUPLICATES, due.sources["deduplicate"])
        found = tasks.duplicates_of_removed(removed(run), rows, pages)
        outputs = Outputs(corpus.root, due.stage.tables(run.config, ""), _directory("removed_duplicates", due.unit))
        due.commit(corpus, write(found, "removed_duplicates", outputs))


def write_duplicates(corpus: Corpus, path: str) -> int:
    """Writes the near-duplicates of removed pages as JSON lines into a local file; how many."""
    manifest, number = corpus.manifest(Unit("remove", "duplicates")), 0
    with open(path, "w", encoding="utf-8") as stream:
        for file in manifest.files if manifest else ():
            with corpus.root.open_input(file.path) as source:
                for batch in pq.ParquetFile(source).iter_batches(_ROWS_WRITTEN_AT_ONCE):
                    for row in batch.to_pylist():
                        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                        number += 1
    return number


def removed_of(found: Manifest, _crawl: str) -> str | None:
    """Identifies the removed pages of a batch; None if there are none."""
    counts = found.counts
    return f"removed {counts['removed']} {counts['mixed']}" if counts.get("removed") else None


REQUESTS: Final = Stage(
    "tombstones",
    each="corpus",
    command="remove",
    checked=False,
    reported=False,
    tables=lambda config, _: {"tombstones": TOMBSTONES},
)

STAGE: Final = Stage(
    "remove",
    each="batch",
    sources=(Source("ingest", in_fingerprint=False), Source("tombstones", in_fingerprint=False)),
    command="select",
    wanted=lambda config, corpus: bool(config.subsets and corpus.units("tombstones")),
    tables=lambda config, _: {"removed": REMOVED},
    versions=lambda config, _: {"tombstones": kernel.VERSION},
)

DUPLICATES_OF_REMOVED: Final = Stage(
    "removed_duplicates",
    directory="remove",
    each="corpus",
    unit="duplicates",
    sources=(Source("remove", in_fingerprint=False), Source("deduplicate", in_fingerprint=False)),
    command="remove",
    checked=False,
    tables=lambda config, _: {"removed_duplicates": REMOVED_DUPLICATES},
)
