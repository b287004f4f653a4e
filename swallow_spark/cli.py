"""`swallow-spark …`, and what `jobs/*.py` call: the same commands with the same arguments.

Results for programs go to standard output (`--json`), everything for people to standard error. Exit status: 0 done,
1 the run failed, 2 wrong usage or configuration, found before any work starts.
"""

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import pyspark
import typer
from rich.console import Console

from swallow_spark import __version__, pipeline
from swallow_spark.config import Config, load
from swallow_spark.corpus import Corpus, Unit, check_crawl
from swallow_spark.errors import SwallowSparkError, UsageError, root_cause
from swallow_spark.progress import Progress
from swallow_spark.report.compare import compare, show_comparison
from swallow_spark.report.explain import explain_page
from swallow_spark.report.finished import Finished
from swallow_spark.report.summary import summarise
from swallow_spark.report.tables import show_summary
from swallow_spark.session import open_session
from swallow_spark.sources.inputs import expand
from swallow_spark.steps.rules import show_trial, try_rules
from swallow_spark.steps.run import COMPUTED_FROM, Fingerprints, Run, check_config
from swallow_spark.storage import fetch
from swallow_spark.tables import InputFile
from swallow_spark.training.evaluate import evaluate as evaluate_model
from swallow_spark.training.train import train as train_model

app = typer.Typer(
    name="swallow-spark",
    help="Common Crawl to a Japanese pre-training corpus, on Spark.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
DEFAULT_CONFIG = "swallow-v2"

CorpusOption = Annotated[str, typer.Option("--corpus", metavar="DIR", help="The corpus: a directory or a URI.")]
CrawlOption = Annotated[str, typer.Option("--crawl", metavar="NAME", help="The crawl that the inputs belong to.")]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A configuration file or a packaged one (demo, swallow-v1, swallow-v2). "
        f"Default: that of the corpus's last run, else {DEFAULT_CONFIG}.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override an entry of the configuration; repeatable."),
]
MasterOption = Annotated[
    str | None,
    typer.Option("--master", metavar="URL", help="The cluster. Default: what spark-submit gives, else local[*,4]."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object on standard output.")]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, globs, http(s):// or s3:// URLs, listings of them (*.paths, *.paths.gz, *.txt), "
        "or cc:CC-MAIN-YYYY-WW.",
        show_default=False,
    ),
]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"swallow-spark {__version__}")
        raise typer.Exit


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
    with _run("build", corpus, config, set_, master, as_json, register=(name, lambda: expand(inputs))) as run:
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
    with _run("ingest", corpus, config, set_, master, as_json, register=(crawl, lambda: expand(inputs))) as run:
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
    with _run("import", corpus, config, set_, master, as_json, register=found) as run:
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
        with _run(name, corpus, config, set_, master, as_json) as run:
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
    with _run("decide", corpus, config, set_, master, as_json, preset=preset, also=also) as run:
        second = replace(run, config=_with_rules(run.config, other, ())) if other else None
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


rules = typer.Typer(help="The rules by themselves.", no_args_is_help=True)
app.add_typer(rules, name="rules")


@rules.command("try")
def try_(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text, or - for standard input.")],
    config: Annotated[str, typer.Option("--config", metavar="FILE", help="As of decide.")] = DEFAULT_CONFIG,
    url: Annotated[str | None, typer.Option("--url", help="Where the text is from, for the rules on hosts.")] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Features and verdict of one text, without Spark."""
    settings = load(config, set_ or (), fetch)
    check_config(settings, None)
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    trial = try_rules(settings, text, url)
    _print_json(trial) if as_json else show_trial(trial, settings, Console(highlight=False))


@app.command()
def explain(
    corpus: CorpusOption,
    url: Annotated[str | None, typer.Option("--url", help="The page's URL.")] = None,
    doc_id: Annotated[int | None, typer.Option("--doc-id", metavar="N", help="The page's doc_id.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the page's raw WARC record instead.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """One page's way through the pipeline: source, duplicates, features, verdict, scores, subsets."""
    if (url is None) == (doc_id is None):
        raise UsageError("explain: give either --url or --doc-id")
    opened = Corpus.open(corpus)
    settings = _config(opened, config, set_)
    explained = explain_page(
        open_session("swallow-spark explain", master, settings.spark), opened, settings, url, doc_id
    )
    if raw:
        sys.stdout.buffer.write(explained.raw_record())
    elif as_json:
        _print_json(explained.values)
    else:
        explained.show(Console(highlight=False, soft_wrap=True))


@app.command()
def discard(
    corpus: CorpusOption,
    stage: Annotated[str, typer.Option("--stage", metavar="STAGE", help=f"One of {', '.join(COMPUTED_FROM)}.")],
) -> None:
    """Deletes what a stage made and all that was computed from it, to do it again. Numbers of inputs stay."""
    if stage not in COMPUTED_FROM:
        raise UsageError(f"--stage {stage}: it is one of {', '.join(COMPUTED_FROM)}")
    opened = Corpus.open(corpus)
    with opened.lock():
        for name in (*COMPUTED_FROM[stage], stage):  # the stage itself last: interrupted, the same call can be repeated
            found = opened.manifests(name)
            for manifest in found:
                opened.forget(Unit(name, manifest.unit))
            if found:
                typer.echo(f"{name}: {len(found)} units discarded", err=True)


TaskOption = Annotated[str, typer.Option("--task", metavar="wiki|edu", help="The classifier's task.")]
ExamplesOption = Annotated[
    list[Path], typer.Option("--input", metavar="FILE", help="Parquet or JSONL: text, and label or score; repeatable.")
]


@app.command()
def train(
    task: TaskOption,
    inputs: ExamplesOption,
    model: Annotated[Path, typer.Option("--model", metavar="OUT", help="Where to write it: .bin, or quantised .ftz.")],
    epochs: Annotated[int | None, typer.Option(help="Passes over the examples.")] = None,
    seed: Annotated[int, typer.Option(help="Of the initial matrix.")] = 0,
    demonstration: Annotated[bool, typer.Option(help="The model card says: for demonstration only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Trains a fastText classifier, with a model card beside it."""
    _show(train_model(task, inputs, model, epochs=epochs, seed=seed, demonstration=demonstration), as_json)


@app.command()
def evaluate(
    task: TaskOption,
    model: Annotated[Path, typer.Option("--model", metavar="FILE", help="A fastText model.")],
    inputs: ExamplesOption,
    as_json: JsonOption = False,
) -> None:
    """Measures a classifier on labelled examples."""
    _show(evaluate_model(task, model, inputs), as_json)


@contextmanager
def _run(
    command: str,
    location: str,
    config: str | None,
    overrides: list[str] | None,
    master: str | None,
    as_json: bool,
    register: tuple[str, Callable[[], list[InputFile]]] | None = None,
    preset: str | None = None,
    also: dict[str, Any] | None = None,
) -> Iterator[Run]:
    """Everything around a step: checks first, then the lock, the session, and at the end the summary, and what the step
    has put into `also`."""
    if register:
        check_crawl(register[0])
    there = Corpus.open(location) if not register or Corpus.is_at(location) else None
    settings = _config(there, config, () if preset else overrides)
    if preset:
        settings = _with_rules(settings, preset, overrides)
    check_config(settings, there)
    inputs = register[1]() if register else []
    corpus = there or Corpus.open_or_create(location)
    started = datetime.now(UTC)
    with corpus.lock():
        if register:
            corpus.register(register[0], inputs)
        progress = Progress(lambda: open_session(f"swallow-spark {command}", master, settings.spark))
        run = Run(corpus, settings, progress)
        yield run
        summary = summarise(corpus, settings.rules.preset, settings.classifiers, Fingerprints(settings).select)
        _record(run, command, started, summary)
    if as_json:
        _print_json({**summary, **(also or {})})
    show_summary(summary, corpus, progress.console)


def _with_rules(settings: Config, preset: str, overrides: Sequence[str] | None) -> Config:
    """The configuration with the rules of another one."""
    return settings.model_copy(update={"rules": load(preset, overrides or (), fetch).rules})


def _config(corpus: Corpus | None, name: str | None, overrides: Sequence[str] | None) -> Config:
    """The configuration asked for, else that of the corpus's last run, else the default."""
    runs = corpus.root.files("runs", ".json") if corpus else []
    if name or not corpus or not runs:
        return load(name or DEFAULT_CONFIG, overrides or (), fetch)
    last = json.loads(corpus.root.read_bytes(runs[-1]))["config"]
    return load(last, overrides or (), fetch)


def _record(run: Run, command: str, started: datetime, summary: dict[str, Any]) -> None:
    """Writes the run's manifest."""
    manifest = {
        "command": command,
        "version": __version__,
        "spark": pyspark.__version__,
        "started": started.isoformat(),
        "finished": datetime.now(UTC).isoformat(),
        "seconds": run.progress.seconds,
        "config": run.config.model_dump(mode="json"),
        "summary": summary,
    }
    content = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    run.corpus.root.write_atomically(f"runs/{started:%Y%m%dT%H%M%S%f}-{uuid4().hex[:8]}.json", content)


def _show(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(values)
    else:
        Console(highlight=False).print_json(json.dumps(values, ensure_ascii=False))


def _print_json(values: dict[str, Any]) -> None:
    typer.echo(json.dumps(values, ensure_ascii=False))


_WrongCall: Any = typer.BadParameter.__base__  # of all errors in the call; newer typers bring a click of their own


def main(arguments: Sequence[str] | None = None) -> None:
    """The program. Errors become one line on standard error and an exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop frees the lock as Ctrl-C does
    try:
        status = app(given or ["--help"], prog_name="swallow-spark", standalone_mode=False)
    except _WrongCall as error:
        command = error.ctx.command_path if error.ctx else "swallow-spark"
        status = _complain(f"{error.format_message()} (see `{command} --help`)", 2)
    except SwallowSparkError as error:
        status = _complain(str(error), error.exit_status)
    except KeyboardInterrupt:
        status = _complain("stopped; the same command again goes on with what is missing", 130)
    except Exception as error:  # noqa: BLE001 - the last resort: what Spark raises is many kinds
        status = _complain(root_cause(error), 1)
    sys.exit(status or 0)


def _complain(message: str, status: int) -> int:
    print(f"swallow-spark: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
