"""The records of a crawl that an index names: found once, and written to a table before any is fetched."""

import re
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.addresses import shown
from swallow_spark.config.load import fingerprint
from swallow_spark.corpus.corpus import NumberedFile, Unit
from swallow_spark.corpus.write import write
from swallow_spark.errors import SwallowSparkError, UsageError
from swallow_spark.files.inputs import Places
from swallow_spark.stages.ingest.index import Selection, japanese, put_back, read_index
from swallow_spark.stages.run import Run
from swallow_spark.stages.stage import Due, Source, Stage
from swallow_spark.tables import SELECTIONS

_BEFORE_NAME: Final = r"\A.*/(?=crawl-data/)"


def check_selection(run: Run, crawl: str, selection: Selection | None) -> None:
    """Raises UsageError if pages of the crawl were chosen in another way: by another index, other patterns, or whole
    files."""
    wanted = selection.meaning() if selection else None
    for batch in run.corpus.manifests("ingest", f"crawl={crawl}/"):
        if (before := batch.details.get("selection")) != wanted:
            raise UsageError(
                f"--crawl {crawl}: holds {_described(before)}, but this call asks for {_described(wanted)}: "
                "ingest them as another crawl (--crawl NAME)"
            )


def _described(meaning: dict[str, Any] | None) -> str:
    if meaning is None:
        return "all pages of its files"
    patterns = ["", *(f"{name} {' '.join(meaning[name])}" for name in ("hosts", "urls") if meaning[name])]
    return f"the pages of the index {meaning['index']}{', '.join(patterns)}"


def selected(run: Run, crawl: str, crawl_no: int, selection: Selection) -> DataFrame:
    """The records of the crawl's registered files that are wanted (tables.SELECTIONS)."""
    corpus, stage, meaning = run.corpus, run.stages["selection"], selection.meaning()
    files = corpus.inputs(crawl)
    registered = fingerprint({"files": [[file.file_no, file.key] for file in files]}, {})
    unit = Unit(stage.directory, f"crawl={crawl}/records")
    due = Due(stage, unit, fingerprint(meaning, stage.versions(run.config, "")), meaning, registered)
    if not due.is_done(corpus):
        with run.progress.stage("selection"), put_back(run.spark):
            rows = _numbered(run, japanese(_index(run, selection), selection), files)
            outputs = corpus.outputs(due.unit, due.stage.tables(run.config, ""), {crawl_no: crawl})
            due.commit(corpus, write(rows, "selections", outputs))
    manifest = corpus.manifest(due.unit)
    assert manifest
    found = corpus.read(run.spark, "selections", SELECTIONS, [manifest])
    num_wanted = found.select("file_no").distinct().count() if len(files) > 1 else min(1, manifest.rows("selections"))
    if not num_wanted:
        with put_back(run.spark):
            _check_any_fits(run, _index(run, selection), selection, files)
    if num_wanted < len(files):
        run.progress.say(f"{len(files) - num_wanted} of {len(files)} files have no record that the index selects")
    return found


def _index(run: Run, selection: Selection) -> DataFrame:
    section, cores = run.config.ingest, run.spark.sparkContext.defaultParallelism
    return read_index(run.spark, selection.index, Places(section.base_url, section.access(cores)))


def _check_any_fits(run: Run, index: DataFrame, selection: Selection, files: Sequence[NumberedFile]) -> None:
    """Raises SwallowSparkError if no row of the index, Japanese or not, is of one of these files."""
    if _of_files(run, index, files).isEmpty():
        example = index.select("warc_filename").first()
        raise SwallowSparkError(
            f"the index {shown(selection.index)} has no record of any file of this crawl: it has one of "
            f"{shown(str(example[0])) if example else 'no file'}, and the crawl begins with {shown(files[0].path)}. "
            "Name files whose paths end as in its column warc_filename (from crawl-data/ on), or their own index"
        )


def _numbered(run: Run, rows: DataFrame, files: list[NumberedFile]) -> DataFrame:
    """The index's rows of registered files as rows of SELECTIONS, sorted."""
    once = _of_files(run, rows, files).groupBy("file_no", F.col("warc_record_offset").alias("offset"))
    lengths = once.agg(F.max("warc_record_length").alias("length"))
    return lengths.repartitionByRange("file_no").sortWithinPartitions("file_no", "offset")


def _of_files(run: Run, rows: DataFrame, files: Sequence[NumberedFile]) -> DataFrame:
    """The index's rows of these files, with their file_no. Paths are compared from their last `crawl-data/` on: the
    files may have been copied below any directory or bucket."""
    named = [(re.sub(_BEFORE_NAME, "", file.key, count=1, flags=re.DOTALL), file.file_no) for file in files]
    keys, file_nos = zip(*named, strict=True)
    numbers = run.spark.createDataFrame(pa.table({"name": keys, "file_no": pa.array(file_nos, pa.int32())}))
    name = F.regexp_replace("warc_filename", f"(?s){_BEFORE_NAME}", "")
    return rows.join(F.broadcast(numbers), name == numbers["name"])


STAGE: Final = Stage(
    "selection",
    each="crawl",
    sources=(Source("ingest"),),
    command="ingest",
    checked=False,
    reported=False,
    tables=lambda config, _: {"selections": SELECTIONS},
    versions=lambda config, _: {"selection": 1},
)
