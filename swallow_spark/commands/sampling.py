"""Samples of pages: as training text, or labelled by an LLM."""

from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import Call, OnCorpus, OverwriteOption, command, option
from swallow_spark.commands.running import configuration, monitored, reading
from swallow_spark.commands.tables import show_labels, show_sample
from swallow_spark.errors import InputError, UsageError

with on_first_use():
    from swallow_spark import pipeline
    from swallow_spark.corpus import corpus as corpora
    from swallow_spark.files import storage
    from swallow_spark.labelling import answers, endpoint, texts
    from swallow_spark.labelling import label as labelling
    from swallow_spark.report import labels as reporting
    from swallow_spark.stages import run as runs
    from swallow_spark.stages.sample import step

KEY_VARIABLE: Final = "SWALLOW_SPARK_API_KEY"


class Of(StrEnum):
    PAGES = "pages"
    SURVIVORS = "survivors"
    ACCEPTED = "accepted"


class By(StrEnum):
    UNIFORM = "uniform"
    HOST = "host"
    SCORE = "score"


OfOption = Annotated[Of, option("--of", "WHICH", "pages, survivors (kept by dedup), or accepted (by the rules).")]
ByOption = Annotated[By, option("--by", "HOW", "uniform; host: hosts in turn; score: ranges of equal width in turn.")]
ClassifierOption = Annotated[str | None, option("--classifier", "NAME", "Classifier of --by score.")]
StrataOption = Annotated[int, option("--strata", "N", "Number of ranges of --by score.")]
SeedOption = Annotated[int, option("--seed", "N", "Seed of the sample.")]


@command("sample", "Take text out", "--corpus my-corpus --sample 1000 --output sample.parquet")
def sample(
    call: OnCorpus,
    number: Annotated[int, option("--sample", "N", "Number of pages.")],
    output: Annotated[Path, option("--output", "FILE", "Parquet file to write: doc_id, url, text, source.")],
    of: OfOption = Of.ACCEPTED,
    by: ByOption = By.UNIFORM,
    classifier: ClassifierOption = None,
    strata: StrataOption = 10,
    seed: SeedOption = 0,
    label: Annotated[
        str | None, option("--label", "VALUE", "Add a column `label` with this value, as negative, for `train`.")
    ] = None,
    replace: OverwriteOption = False,
) -> None:
    """Write a sample of pages with their texts. Pages are chosen by a hash of doc_id and seed."""
    if output.suffix != ".parquet" or not output.parent.is_dir():
        raise UsageError(f"--output {output}: give a .parquet file in an existing directory")
    with reading(call, writes=True) as run:
        wanted = step.check(step.Sample(number, of.value, by.value, classifier, strata, seed, label), run.config)
        runs.check_config(run.config, models=False)
        with run.corpus.lock():
            call.result.update(pages=step.write_sample(run, wanted, output, overwrite=replace), output=str(output))
        call.show(show_sample, call.result)


@command(
    "label",
    "Classifiers",
    "--corpus my-corpus --sample 1000 --endpoint http://localhost:8000/v1 --output labels.parquet",
)
def label(
    call: Call,
    url: Annotated[str, option("--endpoint", "URL", "OpenAI-compatible API: http://host:8000/v1")],
    output: Annotated[Path, option("--output", "FILE", "Labels to write: .parquet or .jsonl.")],
    corpus: Annotated[str | None, option("--corpus", "DIR", "The corpus of the pages.")] = None,
    number: Annotated[int | None, option("--sample", "N", "Number of pages to label.")] = None,
    chosen: Annotated[Path | None, option("--from", "FILE", "Parquet or JSONL with text, or with doc_id only.")] = None,
    model: Annotated[str | None, option("--model", "NAME", "Default: the first that the server lists.")] = None,
    key_variable: Annotated[
        str, option("--api-key-env", "NAME", "Environment variable that holds the API key.")
    ] = KEY_VARIABLE,
    of: OfOption = Of.ACCEPTED,
    by: ByOption = By.UNIFORM,
    classifier: ClassifierOption = None,
    strata: StrataOption = 10,
    seed: SeedOption = 0,
) -> None:
    """Have an LLM give educational scores to pages. Run again, it asks only about pages without an answer."""
    if (number is None) == (chosen is None):
        raise UsageError("label: give either --sample N or --from FILE")
    if corpus is None and chosen is None:
        raise UsageError("label: --sample needs --corpus DIR")
    texts.check_output(output)
    if output.exists() and not labelling.log_path(output).exists():
        raise UsageError(f"--output {output}: exists already, and not from this command: give another file")
    opened = corpora.Corpus.open(corpus) if corpus else None
    settings = configuration(opened, call.config, call.overrides)
    section = settings.label
    server = endpoint.Endpoint(url, key_variable, section.timeout_seconds, section.concurrency)
    with monitored(call, settings, opened, opened.root if opened else None) as progress:
        doc_ids = _doc_ids(chosen) if chosen else []
        if doc_ids and not opened:
            raise UsageError(f"{chosen}: its rows have no text: give --corpus DIR too, to read the texts from")
        if chosen and not doc_ids:
            source = chosen
        else:
            assert opened
            source = output.with_name(f"{output.name}.texts.parquet")
            run = runs.Run(opened, settings, progress, pipeline.STAGES)
            wanted_sample = step.Sample(number or 0, of.value, by.value, classifier, strata, seed)
            wanted = None if number is None else step.check(wanted_sample, settings)
            runs.check_config(settings, models=False)
            with opened.lock():  # only while pages are chosen and read
                step.write_sample(run, wanted, source) if wanted else step.write_pages(run, doc_ids, source)
        try:
            summary = labelling.label(source, output, server, model, section, progress.say)
        except endpoint.EndpointError:
            _write_page(output)  # with the answers so far
            raise
        _write_page(output)
        call.result.update(summary)
        call.show(show_labels, summary)


def _write_page(labels: Path) -> None:
    """Writes the HTML page beside a file of labels."""
    found = reporting.gather(labels.name, chain.from_iterable(texts.read_labels(labels)), answers.SCORES)
    with storage.replacing(labels.with_name(f"{labels.name}.html")) as page:
        page.write_text(reporting.render_labels(found), encoding="utf-8", errors="replace")


def _doc_ids(chosen: Path) -> list[int]:
    """The doc_ids in a file without texts; none if it has texts."""
    doc_ids, number = [], 0
    for rows in texts.read_texts(chosen):
        number += len(rows)
        doc_ids += [row["doc_id"] for row in rows if row["text"] is None]
    if doc_ids and len(doc_ids) < number:
        raise InputError(f"{chosen}: some rows have a text, others only a doc_id; give either all or none")
    return doc_ids
