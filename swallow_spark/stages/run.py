"""What all stages share: the run, and the loop over batches of pages."""

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from swallow_spark.config.lists import expressions
from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import Corpus, Manifest, Unit
from swallow_spark.corpus.lookups import Lookups, ship
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs
from swallow_spark.errors import ConfigError, CorpusError
from swallow_spark.kernels import features
from swallow_spark.kernels.classifiers import kind
from swallow_spark.session.progress import Progress
from swallow_spark.stages.score.models import model_file
from swallow_spark.stages.stage import Due, Lineage, Stages
from swallow_spark.tables import PAGES, VERDICTS, InputFile


@dataclass(frozen=True)
class Run:
    """What every step needs: a corpus whose lock is held, a configuration, and what opens the session and tells."""

    corpus: Corpus
    config: Config
    progress: Progress
    stages: Stages
    inputs: Sequence[InputFile] = ()
    """As this call names them; those of earlier calls are in the corpus alone."""
    only: frozenset[str] | None = None
    """The names of the stages to do, where a function does several; None: all."""

    @property
    def spark(self) -> SparkSession:
        return self.progress.spark

    @cached_property
    def lineage(self) -> Lineage:
        return Lineage(self.stages, self.config, self.corpus)


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
    config.decontamination.questions()
    for name, classifier in config.classifiers.items() if models else ():
        model = kind(classifier.kind).load(model_file(classifier))
        if missing := sorted(set(classifier.weights) - set(model.labels)):
            raise ConfigError(
                f"classifiers.{name}.weights: {classifier.path} has no label {', '.join(missing)} "
                f"(it has {', '.join(model.labels)})"
            )


def refuse_changes(lineage: Lineage) -> None:
    """Refuses another ingest or sketch than the corpus was made with. Raises CorpusError."""
    for stage in lineage.stages:
        if stage.uniform:
            expected, new = lineage.fingerprint(stage.name), stage.meaning(lineage.config, "")
            _refuse_change(lineage.corpus, stage.name, expected, new)


def _refuse_change(corpus: Corpus, stage: str, expected: str, meaning: dict[str, Any]) -> None:
    """All units of these stages are of one configuration: what follows compares pages with each other."""
    old = next((manifest for manifest in corpus.manifests(stage) if manifest.fingerprint != expected), None)
    if not old:
        return
    new = json.loads(json.dumps(meaning))
    keys = sorted({*old.meaning, *new})
    differences = [
        f"{stage}.{k}: {old.meaning.get(k)} -> {new.get(k)}" for k in keys if old.meaning.get(k) != new.get(k)
    ]
    what = "; ".join(differences) or f"the program: {old.version} made the corpus, and its results differ from now"
    raise CorpusError(
        f"{corpus.root.location}: this corpus was made with another {stage} ({what}). Ways out: the old value "
        f"(--set), another --corpus directory, or `swallow-spark discard --corpus DIR --stage {stage}` to do it again"
    )


def of_crawl(manifest: Manifest, crawl: str) -> Manifest:
    """The part of a corpus-wide unit that lies in one crawl."""
    files = [file for file in manifest.files if f"/crawl={crawl}/" in file.path]
    return manifest.model_copy(update={"files": tuple(files)})


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


@dataclass(frozen=True)
class Batch:
    """A batch of pages, the units that are made of it in one scan, and where their tables are written."""

    pages: Manifest
    due: Sequence[Due]
    outputs: Outputs
    rows: Scan

    @property
    def variants(self) -> list[str]:
        return [due.variant for due in self.due]


def each_batch(
    run: Run,
    label: str,
    due: Iterable[Due],
    work: Callable[..., DataFrame],
    ship: Callable[[Due], Lookups] | None = None,
) -> None:
    """Makes those units that aren't done: of each batch of pages, all that are missing in one scan of it, by `work`
    (Batch, and what `ship` made), a frame of what was written.

    label: what progress calls it. ship: makes what all batches of a crawl look their pages up in, given any of the
    crawl's units; deleted when the crawl is done."""
    pending: dict[str, dict[str, list[Due]]] = {}
    for one in due:
        if one.pages and not one.is_done(run.corpus):
            pending.setdefault(one.crawl if ship else "", {}).setdefault(one.pages.unit, []).append(one)
    for batches in pending.values():
        units = list(batches.values())
        with run.progress.stage(label):
            shipped = [ship(units[0][0])] if ship else []
            in_flight(run, partial(_make_batch, run, label, work, shipped), units)
        for lookups in shipped:
            run.corpus.root.delete(lookups.directory)


def _make_batch(
    run: Run, label: str, work: Callable[..., DataFrame], shipped: Sequence[Lookups], due: Sequence[Due]
) -> None:
    pages, corpus = due[0].pages, run.corpus
    assert pages
    tables = {one.unit: one.stage.tables(run.config, one.variant) for one in due}
    schemas = {name: schema for of in tables.values() for name, schema in of.items()}
    crawl = {number: name for number, name in corpus.crawls().items() if name == due[0].crawl}
    outputs = corpus.outputs(Unit(label, pages.unit), schemas, crawl)
    batch = Batch(pages, due, outputs, corpus.scan(run.spark, "pages", PAGES, [pages]))
    written = work(batch, *shipped).collect()
    for one in due:
        one.commit(corpus, [row for row in written if row["table"] in tables[one.unit]])


def ship_accepted(run: Run, due: Due) -> Lookups:
    """The accepted pages of a crawl, for `each_batch`, by the verdicts that a unit is computed from."""
    (decided,) = due.sources["decide"]
    rows = run.corpus.read(run.spark, f"verdicts/preset={run.config.rules.preset}", VERDICTS, [decided])
    accepted = rows.where("accepted").select("doc_id")
    return ship(accepted, run.corpus.root, "accepted", decided.counts.get("accepted", 0))
