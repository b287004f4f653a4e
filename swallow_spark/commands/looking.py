"""Inspecting one page or one text."""

import sys
from typing import Annotated

import typer

from swallow_spark.commands.options import (
    DEFAULT_CONFIG,
    JsonOption,
    OnCorpus,
    PlainConfigOption,
    SetOption,
    app,
    command,
    option,
)
from swallow_spark.commands.running import reading
from swallow_spark.commands.tables import print_result, show_trial, show_values
from swallow_spark.config.load import load
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import fetch
from swallow_spark.report.explain import explain_page
from swallow_spark.stages.decide.rules import try_rules
from swallow_spark.stages.run import check_config

rules = typer.Typer(help="Try the rules without a corpus.", no_args_is_help=True)
app.add_typer(rules, name="rules")


@rules.command("try")
def try_(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text, or - for standard input.")],
    config: PlainConfigOption = DEFAULT_CONFIG,
    url: Annotated[str | None, option("--url", "URL", "The text's URL, for rules on hosts.")] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the features and the verdict of one text. Needs no Spark."""
    settings = load(config, set_ or (), fetch)
    check_config(settings, models=False)
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    print_result(try_rules(settings, text, url), as_json, show_trial, settings.rules.bounds)


@command("explain")
def explain(
    call: OnCorpus,
    url: Annotated[str | None, option("--url", "URL", "The page's URL.")] = None,
    doc_id: Annotated[int | None, option("--doc-id", "N", "The page's doc_id.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the raw WARC record of the page instead.")] = False,
) -> None:
    """Print what happened to one page. Shows its source, duplicates, features, verdict, scores and subsets."""
    if (url is None) == (doc_id is None):
        raise UsageError("explain: give either --url or --doc-id")
    with reading(call) as run:
        explained = explain_page(run.corpus, run.config, url, doc_id)
        record = explained.raw_record() if raw else None
    if record is not None:
        sys.stdout.buffer.write(record)
    else:
        print_result(explained.values, call.as_json, show_values)
