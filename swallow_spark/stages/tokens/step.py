"""Token counts by the configured tokenizer: of the accepted pages, for top-k bands by tokens, and of subsets."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark.corpus.corpus import Manifest
from swallow_spark.corpus.lookups import Lookups
from swallow_spark.errors import UsageError
from swallow_spark.kernels.text import tokens
from swallow_spark.stages.run import Batch, Run, each_batch, ship_accepted
from swallow_spark.stages.stage import Due, Source, Stage
from swallow_spark.stages.tokens import tasks
from swallow_spark.tables import SUBSETS, TOKENS

_TEXTS = pa.schema([SUBSETS.field(column) for column in ("doc_id", "text")])


def accepted_tokens(run: Run) -> list[Manifest]:
    """Counts the tokens of the accepted pages' main texts, in batches that lack counts; the units."""
    run.lineage.finished("decide")
    due = _pending(run, run.lineage.due("tokens"))
    if due:
        counting = tokenizer(run)

        def work(batch: Batch, accepted: Lookups) -> DataFrame:
            return tasks.count_tokens(batch.rows, accepted, counting, "tokens/accepted", batch.outputs)

        each_batch(run, "tokens", due, work, partial(ship_accepted, run))
    return run.lineage.finished("tokens")


def subset_tokens(run: Run, name: str) -> list[Manifest]:
    """Counts the tokens of a subset's texts after clean-up, in batches that lack counts; the units."""
    due = run.lineage.due("subset_tokens", [name])
    if pending := _pending(run, due):
        counting = tokenizer(run)

        def work(batch: Batch) -> DataFrame:
            texts = [manifest for one in batch.due for manifest in one.sources["subsets"]]
            rows = run.corpus.scan(run.spark, f"subsets/{name}", _TEXTS, texts)
            return tasks.count_tokens(rows, None, counting, f"tokens/{name}", batch.outputs)

        each_batch(run, "tokens", pending, work)
    return [manifest for one in due if (manifest := run.corpus.manifest(one.unit))]


def _pending(run: Run, due: Sequence[Due]) -> list[Due]:
    return [one for one in due if not one.is_done(run.corpus)]


def tokenizer(run: Run) -> tasks.Counting:
    """The configured tokenizer, for tasks. Raises UsageError if none is configured, ModelError if it can't be used."""
    section = run.config.tokens
    if not section.counting:
        raise UsageError("tokens: no tokenizer is configured: set tokens.encoding or tokens.file")
    tokens.load(section.file, section.encoding)
    return tasks.put_tokenizer(run.corpus.root, section)


OF_ACCEPTED: Final = Stage(
    "tokens",
    each="batch",
    prefix="accepted/",
    sources=(Source("ingest", in_fingerprint=False), Source("decide", in_fingerprint=False)),
    command="select",
    wanted=lambda config, _: config.plan.counts("tokens"),
    tables=lambda config, _: {"tokens/accepted": TOKENS},
    meaning=lambda config, _: config.tokens.tokenizer(),
    versions=lambda config, _: tokens.versions(config.tokens.file, config.tokens.encoding),
)

OF_SUBSETS: Final = Stage(
    "subset_tokens",
    directory="tokens",
    each="batch",
    prefix="{}/",
    variants=lambda config: tuple(subset.name for subset in config.plan.subsets),
    sources=(Source("subsets"),),
    command="export",
    checked=False,
    tables=lambda config, of: {f"tokens/{of}": TOKENS},
    meaning=lambda config, _: config.tokens.tokenizer(),
    same_fingerprint_as="tokens",
)
