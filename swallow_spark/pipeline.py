"""The whole pipeline on one screen.

    inputs -> ingest -> pages -> annotate -> sketches -> deduplicate -> groups -+-> score -> select -> subsets
                                         \\-> features ------------> decide -> verdicts

A step does what is not done yet (steps/run.py tells how that is known), by a stage: a function on DataFrames.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Final

from swallow_spark.report.report import VERSION as REPORT_VERSION
from swallow_spark.report.report import write_report
from swallow_spark.stages.annotate.step import annotate
from swallow_spark.stages.decide.step import decide
from swallow_spark.stages.decontaminate.step import decontaminate
from swallow_spark.stages.deduplicate.step import deduplicate
from swallow_spark.stages.ingest.index import Selection
from swallow_spark.stages.ingest.step import ingest
from swallow_spark.stages.remove.step import remove
from swallow_spark.stages.run import Run
from swallow_spark.stages.score.step import score
from swallow_spark.stages.select.step import select

__all__ = [
    "Until",
    "annotate",
    "build",
    "decide",
    "decontaminate",
    "deduplicate",
    "ingest",
    "remove",
    "report",
    "score",
    "select",
]

_REPORTED: Final = ("ingest", "sketch", "measure", "deduplicate", "decide", "score", "remove", "tokens", "select")


class Until(StrEnum):
    """Where `build` may stop."""

    INGEST = "ingest"
    ANNOTATE = "annotate"
    DEDUPLICATE = "deduplicate"
    DECIDE = "decide"
    SCORE = "score"
    SELECT = "select"
    REPORT = "report"

    @property
    def scores(self) -> bool:
        return self in (Until.SCORE, Until.SELECT, Until.REPORT)


def build(run: Run, crawl: str, selection: Selection | None = None, until: Until = Until.REPORT) -> None:
    """From a crawl's registered inputs to the subsets of the whole corpus; or no further than a stage, and then only
    what that needs: dedup no features."""
    steps: dict[str, Callable[[Run], None]] = {
        "ingest": partial(ingest, crawl=crawl, selection=selection),  # WARC records -> Japanese pages, failures, ledger
        "annotate": partial(annotate, measure=until != Until.DEDUPLICATE),  # text -> sketches and features, in one scan
        "deduplicate": deduplicate,  # sketches -> duplicates, groups: over all pairs that share a bucket
        "decontaminate": decontaminate,  # where benchmarks are configured: text -> shares of their questions
        "decide": decide,  # features, hosts -> verdicts on what dedup keeps
        "score": score,  # text of the accepted -> scores of all classifiers, in one scan
        "select": select,  # scores -> top-k% subsets, with text
        "report": report,  # everything so far -> one page of HTML
    }
    for name, step in steps.items():
        step(run)
        if name == until:
            return


def report(run: Run) -> None:
    """Writes the report below the corpus, unless nothing has changed since."""
    everything = [m for stage in _REPORTED for m in run.corpus.manifests(stage)]
    due = run.lineage.report(REPORT_VERSION, everything)
    if not due.is_done(run.corpus):
        with run.progress.stage("report"):
            write_report(run.spark, run.corpus, run.config, run.progress)
        run.corpus.commit(*due, [])
