"""The whole pipeline on one screen.

    inputs -> ingest -> pages -> sketch --> deduplicate -+-> score -> select -> subsets
                            \\-> measure -> decide -------/

Each stage is declared in stages/STAGE/step.py: its sources, its tables, its part of the configuration, the versions of
its kernels. The declarations decide fingerprints, what is up to date, what `discard` deletes, what `check` and the
report show, `--until`, and the commands of single stages (stages/stage.py).
"""

from dataclasses import replace
from typing import Final

from swallow_spark.report.report import VERSION, write_report
from swallow_spark.stages.annotate import step as annotate
from swallow_spark.stages.decide import step as decide
from swallow_spark.stages.decontaminate import step as decontaminate
from swallow_spark.stages.deduplicate import step as deduplicate
from swallow_spark.stages.host_lines import step as host_lines
from swallow_spark.stages.ingest import by_index
from swallow_spark.stages.ingest import step as ingest
from swallow_spark.stages.ingest.index import Selection
from swallow_spark.stages.remove import step as remove
from swallow_spark.stages.run import Run, say_replaced
from swallow_spark.stages.score import step as score
from swallow_spark.stages.select import step as select
from swallow_spark.stages.stage import Source, Stage, Stages
from swallow_spark.stages.tokens import step as tokens


def report(run: Run) -> None:
    """Writes the report below the corpus, unless it is up to date."""
    due = replace(run.lineage.made("report", "index", run.lineage.everything()), meaning={})
    if not due.is_done(run.corpus):
        with run.progress.stage("report"):
            write_report(run.spark, run.lineage, run.progress)
        due.commit(run.corpus, [])


REPORT: Final = Stage(
    "report",
    each="corpus",
    unit="index",
    sources=(Source("subsets", in_fingerprint=False, required=False, discards=False),),
    run=report,
    checked=False,
    reported=False,
    meaning=lambda config, _: config.meaning(),
    versions=lambda config, _: {"report": VERSION},
)

STAGES: Final = Stages(
    by_index.STAGE,  # an index of a crawl -> the records that it names
    ingest.STAGE,  # WARC records, or rows of text -> pages, failures, ledger
    annotate.SKETCH,  # text -> sketches
    annotate.MEASURE,  # text -> features; one scan of the text makes all annotations
    deduplicate.STAGE,  # sketches -> duplicates, groups: over all pairs of pages that share a bucket
    deduplicate.BOUNDARY,  # intermediate tables of an interrupted deduplication
    decontaminate.STAGE,  # if benchmarks are configured: text -> shares of their questions
    decide.STAGE,  # features, hosts -> verdicts on the pages that deduplication keeps
    score.STAGE,  # text of the accepted pages -> scores of all classifiers, in one scan
    tokens.OF_ACCEPTED,  # for top-k bands by tokens: text of the accepted pages -> numbers of tokens
    host_lines.STAGE,  # for clean-up by host: text of the accepted pages -> on how many of a host's pages each line is
    remove.REQUESTS,  # hosts and URLs to remove
    remove.STAGE,  # URLs -> the pages under a removal request
    remove.DUPLICATES_OF_REMOVED,  # duplicates -> near-duplicates of removed pages
    select.CUTS,  # scores -> where the top-k bands of each ranking end
    select.SUBSETS,  # cuts, text -> top-k% subsets
    tokens.OF_SUBSETS,  # for exports: text of a subset -> numbers of tokens
    REPORT,  # everything above -> one page of HTML
)


def build(run: Run, crawl: str, selection: Selection | None = None, until: str = "report") -> None:
    """From a crawl's registered inputs to the subsets of the whole corpus, or to the stage `until`: then only what that
    needs (deduplication needs no features)."""
    ingest.ingest(run, crawl, selection)
    do(run, run.stages.needed(until))


def do(run: Run, names: set[str]) -> None:
    """Does what is missing of these stages, in the order of the table; except `ingest`, which needs inputs."""
    say_replaced(run, names)
    for step in dict.fromkeys(stage.run for stage in run.stages if stage.run and stage.name in names):
        step(replace(run, only=frozenset(names)))
