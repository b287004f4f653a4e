"""Samples of a corpus's pages: as training text, or labelled by an LLM."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swallow_spark.commands.options import ConfigOption, CorpusOption, JsonOption, MasterOption, SetOption, print_json
from swallow_spark.commands.running import configuration
from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.errors import InputError, UsageError
from swallow_spark.files.storage import replacing
from swallow_spark.labelling.answers import SCORES
from swallow_spark.labelling.endpoint import Endpoint, EndpointError
from swallow_spark.labelling.label import label as label_texts
from swallow_spark.labelling.texts import check_output, read_labels, read_texts
from swallow_spark.pipeline import STAGES
from swallow_spark.report.labels import gather, render_labels
from swallow_spark.session.progress import Progress
from swallow_spark.session.session import open_session
from swallow_spark.stages.run import Run, check_config
from swallow_spark.stages.sample.step import Sample, check, write_pages, write_sample

app = typer.Typer()

KEY_VARIABLE: Final = "SWALLOW_SPARK_API_KEY"


class Of(StrEnum):
    PAGES = "pages"
    SURVIVORS = "survivors"
    ACCEPTED = "accepted"


class By(StrEnum):
    UNIFORM = "uniform"
    HOST = "host"
    SCORE = "score"


OfOption = Annotated[
    Of, typer.Option("--of", metavar="WHICH", help="pages, survivors (of dedup), or accepted (by the rules).")
]
ByOption = Annotated[
    By,
    typer.Option("--by", metavar="HOW", help="uniform, host (they take turns), or score (equal ranges take turns)."),
]
ClassifierOption = Annotated[str | None, typer.Option("--classifier", metavar="NAME", help="The one of --by score.")]
StrataOption = Annotated[int, typer.Option("--strata", metavar="N", help="Ranges of --by score.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Another seed, another sample.")]


@app.command()
def sample(
    corpus: CorpusOption,
    number: Annotated[int, typer.Option("--sample", metavar="N", help="How many pages.")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Parquet: doc_id, url, text, source.")],
    of: OfOption = Of.ACCEPTED,
    by: ByOption = By.UNIFORM,
    classifier: ClassifierOption = None,
    strata: StrataOption = 10,
    seed: SeedOption = 0,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="VALUE", help="Add a column `label`: negative makes text for `train`."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Some pages by a hash of their doc_id, with their texts: to train on, or to look at."""
    opened, settings = _settings(corpus, config, set_)
    wanted = check(Sample(number, of.value, by.value, classifier, strata, seed, label), settings)
    if output.suffix != ".parquet" or not output.parent.is_dir():
        raise UsageError(f"--output {output}: a file .parquet in a directory that is there")
    with _locked(opened, settings, "sample", master) as run:
        written = write_sample(run, wanted, output)
    values = {"pages": written, "output": str(output)}
    print_json(values) if as_json else _console().print(f"{written:,} pages in {output}", markup=False)


@app.command()
def label(
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="URL", help="OpenAI-compatible: http://host:8000/v1")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The labels: .parquet or .jsonl.")],
    corpus: Annotated[str | None, typer.Option("--corpus", metavar="DIR", help="Where the pages are.")] = None,
    number: Annotated[int | None, typer.Option("--sample", metavar="N", help="How many pages.")] = None,
    chosen: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Parquet or JSONL with text, or with doc_id."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="Default: the server's first.")] = None,
    key_variable: Annotated[
        str, typer.Option("--api-key-env", metavar="NAME", help="The environment variable with the server's key.")
    ] = KEY_VARIABLE,
    of: OfOption = Of.ACCEPTED,
    by: ByOption = By.UNIFORM,
    classifier: ClassifierOption = None,
    strata: StrataOption = 10,
    seed: SeedOption = 0,
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Educational scores of pages by an LLM. The same command again asks only what has no answer yet."""
    if (number is None) == (chosen is None):
        raise UsageError("label: give either --sample N or --from FILE")
    if corpus is None and chosen is None:
        raise UsageError("label: --sample needs --corpus DIR")
    check_output(output)
    opened, settings = _settings(corpus, config, set_)
    section = settings.label
    server = Endpoint(endpoint, key_variable, section.timeout_seconds, section.concurrency)
    texts = output.with_name(f"{output.name}.texts.parquet")
    if number is not None:
        wanted = check(Sample(number, of.value, by.value, classifier, strata, seed), settings)
        with _locked(opened, settings, "label", master) as run:
            write_sample(run, wanted, texts)
    else:
        assert chosen
        doc_ids = _doc_ids(chosen)
        if doc_ids and not opened:
            raise UsageError(f"{chosen}: its rows have no text: --corpus DIR must say where the pages are")
        if doc_ids:
            with _locked(opened, settings, "label", master) as run:
                write_pages(run, doc_ids, texts)
        else:
            texts = chosen
    try:
        summary = label_texts(texts, output, server, model, section, lambda line: _console().print(line, markup=False))
    except EndpointError:
        _write_page(output)  # what was answered before is written
        raise
    _write_page(output)
    if as_json:
        print_json(summary)
    _show(summary)


def _write_page(labels: Path) -> None:
    """The page of a file of labels, beside it."""
    found = gather(labels.name, chain.from_iterable(read_labels(labels)), SCORES)
    with replacing(labels.with_name(f"{labels.name}.html")) as page:
        page.write_text(render_labels(found), encoding="utf-8", errors="replace")


def _doc_ids(chosen: Path) -> list[int]:
    """The pages of a file without texts; empty where it has them."""
    doc_ids, number = [], 0
    for rows in read_texts(chosen):
        number += len(rows)
        doc_ids += [row["doc_id"] for row in rows if row["text"] is None]
    if doc_ids and len(doc_ids) < number:
        raise InputError(f"{chosen}: some of its rows have a text, others only a doc_id")
    return doc_ids


def _settings(location: str | None, config: str | None, overrides: list[str] | None) -> tuple[Corpus | None, Config]:
    corpus = Corpus.open(location) if location else None
    return corpus, configuration(corpus, config, overrides)


@contextmanager
def _locked(corpus: Corpus | None, settings: Config, command: str, master: str | None) -> Iterator[Run]:
    """The corpus, while pages are chosen and read; not while an LLM is asked."""
    assert corpus
    check_config(settings, models=False)
    progress = Progress(lambda: open_session(f"swallow-spark {command}", master, settings.spark))
    with corpus.lock():
        yield Run(corpus, settings, progress, STAGES)


def _console() -> Console:
    return Console(file=sys.stderr, highlight=False)


def _show(summary: dict[str, Any]) -> None:
    """The distribution of the labels, as Swallow Corpus v2's Table 5 shows it."""
    table = Table(title=Text(f"{summary['model']}, prompt {summary['prompt']}"))
    for column in ("score", "documents", "of the scored"):
        table.add_column(column, justify="right")
    for score, entry in summary["scores"].items():
        table.add_row(score, f"{entry['documents']:,}", f"{entry['fraction']:.1%}")
    for name in ("refused", "unparsable", "failed", "remaining"):
        table.add_row(name, f"{summary[name]:,}", "")
    console = _console()
    console.print(table)
    said = f"{summary['labelled']:,} labels in {summary['output']}, shown in {summary['output']}.html; "
    said += f"{summary['requests']:,} requests, "
    said += f"{summary['tokens']:,} tokens"
    if summary["stopped"]:
        said += f"; stopped at label.{summary['stopped']}: the same command goes on"
    console.print(said, markup=False)
