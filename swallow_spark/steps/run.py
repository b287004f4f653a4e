"""What all steps share: the run, fingerprints, what must be finished before, writing."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.config import Config, fingerprint, selection
from swallow_spark.corpus import Corpus, Manifest, Unit, lineage
from swallow_spark.errors import ConfigError, CorpusError, UsageError
from swallow_spark.kernels import (
    blocklists,
    charset,
    cleanup,
    fasttext,
    features,
    html,
    imported,
    japanese,
    lsh,
    minhash,
    ngwords,
    page,
    warc,
)
from swallow_spark.outputs import WRITTEN, Outputs
from swallow_spark.progress import Progress
from swallow_spark.sections.section import Section

DEDUPLICATE_VERSION: Final = 2
DECIDE_VERSION: Final = 1
SELECT_VERSION: Final = 1

# stage -> the stages whose rows are computed from its rows
COMPUTED_FROM: Final[dict[str, tuple[str, ...]]] = {
    "ingest": ("sketch", "measure", "deduplicate", "boundary", "decide", "score", "select"),
    "sketch": ("deduplicate", "boundary", "decide", "score", "select"),
    "measure": ("decide", "score", "select"),
    "deduplicate": ("boundary", "decide", "score", "select"),
    "decide": ("score", "select"),
    "score": ("select",),
    "select": (),
}


@dataclass(frozen=True)
class Run:
    """What every step needs: a corpus whose lock is held, a configuration, and what opens the session and tells."""

    corpus: Corpus
    config: Config
    progress: Progress

    @property
    def spark(self) -> SparkSession:
        return self.progress.spark


# ---- fingerprints: what each stage's rows depend on


@dataclass(frozen=True)
class Fingerprints:
    config: Config

    @cached_property
    def ingest(self) -> str:
        modules = (warc, page, charset, html, japanese, imported)
        versions = {module.__name__: module.VERSION for module in modules}
        return fingerprint(self.config.ingest.meaning(), versions)

    @cached_property
    def sketch(self) -> str:
        versions = {"minhash": minhash.VERSION, "lsh": lsh.VERSION}
        return fingerprint(self.config.sketch.meaning(), versions, self.ingest)

    @cached_property
    def measure(self) -> str:
        versions = {**features.versions(), "ngwords": ngwords.VERSION}
        return fingerprint(self.config.features.meaning(), versions, self.ingest)

    @cached_property
    def deduplicate(self) -> str:
        return fingerprint(self.config.dedup.meaning(), {"deduplicate": DEDUPLICATE_VERSION}, self.sketch)

    @cached_property
    def decide(self) -> str:
        versions = {"decide": DECIDE_VERSION, "blocklists": blocklists.VERSION}
        return fingerprint(self.config.rules.meaning(), versions, self.measure, self.deduplicate)

    def score(self, classifier: str) -> str:
        meaning = self.config.classifiers[classifier].meaning()
        return fingerprint(meaning, {"fasttext": fasttext.VERSION}, self.decide)

    @cached_property
    def select(self) -> str:
        versions = {"select": SELECT_VERSION, "cleanup": cleanup.VERSION}
        used = dict.fromkeys(subset.classifier for subset in self.config.subsets)
        return fingerprint(selection(self.config), versions, *map(self.score, used))


def check_config(config: Config, corpus: Corpus | None) -> None:
    """Finds what can't work before any work starts: rules on features that don't exist, broken models, a changed
    ingest or sketch on a corpus that has one. Raises ConfigError, ModelError or CorpusError."""
    for feature in config.rules.bounds:
        if feature not in features.SCHEMA.names:
            known = ", ".join(features.SCHEMA.names)
            raise ConfigError(f"rules.bounds.{feature}: no such feature (there are: {known})")
    if config.features.ng_words:
        ngwords.expressions(*config.features.ng_words)
    for name, classifier in config.classifiers.items():
        model = fasttext.load(classifier.path)
        if missing := sorted(set(classifier.weights) - set(model.labels)):
            raise ConfigError(
                f"classifiers.{name}.weights: {classifier.path} has no label {', '.join(missing)} "
                f"(it has {', '.join(model.labels)})"
            )
    if corpus:
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


def complete(run: Run, stage: str, expected: str) -> list[Manifest]:
    """The units of a stage for all batches of pages. Raises UsageError where some are missing or out of date."""
    corpus = run.corpus
    batches = corpus.manifests("ingest")
    missing = [b for b in batches if not corpus.is_finished(Unit(stage, b.unit), expected, lineage([b]))]
    if not batches or missing:
        what = f"{len(missing)} of {len(batches)} batches of pages" if batches else "there are no pages: ingest"
        raise UsageError(f"{corpus.root.location}: {what} first need `swallow-spark {stage}`")
    return corpus.manifests(stage)


def deduplicated(run: Run, prints: Fingerprints) -> Manifest:
    """The unit of dedup. Raises UsageError where it is missing or out of date."""
    unit = Unit("deduplicate", "corpus")
    upstream = lineage(complete(run, "sketch", prints.sketch))
    if not run.corpus.is_finished(unit, prints.deduplicate, upstream):
        raise UsageError(f"{run.corpus.root.location}: the pages first need `swallow-spark deduplicate`")
    return _present(run, unit)


def verdicts(run: Run, prints: Fingerprints) -> dict[str, Manifest]:
    """The units of the preset's verdicts, by crawl. Raises UsageError where one is missing or out of date."""
    kept = deduplicated(run, prints)
    found = {}
    for crawl in run.corpus.crawls().values():
        if measured := run.corpus.manifests("measure", f"crawl={crawl}/"):
            unit = Unit("decide", f"preset={run.config.rules.preset}/crawl={crawl}")
            if not run.corpus.is_finished(unit, prints.decide, lineage([*measured, kept])):
                raise UsageError(f"{run.corpus.root.location}: the pages first need `swallow-spark decide`")
            found[crawl] = _present(run, unit)
    return found


def _present(run: Run, unit: Unit) -> Manifest:
    manifest = run.corpus.manifest(unit)
    assert manifest, unit
    return manifest


def write(
    df: DataFrame, table: str, outputs: Outputs, sums: Callable[[pa.RecordBatch], dict[str, int]] | None = None
) -> list[Any]:
    """Writes a frame as a table; the rows of what was written (outputs.WRITTEN), one a file."""
    work = partial(_write_task, table=table, outputs=outputs, sums=sums)
    return df.mapInArrow(work, from_arrow_schema(WRITTEN)).collect()


def _write_task(
    batches: Iterator[pa.RecordBatch],
    table: str,
    outputs: Outputs,
    sums: Callable[[pa.RecordBatch], dict[str, int]] | None,
) -> Iterator[pa.RecordBatch]:
    context = TaskContext.get()
    with outputs.open(context.partitionId() if context else 0) as opened:
        for batch in batches:
            if batch.num_rows:
                opened.write(table, batch, sums(batch) if sums else None)
        yield opened.written()


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
            run.spark.sparkContext.cancelAllJobs()
            raise


def crawl_of(run: Run, manifest: Manifest) -> dict[int, str]:
    name = manifest.unit.split("/")[0].removeprefix("crawl=")
    return {number: crawl for number, crawl in run.corpus.crawls().items() if crawl == name}
