"""The stages, from WARCs to the report: all of them, or one over what is not done yet."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import typer

from swallow_spark import pipeline
from swallow_spark.commands.options import (
    ConfigOption,
    CorpusOption,
    CrawlOption,
    Inputs,
    JsonOption,
    MasterOption,
    SetOption,
)
from swallow_spark.commands.running import running, with_rules
from swallow_spark.errors import UsageError
from swallow_spark.report.compare import compare, show_comparison
from swallow_spark.report.finished import Finished
from swallow_spark.sources.inputs import expand
from swallow_spark.steps.run import Run, check_config

app = typer.Typer()


@app.command()
def build(
    corpus: CorpusOption,
    inputs: Inputs,
    config: Annotated[str, typer.Option("--config", metavar="FILE", help="A configuration file or a packaged one.")],
    crawl: Annotated[
        str | None, typer.Option("--crawl", metavar="NAME", help="Default: that of cc: inputs, else `crawl`.")
    ] = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """All stages, from WARCs to subsets and the report. The same command again goes on where a run was stopped."""
    name = crawl if crawl is not None else next((i.removeprefix("cc:") for i in inputs if i.startswith("cc:")), "crawl")
    with running("build", corpus, config, set_, master, as_json, register=(name, lambda: expand(inputs))) as run:
        pipeline.build(run, name)


@app.command()
def ingest(
    corpus: CorpusOption,
    crawl: CrawlOption,
    inputs: Inputs,
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """WARCs to `pages`: the Japanese pages' main text, with failures and the ledger."""
    with running("ingest", corpus, config, set_, master, as_json, register=(crawl, lambda: expand(inputs))) as run:
        pipeline.ingest(run, crawl)


@app.command("import")
def import_(
    corpus: CorpusOption,
    crawl: CrawlOption,
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files of .jsonl, .jsonl.gz, .jsonl.zst or .parquet.")
    ],
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Text extracted elsewhere (columns text, and url, title, date where present) to `pages`."""
    found = (crawl, lambda: expand(inputs, text=True))
    with running("import", corpus, config, set_, master, as_json, register=found) as run:
        pipeline.ingest(run, crawl)


def _stage(name: str, text: str, work: Callable[[Run], object]) -> None:
    """A command for one stage over what is not done yet."""

    def command(
        corpus: CorpusOption,
        config: ConfigOption = None,
        set_: SetOption = None,
        master: MasterOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with running(name, corpus, config, set_, master, as_json) as run:
            work(run)

    app.command(name, help=text)(command)


_stage("sketch", "Signatures of the pages, for dedup.", lambda run: pipeline.annotate(run, measure=False))
_stage("measure", "Features of the pages, for the rules.", lambda run: pipeline.annotate(run, sketch=False))
_stage("annotate", "Signatures and features, in one scan of the text.", pipeline.annotate)
_stage("deduplicate", "Which pages are kept, over all pairs that share a bucket.", pipeline.deduplicate)


@app.command()
def decide(
    corpus: CorpusOption,
    config: ConfigOption = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help="Take the rules alone from this configuration.")
    ] = None,
    other: Annotated[
        str | None, typer.Option("--compare", metavar="NAME", help="Decide by these rules too, and compare the two.")
    ] = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verdicts of the preset's rules on the pages that dedup keeps."""
    also: dict[str, Any] = {}
    with running("decide", corpus, config, set_, master, as_json, preset=preset, also=also) as run:
        second = replace(run, config=with_rules(run.config, other, ())) if other else None
        if second and second.config.rules.preset == run.config.rules.preset:
            raise UsageError(f"--compare {other}: both are named {run.config.rules.preset} (--set rules.preset=NAME)")
        if second:
            check_config(second.config, run.corpus)
        pipeline.decide(run)
        if second:
            pipeline.decide(second)
            compared = compare(*(Finished(run.spark, run.corpus, r.config) for r in (run, second)))
            also["comparison"] = compared
            show_comparison(compared, run.progress.console)


_stage("score", "Scores of the accepted pages by the classifiers.", pipeline.score)
_stage("select", "The top-k% subsets, with text.", pipeline.select)
_stage("report", "The report: one HTML page below the corpus.", pipeline.report)
