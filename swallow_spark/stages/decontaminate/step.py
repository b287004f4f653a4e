"""Finds the configured benchmarks' questions in the pages that dedup keeps, batch by batch."""

from functools import cache
from typing import Final

from pyspark.sql import DataFrame

from swallow_spark.corpus import lookups
from swallow_spark.errors import ConfigError
from swallow_spark.kernels.text import contamination as kernel
from swallow_spark.stages.decontaminate import tasks
from swallow_spark.stages.deduplicate.step import kept_of
from swallow_spark.stages.run import Batch, Run, each_batch, of_crawl
from swallow_spark.stages.stage import Due, Source, Stage
from swallow_spark.tables import CONTAMINATION, GROUPS


def decontaminate(run: Run) -> None:
    """Measures the share of a question in each kept page, if questions are configured, for batches that lack it."""
    if not run.config.decontamination.against:
        return
    (kept,) = run.lineage.finished("deduplicate")
    questions = cache(lambda: _ship_questions(run))

    def kept_pages(due: Due) -> lookups.Lookups:
        questions()  # before several threads need it
        own = of_crawl(kept, due.crawl)
        rows = run.corpus.read(run.spark, "groups", GROUPS, [own]).select("doc_id")
        return lookups.ship(rows, run.corpus.root, "kept", own.rows("groups"))

    def work(batch: Batch, wanted: lookups.Lookups) -> DataFrame:
        return tasks.decontaminate(batch.rows, wanted, questions(), batch.outputs)

    each_batch(run, "decontaminate", run.lineage.due("decontaminate"), work, kept_pages)
    if questions.cache_info().currsize:
        run.corpus.root.delete(questions().directory)


def _ship_questions(run: Run) -> tasks.Questions:
    section = run.config.decontamination
    found = section.questions()
    try:
        index = kernel.index(found, section.ngram_chars)
    except ValueError as error:
        raise ConfigError(f"decontamination.against: {error}") from None
    short = int((index.sizes == 0).sum())
    run.progress.say(
        f"decontaminate: {len(found) - short:,} questions, {len(index.hashes):,} n-grams; {short:,} more questions "
        f"are shorter than {section.ngram_chars} letters and can't be matched"
    )
    return tasks.ship(run.corpus.root, index, section.ngram_chars)


STAGE: Final = Stage(
    "decontaminate",
    each="batch",
    sources=(Source("ingest"), Source("deduplicate", part=kept_of, in_fingerprint=False)),
    run=decontaminate,
    wanted=lambda config, _: bool(config.decontamination.against),
    reported=False,  # new verdicts follow
    tables=lambda config, _: {"contamination": CONTAMINATION},
    meaning=lambda config, _: config.decontamination.measured(),
    versions=lambda config, _: {"contamination": kernel.VERSION},
)
