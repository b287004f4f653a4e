"""Inspecting one page, one text, or corpora: the data card of one, two compared."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import (
    DEFAULT_CONFIG,
    Call,
    ConfigOption,
    CorpusOption,
    JsonOption,
    OnCorpus,
    OverwriteOption,
    PlainConfigOption,
    SetOption,
    app,
    command,
    option,
    refuse_existing,
)
from swallow_spark.commands.running import configuration, reading
from swallow_spark.commands.tables import print_json, print_result, show_compared, show_trial, show_values
from swallow_spark.errors import UsageError

with on_first_use():
    from swallow_spark.config import load as configs
    from swallow_spark.corpus import corpus as corpora
    from swallow_spark.files import storage
    from swallow_spark.report import explain as explaining
    from swallow_spark.report import finished
    from swallow_spark.report.card import facts, markdown
    from swallow_spark.report.comparison import corpora as comparing
    from swallow_spark.stages import run as runs
    from swallow_spark.stages.decide import rules as deciding

if TYPE_CHECKING:
    from swallow_spark.stages.run import Run

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


@command("card", "Look at a corpus", "--corpus my-corpus --subset wiki-top10 --output README.md")
def card(
    corpus: CorpusOption,
    subset: Annotated[
        list[str] | None, option("--subset", "NAME", "The subset that the card is of; repeatable. Default: all.")
    ] = None,
    output: Annotated[str | None, option("--output", "FILE", "Write the card there instead of printing it.")] = None,
    replace_: OverwriteOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a data card in the format of the Hugging Face Hub, from the manifests alone. Needs no Spark."""
    if output:
        refuse_existing("--output", output, replace_)
    opened = corpora.Corpus.open(corpus)
    found = facts.facts(opened, configuration(opened, config, set_), subset or (), None)
    card = markdown.markdown(found).encode("utf-8", "replace")
    if output:
        try:
            Path(output).write_bytes(card)
        except OSError as error:
            raise UsageError(f"--output {output}: can't be written: {error.strerror}") from None
    if as_json:
        print_json(found)
    elif not output:
        sys.stdout.buffer.write(card)


@command("compare", "Look at a corpus", "--corpus my-corpus wiki-top10 edu-top10")
def compare_(
    call: Call,
    a: Annotated[str, typer.Argument(metavar="A", help="A corpus; with --corpus, a step, preset or subset of it.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    corpus: Annotated[
        str | None,
        option("--corpus", "DIR", "Compare two results of this corpus: pages, survivors, accepted, presets, subsets."),
    ] = None,
    sample: Annotated[int, option("--sample", "N", "Pages shown that only one has.", min=0, max=100)] = 5,
) -> None:
    """Compare two corpora, or two presets or cuts of one. Prints what each keeps, and pages that differ."""
    if not corpus and call.config:
        raise UsageError("--config: only with --corpus; two corpora are compared as their last runs left them")
    on_corpus = call.on(corpus or a)
    with reading(on_corpus) as run:
        with run.progress.stage("compare"):
            if corpus:
                have = finished.Finished(run.spark, run.lineage)
                sides = [comparing.Side(have, name, name) for name in (a, b)]
            else:
                sides = _of_two(run, a, b)
            compared = comparing.compare(sides[0], sides[1], sample)
        on_corpus.result.update(compared)
        on_corpus.show(show_compared, compared)


def _of_two(run: "Run", a: str, b: str) -> "list[comparing.Side]":
    """Two corpora, at the last step that both have done."""
    other = corpora.Corpus.open(b)
    second = replace(run, corpus=other, config=configuration(other, None, ()))
    have = [finished.Finished(run.spark, one.lineage) for one in (run, second)]
    step = comparing.last_common(*have)
    return [comparing.Side(one, step, f"{name}: {step}") for one, name in zip(have, (a, b), strict=True)]
