"""Inspecting one page or one text."""

import sys
from typing import Annotated

import typer

from swallow_spark.commands import on_first_use
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
from swallow_spark.errors import UsageError

with on_first_use():
    from swallow_spark.config import load as configs
    from swallow_spark.files import storage
    from swallow_spark.report import explain as explaining
    from swallow_spark.stages import run as runs
    from swallow_spark.stages.decide import rules as deciding

rules = typer.Typer(name="rules", help="Try the rules without a corpus.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(rules, rich_help_panel="Look at a corpus")


@command("try", "Look at a corpus", "'これは一つの文章です。' --config swallow-v2", to=rules)
def try_(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text, or - for standard input.")],
    config: PlainConfigOption = DEFAULT_CONFIG,
    url: Annotated[str | None, option("--url", "URL", "The text's URL, for rules on hosts.")] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the features and the verdict of one text. Needs no Spark."""
    settings = configs.load(config, set_ or (), storage.fetch)
    runs.check_config(settings, models=False)
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    print_result(deciding.try_rules(settings, text, url), as_json, show_trial, settings.rules.bounds)


@command("explain", "Look at a corpus", "--corpus my-corpus --url https://www.example.jp/page.html")
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
        explained = explaining.explain_page(run.corpus, run.config, url, doc_id)
        record = explained.raw_record() if raw else None
    if record is not None:
        sys.stdout.buffer.write(record)
    else:
        print_result(explained.values, call.as_json, show_values)
