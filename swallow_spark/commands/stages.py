"""The stages, from WARCs to the report: all of them, or one for the units that are not done yet."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Self

import typer

from swallow_spark import pipeline
from swallow_spark.commands.options import OnCorpus, PlainConfigOption, command, option
from swallow_spark.commands.running import Register, running, with_rules
from swallow_spark.commands.tables import show_comparison
from swallow_spark.config.load import Config
from swallow_spark.errors import UsageError
from swallow_spark.files.inputs import TEXT_SUFFIXES, Places, expand, part_of
from swallow_spark.report.comparison.presets import compare
from swallow_spark.report.finished import Finished
from swallow_spark.stages.ingest.index import Selection
from swallow_spark.stages.run import check_config

CrawlOption = Annotated[str, option("--crawl", "NAME", "The crawl that the inputs belong to.")]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, globs, http(s):// or s3:// URLs, listings of them (*.paths, *.paths.gz, *.txt), "
        "or cc:CC-MAIN-YYYY-WW.",
        show_default=False,
    ),
]


def _known_end(name: str) -> str:
    if name not in pipeline.STAGES.ends:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, pipeline.STAGES.ends))}.")
    return name


UntilOption = Annotated[
    str,
    option(
        "--until",
        "STAGE",
        f"Stop after this stage and do only what it needs: {', '.join(pipeline.STAGES.ends)}.",
        callback=_known_end,
    ),
]


@dataclass(frozen=True, kw_only=True)
class OnWarcs(OnCorpus):
    """A call of a command that reads WARCs."""

    base_url: Annotated[
        str | None, option("--base-url", "URL", "Mirror of Common Crawl: http(s)://, s3:// or a directory.")
    ] = None
    files: Annotated[
        str | None, option("--files", "FROM:TO", "Only these lines of the crawl's warc.paths, such as 0:100.")
    ] = None
    index: Annotated[
        str | None,
        option(
            "--index",
            "PATH",
            "Fetch only the Japanese pages in Common Crawl's columnar index: cc:CC-MAIN-YYYY-WW, Parquet files, or a "
            "directory or listing of them, local or remote.",
        ),
    ] = None
    hosts: Annotated[
        list[str] | None, option("--hosts", "PATTERN", "With --index: only these hosts, as '*.ac.jp'; repeatable.")
    ] = None
    urls: Annotated[
        list[str] | None,
        option(
            "--urls",
            "PATTERN",
            "With --index: only these URLs, as 'https://*/blog/*'; repeatable. With --hosts, both must match.",
        ),
    ] = None

    def with_base_url(self) -> Self:
        return self.overriding(f"ingest.base_url={self.base_url}") if self.base_url else self

    def selection(self) -> Selection | None:
        """The records to take from the index; None without an index. Raises UsageError."""
        if (self.hosts or self.urls) and not self.index:
            raise UsageError("--hosts and --urls choose records of an index: give --index too")
        return Selection(self.index, tuple(self.hosts or ()), tuple(self.urls or ())) if self.index else None

    def warcs(self, crawl: str, inputs: list[str]) -> Register:
        """How `running` finds the WARCs to register. Raises UsageError."""
        part = part_of(self.files) if self.files is not None else None
        if part and not any(argument.startswith("cc:") for argument in inputs):
            raise UsageError("--files selects lines of a crawl's warc.paths: give cc:CC-MAIN-YYYY-WW as INPUT")
        return crawl, lambda config: expand(inputs, _places(config), part=part)


@dataclass(frozen=True, kw_only=True)
class Build(OnWarcs):
    config: PlainConfigOption = field()


@command("build")
def build(
    call: Build,
    inputs: Inputs,
    crawl: Annotated[str | None, option("--crawl", "NAME", "Default: from cc: inputs, otherwise `crawl`.")] = None,
    until: UntilOption = "report",
) -> None:
    """Run all stages, from WARCs to subsets and the report. Run again, it continues where it stopped."""
    name = crawl if crawl is not None else next((i.removeprefix("cc:") for i in inputs if i.startswith("cc:")), "crawl")
    selection, register = call.selection(), call.warcs(name, inputs)
    with running(call.with_base_url(), register=register, scores=_scores(until)) as run:
        pipeline.build(run, name, selection, until)


@command("ingest")
def ingest(call: OnWarcs, crawl: CrawlOption, inputs: Inputs) -> None:
    """Extract the text of Japanese pages from WARCs. Writes `pages`, `failures`, and the `ledger` of all records."""
    selection, register = call.selection(), call.warcs(crawl, inputs)
    with running(call.with_base_url(), register=register) as run:
        pipeline.build(run, crawl, selection, until="ingest")


@command("import")
def import_(
    call: OnCorpus,
    crawl: CrawlOption,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help=f"Files of text: {TEXT_SUFFIXES}.")],
    until: UntilOption = "ingest",
) -> None:
    """Import text that was extracted elsewhere into `pages`. Reads the columns text and, if present, url, title and
    date; then runs the stages up to `--until`."""
    found = (crawl, lambda config: expand(inputs, _places(config), text=True))
    with running(call, register=found, scores=_scores(until)) as run:
        pipeline.build(run, crawl, until=until)


def _scores(until: str) -> bool:
    return "score" in pipeline.STAGES.needed(until)


def _places(config: Config) -> Places:
    return Places(config.ingest.base_url, config.ingest.access())


def _command(name: str, text: str) -> None:
    """Adds a command for one stage, or for all annotations."""

    def work(call: OnCorpus) -> None:
        stages = {stage.name for stage in pipeline.STAGES if name in (stage.name, stage.end)}
        with running(call, scores="score" in stages) as run:
            pipeline.do(run, stages)

    work.__doc__ = text
    command(name)(work)


for _stage in pipeline.STAGES:
    if _stage.help:
        _command(_stage.name, _stage.help)
_command("annotate", "Compute all missing annotations in one scan of the text.")


@command("decide")
def decide(
    call: OnCorpus,
    preset: Annotated[
        str | None, option("--preset", "NAME", "Use the rules of this configuration in this run.")
    ] = None,
    other: Annotated[str | None, option("--compare", "NAME", "Also apply these rules, and compare the two.")] = None,
) -> None:
    """Apply the rules of a preset to the pages that dedup keeps."""
    with running(call, preset=preset) as run:
        second = replace(run, config=with_rules(run.config, other, ())) if other else None
        if second and second.config.rules.preset == run.config.rules.preset:
            raise UsageError(
                f"--compare {other}: both are named {run.config.rules.preset}: use --set rules.preset=NAME"
            )
        if second:
            check_config(second.config, models=False)
        pipeline.do(run, {"decide"})
        if second:
            pipeline.do(second, {"decide"})
            compared = compare(*(Finished(run.spark, each.lineage) for each in (run, second)))
            call.result["comparison"] = compared
            call.show(show_comparison, compared)
