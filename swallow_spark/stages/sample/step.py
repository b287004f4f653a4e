"""A sample of a corpus's pages with their texts, in one file, for labelling or training."""

import json
import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config.load import Config
from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import Manifest, lineage
from swallow_spark.corpus.write import Outputs
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import replacing
from swallow_spark.stages.remove.step import find_removed, removed
from swallow_spark.stages.run import Run
from swallow_spark.stages.sample import tasks as stage
from swallow_spark.stages.score.tasks import table_of
from swallow_spark.tables import GROUPS, PAGES, SCORES, VERDICTS

Of = Literal["pages", "survivors", "accepted"]
By = Literal["uniform", "host", "score"]

_HOSTS: Final = pa.schema([PAGES.field(name) for name in ("doc_id", "host")])
_META: Final = b"swallow-spark sample"
_ROWS_AT_ONCE: Final = 8192


@dataclass(frozen=True)
class Sample:
    """Which pages: `number` of all `pages`, the `survivors` of dedup, or those that the rules `accepted`; uniformly,
    host by host, or by equal ranges of a classifier's score."""

    number: int
    of: Of = "accepted"
    by: By = "uniform"
    classifier: str | None = None
    strata: int = 10
    seed: int = 0
    label: str | None = None  # a column `label` of this value: training text for `train --task wiki`


def check(sample: Sample, config: Config) -> Sample:
    """The sample with its classifier filled in. Raises UsageError if the options don't fit together."""
    for name, value in (("--sample", sample.number), ("--strata", sample.strata)):
        if value < 1:
            raise UsageError(f"{name} {value}: at least 1")
    if sample.by != "score":
        return sample
    if sample.of != "accepted":
        raise UsageError("--by score: only accepted pages have scores (--of accepted)")
    known = list(config.classifiers)
    classifier = sample.classifier or (known[0] if len(known) == 1 else "")
    if classifier not in known:
        raise UsageError(f"--classifier {classifier}: it is one of {', '.join(known) or 'none: none is configured'}")
    weights = {*config.classifiers[classifier].weights.values(), 0.0}
    if len(weights) == 1:
        raise UsageError(f"classifiers.{classifier}.weights: all are 0, so there are no strata")
    return replace(sample, classifier=classifier)


def write_sample(run: Run, sample: Sample, target: Path, *, overwrite: bool = True) -> int:
    """Writes the sample to a Parquet file (sample.tasks.COLUMNS, by doc_id); the number of its pages. A file that holds
    the same sample of the same corpus is left alone. Only under the corpus lock.

    Raises UsageError if the stage that the sample is taken from is not finished or, without `overwrite`, if the file
    exists and holds something else.
    """
    manifests = _population(run, sample)
    pages = run.corpus.manifests("ingest")
    find_removed(run)
    meaning = json.dumps([asdict(sample), lineage(manifests), lineage([*pages, *run.corpus.manifests("remove")])])
    if (held := _meaning(target)) and held[0] == meaning:
        return held[1]
    if not overwrite and target.exists():
        raise UsageError(f"{target}: exists already, and isn't this sample: give another file, or --replace")
    with run.progress.stage("sample"):
        rows, group = _rows(run, sample, manifests, pages)
        if run.corpus.manifests("tombstones"):
            rows = rows.join(removed(run), "doc_id", "left_anti")
        chosen = stage.choose(rows, sample.number, sample.seed, group)
        if sample.by != "score":
            return _write(run, chosen.select("doc_id"), sample.number, target, meaning, sample.label)
        strata = stage.stratum_names(sample.strata, *_range(run, sample))
        return _write(run, chosen, sample.number, target, meaning, sample.label, strata)


def write_pages(run: Run, doc_ids: Collection[int], target: Path) -> int:
    """Writes the texts of these pages to a Parquet file, as write_sample does; their number. Only under the corpus
    lock. Raises UsageError if the corpus lacks one."""
    with run.progress.stage("sample"):
        wanted = pa.table({"doc_id": pa.array(sorted(set(doc_ids)), pa.int64())})
        number = _write(run, run.spark.createDataFrame(wanted), len(wanted), target, "", None)
    if number != len(wanted):
        target.unlink()
        raise UsageError(f"{run.corpus.root.location}: {len(wanted) - number} of the pages asked for are not there")
    return number


def _population(run: Run, sample: Sample) -> list[Manifest]:
    """The units whose rows are the pages to choose from."""
    if sample.by == "score":
        assert sample.classifier
        return run.lineage.finished("score", [sample.classifier])
    if sample.of == "pages":
        return run.corpus.manifests("ingest")
    return run.lineage.finished("deduplicate" if sample.of == "survivors" else "decide")


def _range(run: Run, sample: Sample) -> tuple[float, float]:
    """The lowest and highest possible score of the sample's classifier."""
    assert sample.classifier
    weights = [*run.config.classifiers[sample.classifier].weights.values(), 0.0]  # 0: labels without a weight
    return min(weights), max(weights)


def _rows(
    run: Run, sample: Sample, manifests: list[Manifest], pages: list[Manifest]
) -> tuple[DataFrame, Column | None]:
    """The pages to choose from (doc_id, and what their group is computed from), and a page's group."""
    corpus, spark = run.corpus, run.spark
    if sample.by == "score":
        assert sample.classifier
        scores = corpus.read(spark, table_of(sample.classifier), SCORES, manifests)
        return scores, stage.stratum(F.col("score"), sample.strata, *_range(run, sample))
    hosts = corpus.read(spark, "pages", _HOSTS, pages)
    if sample.of == "pages":
        rows = hosts
    elif sample.of == "survivors":
        rows = corpus.read(spark, "groups", GROUPS, manifests).select("doc_id")
    else:
        verdicts = corpus.read(spark, f"verdicts/preset={run.config.rules.preset}", VERDICTS, manifests)
        rows = verdicts.where("accepted").select("doc_id")
    if sample.by == "uniform":
        return rows, None
    return rows if sample.of == "pages" else rows.join(hosts, "doc_id"), F.coalesce("host", F.lit(""))


def _write(
    run: Run, chosen: DataFrame, number: int, target: Path, meaning: str, label: str | None, strata: Sequence[str] = ()
) -> int:
    """Tasks write the chosen texts below the corpus root; the driver merges them into one file."""
    corpus = run.corpus
    directory = f"samples/texts-{uuid4().hex[:12]}"
    shipped = lookups.ship(chosen, corpus.root, "sample", number)
    try:
        outputs = Outputs(corpus.root, {stage.TABLE: stage.COLUMNS}, {stage.TABLE: {0: directory}})
        pages = corpus.scan(run.spark, "pages", PAGES, corpus.manifests("ingest"))
        written = stage.write_texts(pages, shipped, strata, corpus.crawls(), outputs).collect()
        with tempfile.TemporaryDirectory(prefix=".sample-", dir=target.parent) as scratch:
            for row in written:
                part = Path(scratch) / Path(row["path"]).name
                with corpus.root.open_input(row["path"]) as source, part.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
            return _in_order(Path(scratch), target, meaning, label)
    finally:
        corpus.root.delete(shipped.directory)
        corpus.root.delete(directory)


def _in_order(parts: Path, target: Path, meaning: str, label: str | None) -> int:
    """Writes the rows of all parts by doc_id: which task wrote what may differ from run to run."""
    rows = ds.dataset(parts, stage.COLUMNS, format="parquet")
    doc_ids = np.sort(rows.to_table(["doc_id"])["doc_id"].to_numpy())
    schema = stage.COLUMNS if label is None else stage.COLUMNS.append(pa.field("label", pa.string(), nullable=False))
    schema = schema.with_metadata({_META: meaning.encode()})
    with replacing(target) as fresh, pq.ParquetWriter(fresh, schema, compression="zstd") as writer:
        for start in range(0, len(doc_ids), _ROWS_AT_ONCE):
            here = doc_ids[start : start + _ROWS_AT_ONCE]
            within = (ds.field("doc_id") >= int(here[0])) & (ds.field("doc_id") <= int(here[-1]))
            table = rows.to_table(filter=within).sort_by("doc_id")
            if label is not None:
                table = table.append_column("label", pa.array([label] * len(table), pa.string()))
            writer.write_table(table.cast(schema))
    return len(doc_ids)


def _meaning(target: Path) -> tuple[str, int] | None:
    """Which sample a file holds, and its number of pages; None for other files."""
    try:
        with pq.ParquetFile(target) as file:
            found = (file.schema_arrow.metadata or {}).get(_META)
            return (found.decode(), file.metadata.num_rows) if found else None
    except (OSError, pa.ArrowException):
        return None
