"""Upkeep of a corpus: discarding results, finding damage, removing stale locks."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import ConfigOption, CorpusOption, JsonOption, SetOption, command, option, tell
from swallow_spark.commands.running import configuration
from swallow_spark.commands.tables import print_json, show_check
from swallow_spark.errors import CorpusError, UsageError, meant
from swallow_spark.session.waiting import waiting

with on_first_use():
    from swallow_spark import pipeline
    from swallow_spark.corpus import corpus as corpora
    from swallow_spark.corpus import integrity, lock
    from swallow_spark.report import state
    from swallow_spark.session import session
    from swallow_spark.session import warm_up as class_archive
    from swallow_spark.stages import stage as declared
    from swallow_spark.stages.select import standing as subsets

if TYPE_CHECKING:
    from swallow_spark.corpus.corpus import Corpus

DISCARDABLE: Final = (
    *("ingest", "sketch", "measure", "deduplicate", "decontaminate", "decide", "score", "tokens", "host_lines"),
    *("tombstones", "remove", "select"),
)
"""What --help lists of `pipeline.STAGES.discardable`, without loading the stages."""


@command("discard", "Upkeep", "--corpus my-corpus --stage decide")
def discard(
    corpus: CorpusOption,
    stage: Annotated[str | None, option("--stage", "STAGE", f"Stage to delete: {', '.join(DISCARDABLE)}.")] = None,
    crawl: Annotated[str | None, option("--crawl", "NAME", "Crawl to delete.")] = None,
) -> None:
    """Delete the results of a stage, or a crawl. With --stage, what was computed from them is deleted too; the next run
    computes it again. With --crawl, its pages in the subsets are deleted too; then run `deduplicate` and the stages
    after it. Numbers of crawls and input files are not reused."""
    if (stage is None) == (crawl is None):
        raise UsageError("discard: give either --stage or --crawl")
    stages = pipeline.STAGES.discardable
    if stage is not None and stage not in stages:
        raise UsageError(f"--stage {stage}: no such stage{meant(stage, stages)} (allowed: {', '.join(stages)})")
    opened = corpora.Corpus.open(corpus)
    known = opened.crawls().values()
    if crawl is not None and crawl not in known:
        there = ", ".join(known) or "none"
        raise UsageError(f"--crawl {crawl}: no such crawl{meant(crawl, known)} (there are: {there})")
    # Instead of the usual repair: damage to units that are to be deleted must not stop this.
    with opened.lock(lambda locked, _found: _take_back(locked, stage or "ingest", crawl)):
        pass


def _take_back(corpus: "Corpus", stage: str, crawl: str | None) -> None:
    counts: Counter[str] = Counter()
    before = _subsets(corpus)
    for unit in pipeline.STAGES.taken_back(stage, crawl, corpus.units):
        corpus.forget(unit)
        counts[unit.stage] += 1
    for name, number in counts.items():
        typer.echo(f"{name}: {number} units discarded", err=True)
    left = _subsets(corpus)
    for name, subset in before.items():
        if subset != left.get(name):
            typer.echo(f"subset {subset}: {f'now {left[name]}' if name in left else 'deleted'}", err=True)
    if not corpus.units("select"):
        corpus.root.delete("subsets/thresholds.json")
    if crawl:
        corpus.withdraw(crawl)


def _subsets(corpus: "Corpus") -> "dict[str, subsets.Standing]":
    """The subsets by name; none if a manifest is damaged, which must not stop `discard`."""
    try:
        return {one.name: one for one in subsets.standing(corpus)}
    except CorpusError:
        return {}


@command("check", "Look at a corpus", "--corpus my-corpus --content")
def check(
    corpus: CorpusOption,
    content: Annotated[bool, typer.Option(help="Also read every file and compare its checksum.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find missing or damaged files and stages not done. Changes nothing; exit status 1 if there is something to do."""
    opened = corpora.Corpus.open(corpus)
    stored = opened.stored()
    opened = opened.as_found(stored)
    with waiting(tell, "check: reading files"):
        if found := integrity.damages(opened, stored, content=content):
            found = integrity.confirmed(opened, found, content=content)
    result: dict[str, Any] = {
        "damaged": [{"path": d.path, "problem": d.problem, "stage": d.unit.stage, "unit": d.unit.name} for d in found],
        "unlisted": corpora.unlisted_directories(stored),
        "held_by": lock.holder(opened.root),
        "not_done": [],
    }
    if not any(damage.path == damage.unit.manifest for damage in found):
        pending = {crawl: len(opened.pending(crawl)) for crawl in opened.crawls().values()}
        lineage = declared.Lineage(pipeline.STAGES, configuration(opened, config, set_), opened)
        states = state.stages(lineage, sum(pending.values()))
        result["not_done"] = [{"stage": one.name, "state": one.state} for one in states if one.state != "done"]
        result["files_pending"] = {crawl: number for crawl, number in pending.items() if number}
    if as_json:
        print_json(result)
    else:
        show_check(Console(file=sys.stderr, highlight=False), result)
    if found or result["not_done"] or (result["unlisted"] and not result["held_by"]):
        raise typer.Exit(1)


@command("unlock", "Upkeep", "--corpus my-corpus")
def unlock(
    corpus: CorpusOption,
    force: Annotated[bool, typer.Option("--force", help="Remove the lock. Make sure that the run has ended.")] = False,
) -> None:
    """Print who holds the lock of a corpus, and since when. With --force, remove it."""
    opened = corpora.Corpus.open(corpus)
    held = lock.take_away(opened.root) if force else lock.holder(opened.root)
    if not held:
        typer.echo("not locked", err=True)
        return
    typer.echo(f"lock removed; it was held by {held}" if force else f"held by {held}", err=True)
    if not force:
        raise typer.Exit(1)


@command("warm-up", "Upkeep")
def warm_up() -> None:
    """Make later commands on this machine start sooner. Compiles the kernels and archives the classes that Spark loads.
    Run it once after installing, updating or copying the environment, for each Java. Takes 1 to 2 minutes, and 220 MB
    in the environment."""
    session.choose_java()
    archive = class_archive.make("demo", lambda step: tell(f"warm-up: {step}"))
    typer.echo(f"{archive}: {archive.stat().st_size / 1e6:.0f} MB", err=True)
