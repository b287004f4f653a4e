"""How much of the configured benchmarks' questions is in the pages that dedup keeps, batch by batch."""

from functools import partial

from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import Manifest
from swallow_spark.errors import ConfigError
from swallow_spark.kernels.text import contamination as kernel
from swallow_spark.stages.decontaminate import tasks as stage
from swallow_spark.stages.run import (
    Run,
    crawl_of,
    deduplicated,
    in_flight,
    of_crawl,
)
from swallow_spark.tables import CONTAMINATION, GROUPS, PAGES


def decontaminate(run: Run) -> None:
    """The share of a question in each kept page, where questions are configured and pages that lack it."""
    corpus, section = run.corpus, run.config.decontamination
    if not section.against:
        return
    kept, shipped = deduplicated(run), None
    for crawl in corpus.crawls().values():
        pending = [
            pages
            for pages in corpus.manifests("ingest", f"crawl={crawl}/")
            if not run.lineage.decontaminate(pages, kept).is_done(corpus)
        ]
        if not pending:
            continue
        with run.progress.stage("decontaminate"):
            shipped = shipped or _ship_questions(run)
            own = of_crawl(kept, crawl)
            rows = corpus.read(run.spark, "groups", GROUPS, [own]).select("doc_id")
            wanted = lookups.ship(rows, corpus.root, "kept", own.rows("groups"))
            in_flight(run, partial(_measure_batch, run, kept, wanted, shipped), pending)
            corpus.root.delete(wanted.directory)
    if shipped:
        corpus.root.delete(shipped.directory)


def _measure_batch(
    run: Run, kept: Manifest, wanted: lookups.Lookups, questions: stage.Questions, pages: Manifest
) -> None:
    corpus, due = run.corpus, run.lineage.decontaminate(pages, kept)
    outputs = corpus.outputs(due.unit, {"contamination": CONTAMINATION}, crawl_of(run, pages))
    rows = corpus.scan(run.spark, "pages", PAGES, [pages])
    corpus.commit(*due, stage.decontaminate(rows, wanted, questions, outputs).collect())


def _ship_questions(run: Run) -> stage.Questions:
    section = run.config.decontamination
    found = section.questions()
    try:
        index = kernel.index(found, section.ngram_chars)
    except ValueError as error:
        raise ConfigError(f"decontamination.against: {error}") from None
    short = int((index.sizes == 0).sum())
    run.progress.say(
        f"decontaminate: {len(found) - short:,} questions, {len(index.hashes):,} n-grams; {short:,} more are shorter "
        f"than {section.ngram_chars} letters and can't be looked for"
    )
    return stage.ship(run.corpus.root, index, section.ngram_chars)
