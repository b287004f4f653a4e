"""What a build takes: hours, disk and shuffle, by rates that are measured on this machine, without a session."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from swallow_spark.config.load import Config
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import open_warc
from swallow_spark.kernels.classifiers import Model, Preparation, kind
from swallow_spark.kernels.html.page import Limits, Page, PassedOver, read_page
from swallow_spark.kernels.order.capacity import needs
from swallow_spark.kernels.warc import warc
from swallow_spark.stages.score.models import model_here
from swallow_spark.stages.stage import Stages

_READ_SECONDS: Final = 5.0
_ANNOTATE_SECONDS: Final = 3.0
_SCORE_SECONDS: Final = 2.0
"""Ten in all, of CPU time."""
_UNTIMED: Final = 20  # records and texts, which load or compile the kernels
_TEXTS_AT_ONCE: Final = 100
_DEDUP_SECONDS: Final = 76e-6
"""CPU time of a page of the whole corpus; measured with ten million pages (docs/scaling.md), not here."""

_Work = Callable[[pa.RecordBatch], Any]


class Sample(NamedTuple):
    """What WARCs hold."""

    pages: float
    """Japanese pages in a GB."""
    chars_per_page: float
    other_bytes: float
    """Inflated bytes of all other records in a GB."""


_COMMON_CRAWL: Final = Sample(pages=978, chars_per_page=1500, other_bytes=30_000 * 145e3)
"""A file of a crawl of Common Crawl, as docs/scaling.md assumes it."""
CRAWL_FILE_BYTES: Final = 10**9


class Rates(NamedTuple):
    """Of one core of this machine, in a CPU second."""

    pages: float
    """Japanese pages read from a WARC."""
    other_bytes: float
    """Inflated bytes of all other records."""
    foreign_bytes: float
    """Inflated bytes of pages without a sign of Japanese, which most of a crawl are."""
    annotated: float
    """Characters of texts that are sketched and measured."""
    scored: float
    """Characters of texts that all classifiers score; 0 without classifiers, or if a model isn't on this machine."""


def estimate(
    config: Config, stages: Stages, files: Sequence[Path], sizes: Sequence[int], before: int
) -> dict[str, Any]:
    """What it takes to build from files of these `sizes` (-1: one of Common Crawl, of unknown size).

    files: WARCs of this machine to measure with. before: pages that the corpus has already. Takes ten CPU seconds of
    one core, and longer if kernels must be compiled. Raises UsageError if no Japanese page is found.
    """
    sample, rates = _measure(config, stages, files)
    known = sum(size for size in sizes if size >= 0)
    unknown = sum(size < 0 for size in sizes)
    pages = round(known / 1e9 * sample.pages + unknown * _COMMON_CRAWL.pages)
    others = known / 1e9 * sample.other_bytes / rates.other_bytes
    others += unknown * _COMMON_CRAWL.other_bytes / rates.foreign_bytes
    chars = sample.chars_per_page if known else _COMMON_CRAWL.chars_per_page
    sketch = config.sketch
    need = partial(
        needs,
        bands=sketch.bands,
        rows_per_band=sketch.rows_per_band,
        bands_per_pass=config.execution.bands_per_pass,
        chars_per_page=chars,
    )
    new, in_all = need(max(1, pages)), need(max(1, pages + before))
    seconds: dict[str, float | None] = {
        "ingest": pages / rates.pages + others,
        "annotate": pages * chars / rates.annotated,
        "deduplicate": (pages + before) * _DEDUP_SECONDS,
    }
    if config.classifiers:
        seconds["score"] = pages * chars / rates.scored if rates.scored else None
    return {
        "bytes": known + unknown * CRAWL_FILE_BYTES,
        "files_of_assumed_size": unknown,
        "pages": pages,
        "pages_before": before,
        "rates": {name: None if math.isinf(rate) else rate for name, rate in rates._asdict().items()},
        "core_hours": {name: None if value is None else value / 3600 for name, value in seconds.items()},
        "disk": {
            "tables": new.pages + new.sketches + new.features + new.duplicates_and_groups,
            "between_passes": in_all.between_passes,
            "exchanged": in_all.exchanged,
            "exchanged_at_once": in_all.exchanged_at_once,
        },
    }


def _measure(config: Config, stages: Stages, files: Sequence[Path]) -> tuple[Sample, Rates]:
    read = _read(files)
    if not read.texts:
        raise UsageError(f"{files[0]}: no Japanese page to measure with")
    texts = pa.array(read.texts, pa.large_string())
    nothing = {"doc_id": pa.nulls(len(texts), pa.int64()), "host": pa.nulls(len(texts), pa.string())}
    pages = pa.RecordBatch.from_pydict({**nothing, "num_chars": pc.utf8_length(texts), "text": texts})
    annotations = [stage.annotation(config).start() for stage in stages if stage.annotation]
    scorers = list(_scorers(config))
    sample = Sample(
        pages=len(texts) / read.stored_bytes * 1e9,
        chars_per_page=sum(map(len, read.texts)) / len(texts),
        other_bytes=read.other_bytes / read.stored_bytes * 1e9,
    )
    rates = Rates(
        pages=len(texts) / read.page_seconds,
        other_bytes=_rate(read.other_bytes, read.other_seconds),
        foreign_bytes=_rate(read.foreign_bytes, read.foreign_seconds),
        annotated=_chars_per_second(pages, annotations, _ANNOTATE_SECONDS),
        scored=_chars_per_second(pages, scorers, _SCORE_SECONDS) if len(scorers) == len(config.classifiers) > 0 else 0,
    )
    return sample, rates


def _rate(size: int, seconds: float) -> float:
    """Bytes in a second. Where there were none, they take no time."""
    return size / seconds if size and seconds else math.inf


@dataclass
class _Read:
    """What was read, and the CPU seconds of that."""

    texts: list[str] = field(default_factory=list)
    page_seconds: float = 0.0
    other_bytes: int = 0
    other_seconds: float = 0.0
    foreign_bytes: int = 0
    foreign_seconds: float = 0.0
    stored_bytes: int = 0


def _read(files: Sequence[Path]) -> _Read:
    """Reads records for _READ_SECONDS; the first ones are not counted, since they load what reads them."""
    limits = Limits()
    for item in islice(_records(files), _UNTIMED):
        read_page(item, limits)
    read = _Read()
    began = at = time.process_time()
    for item in _records(files):
        found = read_page(item, limits)
        before, at = at, time.process_time()
        read.stored_bytes += item.length
        if isinstance(found, Page):
            read.texts.append(found.text)
            read.page_seconds += at - before
        else:
            read.other_bytes += item.block_bytes
            read.other_seconds += at - before
            if found == PassedOver("no_sign_of_japanese"):
                read.foreign_bytes += item.block_bytes
                read.foreign_seconds += at - before
        if at - began > _READ_SECONDS:
            break
    return read


def _records(files: Sequence[Path]) -> Iterator[warc.Record]:
    for file in files:
        with open_warc(str(file)) as stream:
            for item in warc.read(stream):
                if isinstance(item, warc.Record):
                    yield item


def _scorers(config: Config) -> Iterator[_Work]:
    """What scores texts, for each model that is on this machine already."""
    for classifier in config.classifiers.values():
        if path := model_here(classifier):
            model = kind(classifier.kind).load(path)
            prepare = Preparation(classifier.newlines, classifier.nfkc, classifier.lower_case).apply
            yield partial(_score, model, prepare)


def _score(model: Model, prepare: Callable[[pa.Array], pa.Array], pages: pa.RecordBatch) -> Any:
    return model.probabilities(prepare(pages.column("text")))


def _chars_per_second(pages: pa.RecordBatch, works: Sequence[_Work], seconds: float) -> float:
    """Of texts that all works together take in a CPU second."""
    for work in works:
        work(pages.slice(0, _UNTIMED))
    began, done = time.process_time(), 0.0
    while True:
        for start in range(0, pages.num_rows, _TEXTS_AT_ONCE):
            batch = pages.slice(start, _TEXTS_AT_ONCE)
            for work in works:
                work(batch)
            done += pc.sum(batch.column("num_chars")).as_py()
            if (spent := time.process_time() - began) > seconds:
                return float(done / spent)
