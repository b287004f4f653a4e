"""Inspecting one page, one text, or corpora: the data card of one, two compared."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from swallow_spark.commands.options import (
    DEFAULT_CONFIG,
    Call,
    ConfigOption,
    CorpusOption,
    JsonOption,
    OnCorpus,
    PlainConfigOption,
    SetOption,
    app,
    command,
    option,
)
from swallow_spark.commands.running import configuration, reading
from swallow_spark.commands.tables import print_json, print_result, show_compared, show_trial, show_values
from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import fetch
from swallow_spark.report.card.facts import facts
from swallow_spark.report.card.markdown import markdown
from swallow_spark.report.comparison.corpora import Side, compare, last_common
from swallow_spark.report.explain import explain_page
from swallow_spark.report.finished import Finished
from swallow_spark.stages.decide.rules import try_rules
from swallow_spark.stages.run import Run, check_config

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
        with run.progress.stage(call.command):
            explained = explain_page(run.spark, run.corpus, run.config, url, doc_id)
        record = explained.raw_record() if raw else None
    if record is not None:
        sys.stdout.buffer.write(record)
    else:
        print_result(explained.values, call.as_json, show_values)


@command("card")
def card(
    corpus: CorpusOption,
    subset: Annotated[
        list[str] | None, option("--subset", "NAME", "The subset that the card is of; repeatable. Default: all.")
    ] = None,
    output: Annotated[str | None, option("--output", "FILE", "Write the card there instead of printing it.")] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a data card in the format of the Hugging Face Hub, from the manifests alone. Needs no Spark.

    Example: swallow-spark card --corpus my-corpus --subset wiki-top10 --output README.md
    """
    opened = Corpus.open(corpus)
    found = facts(opened, configuration(opened, config, set_), subset or (), None)
    if output:
        Path(output).write_text(markdown(found), encoding="utf-8")
    if as_json:
        print_json(found)
    elif not output:
        sys.stdout.buffer.write(markdown(found).encode("utf-8", "replace"))


@command("compare")
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
    """Compare two corpora, or two presets or cuts of one. Prints what each keeps, their overlap, and pages that differ.

    Examples: swallow-spark compare old-corpus new-corpus
    swallow-spark compare --corpus my-corpus wiki-top10 edu-top10
    """
    if not corpus and call.config:
        raise UsageError("--config: only with --corpus; two corpora are compared as their last runs left them")
    on_corpus = call.on(corpus or a)
    with reading(on_corpus) as run:
        with run.progress.stage("compare"):
            if corpus:
                have = Finished(run.spark, run.lineage)
                sides = [Side(have, name, name) for name in (a, b)]
            else:
                sides = _of_two(run, a, b)
            compared = compare(sides[0], sides[1], sample)
        on_corpus.result.update(compared)
        on_corpus.show(show_compared, compared)


def _of_two(run: Run, a: str, b: str) -> list[Side]:
    """Two corpora, at the last step that both have done."""
    other = Corpus.open(b)
    second = replace(run, corpus=other, config=configuration(other, None, ()))
    have = [Finished(run.spark, one.lineage) for one in (run, second)]
    step = last_common(*have)
    return [Side(one, step, f"{name}: {step}") for one, name in zip(have, (a, b), strict=True)]
