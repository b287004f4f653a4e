"""Upkeep of a corpus: discarding results, finding damage, removing stale locks."""

import sys
from collections import Counter
from typing import Annotated, Any

import typer
from rich.console import Console

from swallow_spark.commands.options import ConfigOption, CorpusOption, JsonOption, SetOption, command, option
from swallow_spark.commands.running import configuration
from swallow_spark.commands.tables import print_json, show_check
from swallow_spark.corpus.corpus import Corpus, unlisted_directories
from swallow_spark.corpus.integrity import confirmed, damages
from swallow_spark.corpus.lock import holder, take_away
from swallow_spark.errors import UsageError, meant
from swallow_spark.pipeline import STAGES
from swallow_spark.report.state import stages
from swallow_spark.session import warm_up as class_archive
from swallow_spark.session.session import choose_java
from swallow_spark.stages.stage import Lineage


@command("discard")
def discard(
    corpus: CorpusOption,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="STAGE", help=f"One of {', '.join(STAGES.discardable)}.")
    ] = None,
    crawl: Annotated[str | None, option("--crawl", "NAME", "Crawl to delete.")] = None,
) -> None:
    """Delete the results of a stage, or a crawl. With --stage, what was computed from them is deleted too; the next run
    computes it again. With --crawl, its pages in the subsets are deleted too; then run `deduplicate` and the stages
    after it. Numbers of crawls and input files are not reused."""
    if (stage is None) == (crawl is None):
        raise UsageError("discard: give either --stage or --crawl")
    if stage is not None and stage not in STAGES.discardable:
        allowed = STAGES.discardable
        raise UsageError(f"--stage {stage}: no such stage{meant(stage, allowed)} (allowed: {', '.join(allowed)})")
    opened = Corpus.open(corpus)
    known = opened.crawls().values()
    if crawl is not None and crawl not in known:
        there = ", ".join(known) or "none"
        raise UsageError(f"--crawl {crawl}: no such crawl{meant(crawl, known)} (there are: {there})")
    # Instead of the usual repair: damage to units that are to be deleted must not stop this.
    with opened.lock(lambda locked, _found: _take_back(locked, stage or "ingest", crawl)):
        pass


def _take_back(corpus: Corpus, stage: str, crawl: str | None) -> None:
    counts: Counter[str] = Counter()
    for unit in STAGES.taken_back(stage, crawl, corpus.units):
        corpus.forget(unit)
        counts[unit.stage] += 1
    for name, number in counts.items():
        typer.echo(f"{name}: {number} units discarded", err=True)
    if not corpus.units("select"):
        corpus.root.delete("subsets/thresholds.json")
    if crawl:
        corpus.withdraw(crawl)


@command("check")
def check(
    corpus: CorpusOption,
    content: Annotated[bool, typer.Option(help="Also read every file and compare its checksum.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find missing or damaged files and stages not done. Changes nothing; exit status 1 if there is something to do."""
    opened = Corpus.open(corpus)
    stored = opened.stored()
    opened = opened.as_found(stored)
    if found := damages(opened, stored, content=content):
        found = confirmed(opened, found, content=content)
    result: dict[str, Any] = {
        "damaged": [{"path": d.path, "problem": d.problem, "stage": d.unit.stage, "unit": d.unit.name} for d in found],
        "unlisted": unlisted_directories(stored),
        "held_by": holder(opened.root),
        "not_done": [],
    }
    if not any(damage.path == damage.unit.manifest for damage in found):
        pending = {crawl: len(opened.pending(crawl)) for crawl in opened.crawls().values()}
        lineage = Lineage(STAGES, configuration(opened, config, set_), opened)
        states = stages(lineage, sum(pending.values()))
        result["not_done"] = [{"stage": state.name, "state": state.state} for state in states if state.state != "done"]
        result["files_pending"] = {crawl: number for crawl, number in pending.items() if number}
    if as_json:
        print_json(result)
    else:
        show_check(Console(file=sys.stderr, highlight=False), result)
    if found or result["not_done"] or (result["unlisted"] and not result["held_by"]):
        raise typer.Exit(1)


@command("unlock")
def unlock(
    corpus: CorpusOption,
    force: Annotated[bool, typer.Option("--force", help="Remove the lock. Make sure that the run has ended.")] = False,
) -> None:
    """Print who holds the lock of a corpus, and since when. With --force, remove it."""
    opened = Corpus.open(corpus)
    held = take_away(opened.root) if force else holder(opened.root)
    if not held:
        typer.echo("not locked", err=True)
        return
    typer.echo(f"lock removed; it was held by {held}" if force else f"held by {held}", err=True)
    if not force:
        raise typer.Exit(1)


@command("warm-up")
def warm_up() -> None:
    """Make later commands on this machine start sooner. Compiles the kernels and archives the classes that Spark loads.
    Run it once after installing, updating or copying the environment, for each Java. Takes 1 to 2 minutes, and 220 MB
    in the environment."""
    choose_java()
    archive = class_archive.make("demo")
    typer.echo(f"{archive}: {archive.stat().st_size / 1e6:.0f} MB", err=True)
