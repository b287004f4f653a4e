"""The stages, from WARCs to the report: all of them, or one over what is not done yet."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import typer

from swallow_spark import pipeline
from swallow_spark.commands.options import (
    BaseUrlOption,
    ConfigOption,
    CorpusOption,
    CrawlOption,
    FilesOption,
    HostsOption,
    IndexOption,
    Inputs,
    JsonOption,
    MasterOption,
    SetOption,
    UntilOption,
    UrlsOption,
)
from swallow_spark.commands.running import running, with_rules
from swallow_spark.config.load import Config
from swallow_spark.errors import UsageError
from swallow_spark.files.inputs import Places, expand, part_of
from swallow_spark.report.compare import compare, show_comparison
from swallow_spark.report.finished import Finished
from swallow_spark.stages.ingest.index import Selection
from swallow_spark.stages.run import check_config
from swallow_spark.tables import InputFile

app = typer.Typer()


@app.command()
def build(
    corpus: CorpusOption,
    inputs: Inputs,
    config: Annotated[str, typer.Option("--config", metavar="FILE", help="A configuration file or a packaged one.")],
    crawl: Annotated[
        str | None, typer.Option("--crawl", metavar="NAME", help="Default: that of cc: inputs, else `crawl`.")
    ] = None,
    base_url: BaseUrlOption = None,
    files: FilesOption = None,
    index: IndexOption = None,
    hosts: HostsOption = None,
    urls: UrlsOption = None,
    until: UntilOption = "report",
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """All stages, from WARCs to subsets and the report. The same command again goes on where a run was stopped."""
    name = crawl if crawl is not None else crawl_of(inputs)
    overrides, selection = with_base_url(set_, base_url), selection_of(index, hosts, urls)
    found = warcs(name, inputs, files)
    with running(
        "build",
        corpus,
        config,
        overrides,
        master,
        as_json,
        register=found,
        scores="score" in pipeline.STAGES.needed(until),
    ) as run:
        pipeline.build(run, name, selection, until)


@app.command()
def ingest(
    corpus: CorpusOption,
    crawl: CrawlOption,
    inputs: Inputs,
    config: ConfigOption = None,
    base_url: BaseUrlOption = None,
    files: FilesOption = None,
    index: IndexOption = None,
    hosts: HostsOption = None,
    urls: UrlsOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """WARCs to `pages`: the Japanese pages' main text, with failures and the ledger."""
    overrides, selection = with_base_url(set_, base_url), selection_of(index, hosts, urls)
    with running("ingest", corpus, config, overrides, master, as_json, register=warcs(crawl, inputs, files)) as run:
        pipeline.build(run, crawl, selection, until="ingest")


@app.command("import")
def import_(
    corpus: CorpusOption,
    crawl: CrawlOption,
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files of .jsonl, .jsonl.gz, .jsonl.zst or .parquet.")
    ],
    config: ConfigOption = None,
    until: UntilOption = "ingest",
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Text extracted elsewhere (columns text, and url, title, date where present) to `pages`, and on to the stage of
    `--until`."""
    found = (crawl, lambda config: expand(inputs, _places(config), text=True))
    with running(
        "import", corpus, config, set_, master, as_json, register=found, scores="score" in pipeline.STAGES.needed(until)
    ) as run:
        pipeline.build(run, crawl, until=until)


def scores(until: str) -> bool:
    return "score" in pipeline.STAGES.needed(until)


def crawl_of(inputs: list[str]) -> str:
    return next((i.removeprefix("cc:") for i in inputs if i.startswith("cc:")), "crawl")


def with_base_url(overrides: list[str] | None, base_url: str | None) -> list[str]:
    return [*(overrides or ()), *([f"ingest.base_url={base_url}"] if base_url else ())]


def selection_of(index: str | None, hosts: list[str] | None, urls: list[str] | None) -> Selection | None:
    if (hosts or urls) and not index:
        raise UsageError("--hosts, --urls: they narrow what an index names, so --index is needed")
    return Selection(index, tuple(hosts or ()), tuple(urls or ())) if index else None


def warcs(crawl: str, inputs: list[str], files: str | None) -> tuple[str, Callable[[Config], list[InputFile]]]:
    """How `running` finds the WARCs to register."""
    part = part_of(files) if files is not None else None
    if part and not any(argument.startswith("cc:") for argument in inputs):
        raise UsageError("--files: it takes lines of a crawl's warc.paths, so an INPUT cc:CC-MAIN-YYYY-WW is needed")
    return crawl, lambda config: expand(inputs, _places(config), part=part)


def _places(config: Config) -> Places:
    return Places(config.ingest.base_url, config.ingest.access())


def _command(name: str, text: str, stages: set[str]) -> None:
    """A command for stages alone, over what is not done yet."""

    def command(
        corpus: CorpusOption,
        config: ConfigOption = None,
        set_: SetOption = None,
        master: MasterOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with running(name, corpus, config, set_, master, as_json, scores="score" in stages) as run:
            pipeline.do(run, stages)

    app.command(name, help=text)(command)


for _stage in pipeline.STAGES:
    if _stage.help:
        _command(_stage.name, _stage.help, {_stage.name})
_command(
    "annotate",
    "Make all annotations of the pages that are missing, in one scan of the text.",
    {stage.name for stage in pipeline.STAGES if stage.annotation},
)


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
            check_config(second.config, models=False)
        pipeline.do(run, {"decide"})
        if second:
            pipeline.do(second, {"decide"})
            compared = compare(*(Finished(run.spark, each.lineage) for each in (run, second)))
            also["comparison"] = compared
            show_comparison(compared, run.progress.console)
