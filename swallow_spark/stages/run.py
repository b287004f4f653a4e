"""The run of a command, and the loop over batches of pages that all stages share."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
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
from swallow_spark.errors import ConfigError, CorpusError, meant
from swallow_spark.kernels.classifiers import kind
from swallow_spark.session.progress import Progress
from swallow_spark.stages.score.models import model_file
from swallow_spark.stages.stage import Due, Lineage, Stage, Stages
from swallow_spark.tables import PAGES, VERDICTS, InputFile


@dataclass(frozen=True)
class Run:
    """What every step needs: a locked corpus, a configuration, and the progress, which opens the session."""

    corpus: Corpus
    config: Config
    progress: Progress
    stages: Stages
    inputs: Sequence[InputFile] = ()
    """Those that this call names; the corpus knows those of earlier calls."""
    only: frozenset[str] | None = None
    """The stages to do, of a function that does several; None: all."""

    @property
    def spark(self) -> SparkSession:
        return self.progress.spark

    @cached_property
    def lineage(self) -> Lineage:
        return Lineage(self.stages, self.config, self.corpus)


def check_config(config: Config, *, models: bool) -> None:
    """Checks before any work starts that lists can be read and, with `models`, that classifiers can be fetched and
    read. Raises ConfigError, ModelError, InputError."""
    for listing in config.features.lists.values():
        expressions(listing)
    config.decontamination.questions()
    for name, classifier in config.classifiers.items() if models else ():
        model = kind(classifier.kind).load(model_file(classifier))
        if missing := sorted(set(classifier.weights) - set(model.labels)):
            raise ConfigError(
                f"classifiers.{name}.weights: {classifier.path} has no label {', '.join(missing)}"
                f"{meant(missing[0], model.labels)} "
                f"(it has {', '.join(model.labels)})"
            )


def refuse_changes(lineage: Lineage) -> None:
    """Refuses another ingest or sketch than the corpus was made with: pages are compared with each other. Raises
    CorpusError."""
    for stage in lineage.stages:
        expected = lineage.fingerprint(stage.name) if stage.uniform else None
        for old in lineage.corpus.manifests(stage.name) if expected else ():
            if old.fingerprint != expected:
                raise CorpusError(_changed(lineage, stage, old))


def _changed(lineage: Lineage, stage: Stage, old: Manifest) -> str:
    before, now = old.meaning, json.loads(json.dumps(stage.meaning(lineage.config, "")))
    keys = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    what = "; ".join(f"{stage.name}.{key}: {before.get(key)} -> {now.get(key)}" for key in keys)
    return (
        f"{lineage.corpus.root.location}: this corpus was made with another {stage.name} "
        f"({what or f'by version {old.version} of this program, whose results differ'}). Set the old value (--set), "
        f"use another --corpus, or redo it after `swallow-spark discard --corpus DIR --stage {stage.name}`"
    )


def say_replaced(run: Run, names: Collection[str]) -> None:
    """Names the tables that these stages make again because the configuration, or this program, has changed: theirs
    are replaced. (Subsets are replaced only if the user agrees: select/standing.py.)"""
    corpus, config = run.corpus, run.config
    for stage in run.stages:
        if stage.name not in names or not stage.checked or stage.directory == "select":
            continue
        for variant in stage.variants(config) if stage.wanted(config, corpus) else ():
            fingerprint = run.lineage.fingerprint(stage.name, variant)
            units = corpus.manifests(stage.directory, stage.prefix.format(variant) + stage.unit)
            old = [unit for unit in units if unit.fingerprint != fingerprint]
            tables = ", ".join(sorted({file.table for unit in old for file in unit.files}))
            if tables:
                run.progress.say(f"{stage.name}: made with other settings or by another release, made again: {tables}")


def of_crawl(manifest: Manifest, crawl: str) -> Manifest:
    """A crawl's part of a corpus-wide unit."""
    files = [file for file in manifest.files if f"/crawl={crawl}/" in file.path]
    return manifest.model_copy(update={"files": tuple(files)})


def in_flight(run: Run, work: Callable[[Any], None], items: Sequence[Any]) -> None:
    """Works on several items at once, so that one item's stragglers leave no core idle. The first error, or Ctrl-C,
    stops everything."""
    with ThreadPoolExecutor(run.config.execution.batches_in_flight) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            with suppress(Exception):  # if the JVM is gone, report the first error
                run.spark.sparkContext.cancelAllJobs()
            raise


@dataclass(frozen=True)
class Batch:
    """A batch of pages, the units that one scan of it makes, and where their tables are written."""

    pages: Manifest
    due: Sequence[Due]
    outputs: Outputs
    rows: Scan


def each_batch(
    run: Run,
    label: str,
    due: Iterable[Due],
    work: Callable[..., DataFrame],
    ship: Callable[[Due], Lookups] | None = None,
) -> None:
    """Makes the units that aren't done, all of a batch of pages in one scan, and commits them.

    work: given the Batch and the result of `ship`, a frame of what was written. label: the name in progress. ship:
    given any unit of a crawl, makes the lookups for all its batches; they are deleted when the crawl is done.
    """
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
    """The accepted pages of a unit's crawl, for `each_batch`."""
    (decided,) = due.sources["decide"]
    table = f"verdicts/preset={run.config.rules.preset}"
    accepted = run.corpus.read(run.spark, table, VERDICTS, [decided]).where("accepted").select("doc_id")
    return ship(accepted, run.corpus.root, "accepted", decided.counts.get("accepted", 0), decided.rows(table))
