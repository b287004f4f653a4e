"""The records of a crawl that an index names: found once, and written to a table before any is fetched."""

from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config.load import fingerprint
from swallow_spark.corpus.corpus import NumberedFile, Unit
from swallow_spark.corpus.write import write
from swallow_spark.errors import UsageError
from swallow_spark.files.inputs import Places
from swallow_spark.stages.ingest.index import Selection, japanese, put_back, read_index
from swallow_spark.stages.run import Run
from swallow_spark.stages.stage import Due, Source, Stage
from swallow_spark.tables import SELECTIONS


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
            section, cores = run.config.ingest, run.spark.sparkContext.defaultParallelism
            index = read_index(run.spark, selection.index, Places(section.base_url, section.access(cores)))
            rows = _numbered(run, japanese(index, selection), files)
            outputs = corpus.outputs(due.unit, due.stage.tables(run.config, ""), {crawl_no: crawl})
            due.commit(corpus, write(rows, "selections", outputs))
    manifest = corpus.manifest(due.unit)
    assert manifest
    return corpus.read(run.spark, "selections", SELECTIONS, [manifest])


def _numbered(run: Run, rows: DataFrame, files: list[NumberedFile]) -> DataFrame:
    """The index's rows of registered files as rows of SELECTIONS, sorted."""
    numbers = run.spark.createDataFrame([(file.key, file.file_no) for file in files], "key string, file_no int")
    found = rows.join(F.broadcast(numbers), rows["warc_filename"] == numbers["key"])
    once = found.groupBy("file_no", F.col("warc_record_offset").alias("offset"))
    lengths = once.agg(F.max("warc_record_length").alias("length"))
    return lengths.repartitionByRange("file_no").sortWithinPartitions("file_no", "offset")


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
