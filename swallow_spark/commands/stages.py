"""The stages, from WARCs to the report: all of them, or one for the units that are not done yet."""

from dataclasses import dataclass
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import OnCorpus, ReplaceOption, command, option
from swallow_spark.commands.running import Register, running, with_rules
from swallow_spark.commands.tables import show_comparison
from swallow_spark.errors import UsageError, meant

with on_first_use():
    from swallow_spark import pipeline
    from swallow_spark.commands.planning import dry_run as planned
    from swallow_spark.files import inputs as files
    from swallow_spark.files import text_columns
    from swallow_spark.report import finished
    from swallow_spark.report.comparison import presets as comparing
    from swallow_spark.stages import run as runs
    from swallow_spark.stages.ingest import index

if TYPE_CHECKING:
    from swallow_spark.config.load import Config
    from swallow_spark.stages.ingest.index import Selection
    from swallow_spark.tables import InputFile

ENDS: Final = ("ingest", "annotate", "deduplicate", "decontaminate", "decide", "score", "select", "report")
"""What --help lists of `pipeline.STAGES.ends`, without loading the stages."""
TEXT_SUFFIXES: Final = ".jsonl, .jsonl.gz, .jsonl.zst, .parquet, .json, .json.gz, .json.zst, .csv"
"""Those of `files.inputs`, known without loading their readers."""
CrawlOption = Annotated[str, option("--crawl", "NAME", "The crawl that the inputs belong to.")]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, directories, globs, http(s):// or s3:// URLs, listings of them (*.paths, *.paths.gz, *.txt), "
        "or cc:CC-MAIN-YYYY-WW.",
        show_default=False,
    ),
]


def _known_end(name: str) -> str:
    if name not in ENDS and name not in (ends := pipeline.STAGES.ends):
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, ends))}{meant(name, ends)}")
    return name


UntilOption = Annotated[
    str,
    option(
        "--until",
        "STAGE",
        f"Stop after this stage and do only what it needs: {', '.join(ENDS)}.",
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

    def selection(self) -> "Selection | None":
        """The records to take from the index; None without an index. Raises UsageError."""
        if (self.hosts or self.urls) and not self.index:
            raise UsageError("--hosts and --urls choose records of an index: give --index too")
        return index.Selection(self.index, tuple(self.hosts or ()), tuple(self.urls or ())) if self.index else None

    def warcs(self, crawl: str, inputs: list[str]) -> Register:
        """How `running` finds the WARCs to register. Raises UsageError."""
        part = files.part_of(self.files) if self.files is not None else None
        if part and not any(argument.startswith("cc:") for argument in inputs):
            raise UsageError("--files selects lines of a crawl's warc.paths: give cc:CC-MAIN-YYYY-WW as INPUT")
        return crawl, lambda config: files.expand(inputs, _places(config), part=part)


@command("build", "Build a corpus", "--corpus my-corpus --config swallow-v2 --files 0:20 cc:CC-MAIN-2025-30")
def build(
    call: OnWarcs,
    inputs: Inputs,
    crawl: Annotated[str | None, option("--crawl", "NAME", "Default: from cc: inputs, otherwise `crawl`.")] = None,
    until: UntilOption = "report",
    replace: ReplaceOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the hours, disk and shuffle that it would take, and do nothing.")
    ] = False,
    price: Annotated[
        float | None, option("--price", "PRICE", "With --dry-run: of a core-hour, to print the cost.", min=0)
    ] = None,
) -> None:
    """Run all stages, from WARCs to subsets and the report. Run again, it continues where it stopped."""
    name = crawl if crawl is not None else next((i.removeprefix("cc:") for i in inputs if i.startswith("cc:")), "crawl")
    selection, register = call.selection(), call.warcs(name, inputs)
    if price is not None and not dry_run:
        raise UsageError("--price: only with --dry-run")
    if dry_run:
        if selection:
            raise UsageError("--dry-run: without --index, since only reading the index tells what it names")
        planned.dry_run(call.with_base_url(), register, price, until)
        return
    replaces = _replaces(until, replace)
    with running(call.with_base_url(), register=register, scores=_scores(until), replaces=replaces) as run:
        pipeline.build(run, name, selection, until)


@command("ingest", "Single stages", "--corpus my-corpus --crawl first pages/*.warc.gz")
def ingest(call: OnWarcs, crawl: CrawlOption, inputs: Inputs) -> None:
    """Extract the text of Japanese pages from WARCs. Writes `pages`, `failures`, and the `ledger` of all records."""
    selection, register = call.selection(), call.warcs(crawl, inputs)
    with running(call.with_base_url(), register=register) as run:
        pipeline.build(run, crawl, selection, until="ingest")


@command("import", "Build a corpus", "--corpus my-corpus --crawl texts texts.jsonl")
def import_(
    call: OnCorpus,
    crawl: CrawlOption,
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help=f"Files of text ({TEXT_SUFFIXES}), or directories of them.")
    ],
    text_column: Annotated[str, option("--text-column", "NAME", "The column, or key, that holds the text.")] = "text",
    until: UntilOption = "ingest",
    replace: ReplaceOption = False,
) -> None:
    """Import text that was extracted elsewhere into `pages`, in whatever language it is. Reads the columns text and, if
    present, url, title and date; then runs the stages up to `--until`."""

    def found(config: "Config") -> "list[InputFile]":
        return text_columns.check_columns(
            files.expand(inputs, _places(config), text=True, text_column=text_column), inputs
        )

    with running(call, register=(crawl, found), scores=_scores(until), replaces=_replaces(until, replace)) as run:
        pipeline.build(run, crawl, until=until)


def _scores(until: str) -> bool:
    return until == "report" or "score" in pipeline.STAGES.needed(until)


def _replaces(until: str, agreed: bool) -> bool | None:
    return agreed if until == "report" or "subsets" in pipeline.STAGES.needed(until) else None


def _places(config: "Config") -> "files.Places":
    return files.Places(config.ingest.base_url, config.ingest.access())


def _command(name: str, text: str) -> None:
    """Adds a command for one stage, or for all annotations."""

    def work(call: OnCorpus) -> None:
        stages = {stage.name for stage in pipeline.STAGES if name in (stage.name, stage.end)}
        with running(call, scores="score" in stages) as run:
            pipeline.do(run, stages)

    work.__doc__ = text
    command(name, "Single stages", "--corpus my-corpus")(work)


_command("sketch", "Compute the pages' MinHash sketches, for deduplication.")
_command("measure", "Measure the pages' features, for the rules.")
_command("annotate", "Compute all missing annotations in one scan of the text.")
_command("deduplicate", "Find near-duplicates among all pages of the corpus.")
_command("score", "Score the accepted pages by the classifiers.")
_command("report", "Write the report: one HTML page below the corpus.")


@command("decide", "Single stages", "--corpus my-corpus --preset swallow-v1 --compare swallow-v2")
def decide(
    call: OnCorpus,
    preset: Annotated[
        str | None, option("--preset", "NAME", "Use the rules of this configuration in this run.")
    ] = None,
    other: Annotated[str | None, option("--compare", "NAME", "Also apply these rules, and compare the two.")] = None,
) -> None:
    """Apply the rules of a preset to the pages that dedup keeps."""
    with running(call, preset=preset) as run:
        second = changed(run, config=with_rules(run.config, other, ())) if other else None
        if second and second.config.rules.preset == run.config.rules.preset:
            raise UsageError(
                f"--compare {other}: both are named {run.config.rules.preset}: use --set rules.preset=NAME"
            )
        if second:
            runs.check_config(second.config, models=False)
        pipeline.do(run, {"decide"})
        if second:
            pipeline.do(second, {"decide"})
            compared = comparing.compare(*(finished.Finished(run.spark, each.lineage) for each in (run, second)))
            call.result["comparison"] = compared
            call.show(show_comparison, compared)
