"""What all steps share: the run, and what must be finished before."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pyspark.sql import SparkSession

from swallow_spark.config.lists import expressions
from swallow_spark.config.load import Config
from swallow_spark.config.section import Section
from swallow_spark.corpus.corpus import (
    Corpus,
    Manifest,
)
from swallow_spark.corpus.lineage import (
    Due,
    Fingerprints,
    Lineage,
)
from swallow_spark.errors import ConfigError, CorpusError, UsageError
from swallow_spark.kernels import features
from swallow_spark.kernels.classifiers import kind
from swallow_spark.kernels.text import contamination as contamination_kernel
from swallow_spark.session.progress import Progress
from swallow_spark.stages.score.models import model_file
from swallow_spark.tables import InputFile


@dataclass(frozen=True)
class Run:
    """What every step needs: a corpus whose lock is held, a configuration, and what opens the session and tells."""

    corpus: Corpus
    config: Config
    progress: Progress
    inputs: Sequence[InputFile] = ()
    """As this call names them; those of earlier calls are in the corpus alone."""

    @property
    def spark(self) -> SparkSession:
        return self.progress.spark

    @cached_property
    def lineage(self) -> Lineage:
        return Lineage(self.config)


def check_config(config: Config, *, models: bool) -> None:
    """Finds what can't work before any work starts: rules on features that don't exist and, with `models`, classifiers
    that can't be fetched or read. Raises ConfigError, ModelError, InputError."""
    for feature in config.rules.bounds:
        if feature not in features.SCHEMA.names:
            known = ", ".join(features.SCHEMA.names)
            raise ConfigError(f"rules.bounds.{feature}: no such feature (there are: {known})")
        group = features.group_of(feature)
        if group not in (None, *config.features.groups):
            raise ConfigError(f"rules.bounds.{feature}: measured only with features.groups = ['{group}']")
    for listing in config.features.lists.values():
        expressions(listing)
    contamination_kernel.questions(config.decontamination.against, config.decontamination.fields)
    for name, classifier in config.classifiers.items() if models else ():
        model = kind(classifier.kind).load(model_file(classifier))
        if missing := sorted(set(classifier.weights) - set(model.labels)):
            raise ConfigError(
                f"classifiers.{name}.weights: {classifier.path} has no label {', '.join(missing)} "
                f"(it has {', '.join(model.labels)})"
            )


def refuse_changes(config: Config, corpus: Corpus) -> None:
    """Refuses another ingest or sketch than the corpus was made with. Raises CorpusError."""
    prints = Fingerprints(config)
    _refuse_change(corpus, "ingest", prints.ingest, config.ingest)
    _refuse_change(corpus, "sketch", prints.sketch, config.sketch)


def _refuse_change(corpus: Corpus, stage: str, expected: str, section: Section) -> None:
    """All units of these stages are of one configuration: what follows compares pages with each other."""
    old = next((manifest for manifest in corpus.manifests(stage) if manifest.fingerprint != expected), None)
    if not old:
        return
    new = json.loads(json.dumps(section.meaning()))
    keys = sorted({*old.meaning, *new})
    differences = [
        f"{stage}.{k}: {old.meaning.get(k)} -> {new.get(k)}" for k in keys if old.meaning.get(k) != new.get(k)
    ]
    what = "; ".join(differences) or f"the program: {old.version} made the corpus, and its results differ from now"
    raise CorpusError(
        f"{corpus.root.location}: this corpus was made with another {stage} ({what}). Ways out: the old value "
        f"(--set), another --corpus directory, or `swallow-spark discard --corpus DIR --stage {stage}` to do it again"
    )


def complete(run: Run, stage: Literal["sketch", "measure"]) -> list[Manifest]:
    """The units of a stage for all batches of pages. Raises UsageError where some are missing or out of date."""
    corpus = run.corpus
    batches = corpus.manifests("ingest")
    missing = [pages for pages in batches if not run.lineage.annotate(stage, pages).is_done(corpus)]
    if not batches or missing:
        what = f"{len(missing)} of {len(batches)} batches of pages" if batches else "there are no pages: ingest"
        raise UsageError(f"{corpus.root.location}: {what} first need `swallow-spark {stage}`")
    there = {pages.unit for pages in batches}
    return [manifest for manifest in corpus.manifests(stage) if manifest.unit in there]


def deduplicated(run: Run) -> Manifest:
    """The unit of dedup. Raises UsageError where it is missing or out of date."""
    return _done(run, run.lineage.deduplicate(complete(run, "sketch")), "the pages")


def verdicts(run: Run) -> dict[str, Manifest]:
    """The units of the preset's verdicts, by crawl. Raises UsageError where one is missing or out of date."""
    kept = deduplicated(run)
    complete(run, "measure")
    found = {}
    for crawl in run.corpus.crawls().values():
        if measured := run.corpus.manifests("measure", f"crawl={crawl}/"):
            contaminated = contamination(run, crawl, kept)
            found[crawl] = _done(run, run.lineage.decide(crawl, measured, kept, contaminated), "the pages")
    return found


def contamination(run: Run, crawl: str, kept: Manifest) -> list[Manifest]:
    """The units of a crawl's shares of benchmarks' questions, where any are configured. Raises UsageError where one is
    missing or out of date."""
    if not run.config.decontamination.against:
        return []
    batches = run.corpus.manifests("ingest", f"crawl={crawl}/")
    return [_done(run, run.lineage.decontaminate(pages, kept), "the kept pages") for pages in batches]


def of_crawl(manifest: Manifest, crawl: str) -> Manifest:
    """The part of a corpus-wide unit that lies in one crawl."""
    files = [file for file in manifest.files if f"/crawl={crawl}/" in file.path]
    return manifest.model_copy(update={"files": tuple(files)})


def scored(run: Run, classifier: str) -> list[Manifest]:
    """The units of a classifier's scores. Raises UsageError where one is missing or out of date."""
    return [
        _done(run, run.lineage.score(classifier, pages, decided), "the accepted pages")
        for crawl, decided in verdicts(run).items()
        for pages in run.corpus.manifests("ingest", f"crawl={crawl}/")
    ]


def _done(run: Run, due: Due, what: str) -> Manifest:
    manifest = run.corpus.manifest(due.unit) if due.is_done(run.corpus) else None
    if not manifest:
        raise UsageError(f"{run.corpus.root.location}: {what} first need `swallow-spark {due.unit.stage}`")
    return manifest


def in_flight(run: Run, work: Callable[[Any], None], items: Sequence[Any]) -> None:
    """Works on several items at once, so that the stragglers of one leave no core idle. The first error, or Ctrl-C,
    stops what runs and what hasn't started."""
    with ThreadPoolExecutor(run.config.execution.batches_in_flight) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            with suppress(Exception):  # a JVM that is gone runs nothing, and the first error is the one to tell
                run.spark.sparkContext.cancelAllJobs()
            raise


def crawl_of(run: Run, manifest: Manifest) -> dict[int, str]:
    name = manifest.unit.split("/")[0].removeprefix("crawl=")
    return {number: crawl for number, crawl in run.corpus.crawls().items() if crawl == name}
