"""Token counts by the configured tokenizer: of the accepted pages, for bands by tokens, and of subsets."""

from collections.abc import Iterable, Sequence
from functools import partial

import pyarrow as pa

from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import Manifest
from swallow_spark.corpus.lineage import Due
from swallow_spark.corpus.read import Scan
from swallow_spark.errors import UsageError
from swallow_spark.kernels.text import tokens
from swallow_spark.stages.run import (
    Run,
    crawl_of,
    in_flight,
    verdicts,
)
from swallow_spark.stages.tokens import tasks as stage
from swallow_spark.tables import PAGES, SUBSETS, TOKENS, VERDICTS

ACCEPTED = "accepted"


def accepted_tokens(run: Run) -> list[Manifest]:
    """Counts the tokens of the accepted pages' main texts, where that isn't done; the units."""
    found = []
    for crawl, decided in verdicts(run).items():
        batches = run.corpus.manifests("ingest", f"crawl={crawl}/")
        due = [(pages, run.lineage.tokens(ACCEPTED, pages, [pages, decided])) for pages in batches]
        pending = [one for one in due if not one[1].is_done(run.corpus)]
        if pending:
            with run.progress.stage("tokens"):
                rows = run.corpus.read(run.spark, f"verdicts/preset={run.config.rules.preset}", VERDICTS, [decided])
                accepted = rows.where("accepted").select("doc_id")
                shipped = lookups.ship(accepted, run.corpus.root, "counted", decided.counts.get("accepted", 0))
                in_flight(run, partial(_count_pages, run, shipped, _tokenizer(run)), pending)
            run.corpus.root.delete(shipped.directory)
        found += _finished(run, [one for _, one in due])
    return found


def _count_pages(run: Run, wanted: lookups.Lookups, with_: stage.Counting, item: tuple[Manifest, Due]) -> None:
    pages, due = item
    _count(run, run.corpus.scan(run.spark, "pages", PAGES, [pages]), wanted, with_, ACCEPTED, pages, due)


def subset_tokens(run: Run, name: str) -> list[Manifest]:
    """Counts the tokens of a subset's texts, as they are written, where that isn't done; the units."""
    due = _due_of_subset(run, name)
    pending = [one for one in due if not one[2].is_done(run.corpus)]
    if pending:
        with run.progress.stage("tokens"):
            in_flight(run, partial(_count_subset, run, _tokenizer(run), name), pending)
    return _finished(run, [one for *_, one in due])


def _tokenizer(run: Run) -> stage.Counting:
    """Raises UsageError where none is configured, ModelError where it can't be used."""
    section = run.config.tokens
    if not section.counting:
        raise UsageError("tokens: none is configured: set tokens.encoding or tokens.file")
    tokens.load(section.file, section.encoding)
    return stage.put_tokenizer(run.corpus.root, section)


def _due_of_subset(run: Run, name: str) -> list[tuple[Manifest, Manifest, Due]]:
    """(batch of pages, its unit of select, the unit of its tokens)."""
    texts = {manifest.unit: manifest for manifest in run.corpus.manifests("select", "crawl=")}
    return [
        (pages, texts[pages.unit], run.lineage.tokens(name, pages, [texts[pages.unit]]))
        for pages in run.corpus.manifests("ingest")
        if pages.unit in texts
    ]


def _count_subset(run: Run, with_: stage.Counting, name: str, item: tuple[Manifest, Manifest, Due]) -> None:
    pages, texts, due = item
    narrow = pa.schema([SUBSETS.field(column) for column in ("doc_id", "text")])
    rows = run.corpus.scan(run.spark, f"subsets/{name}", narrow, [texts])
    _count(run, rows, None, with_, name, pages, due)


def _count(
    run: Run, rows: Scan, wanted: lookups.Lookups | None, with_: stage.Counting, of: str, pages: Manifest, due: Due
) -> None:
    table = f"tokens/{of}"
    outputs = run.corpus.outputs(due.unit, {table: TOKENS}, crawl_of(run, pages))
    written = stage.count_tokens(rows, wanted, with_, table, outputs).collect()
    run.corpus.commit(*due, written)


def _finished(run: Run, due: Iterable[Due]) -> list[Manifest]:
    found: Sequence[Manifest | None] = [run.corpus.manifest(one.unit) for one in due]
    return [manifest for manifest in found if manifest]
