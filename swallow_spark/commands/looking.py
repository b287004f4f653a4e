"""Looking at one page or one text: why it is where it is."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from swallow_spark.commands.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    CorpusOption,
    JsonOption,
    MasterOption,
    SetOption,
    print_json,
)
from swallow_spark.commands.running import configuration
from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import fetch
from swallow_spark.report.explain import explain_page
from swallow_spark.session.session import open_session
from swallow_spark.stages.decide.rules import show_trial, try_rules
from swallow_spark.stages.run import check_config

app = typer.Typer()


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
    check_config(settings, models=False)
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    trial = try_rules(settings, text, url)
    print_json(trial) if as_json else show_trial(trial, settings, Console(highlight=False))


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
    settings = configuration(opened, config, set_)
    explained = explain_page(
        open_session("swallow-spark explain", master, settings.spark), opened, settings, url, doc_id
    )
    if raw:
        sys.stdout.buffer.write(explained.raw_record())
    elif as_json:
        print_json(explained.values)
    else:
        explained.show(Console(highlight=False, soft_wrap=True))
