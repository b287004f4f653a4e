"""The path of one page through the pipeline."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.warcwriter import WARCWriter

from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import Corpus, Manifest
from swallow_spark.errors import CorpusError, UsageError
from swallow_spark.files.ranges import open_parts
from swallow_spark.kernels.warc import warc
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.tables import BYTES_PER_FILE_NO, DUPLICATES, GROUPS, PAGES, REMOVED, SCORES, VERDICTS, unpack_doc_id

_TEXT_SHOWN: Final = 400
_URLS: Final = pa.schema([PAGES.field(name) for name in ("doc_id", "url")])


@dataclass(frozen=True)
class Explained:
    """What the corpus has on a page; `values` is plain JSON."""

    values: dict[str, Any]
    path: str
    offset: int

    def raw_record(self) -> bytes:
        """The page's WARC record, inflated. Raises UsageError if there is none at its offset. Where no member at the
        offset holds it alone, as in zstd, ARC and WACZ files, the file is read up to it."""
        with open_parts(self.path) as stream:
            stream.seek(self.offset)
            try:
                found = next(iter(ArchiveIterator(stream, no_record_parse=True)), None)
            except ArchiveLoadFailed:
                found = None
            buffer = io.BytesIO()
            if found and found.rec_headers.get_header("WARC-Target-URI") == self.values["url"]:
                WARCWriter(buffer, gzip=False).write_record(found)
                if not found.raw_stream.limit:  # the rest of the record, behind the end of the member
                    return buffer.getvalue()
            stream.seek(0)  # zstd needs the dictionary at the start, ARC and WACZ other readers
            for item in warc.read(stream):
                if isinstance(item, warc.Record) and item.offset == self.offset and item.url == self.values["url"]:
                    headers = "".join(f"{name}: {value}\r\n" for name, value in item.headers.items())
                    return f"WARC/1.0\r\n{headers}\r\n".encode() + item.block + b"\r\n\r\n"
            raise UsageError(f"{self.path}: no whole WARC record of this page at offset {self.offset}")


def explain_page(corpus: Corpus, config: Config, url: str | None, doc_id: int | None) -> Explained:
    """The rows of all tables for a page, by its URL (the first capture) or doc_id. Raises UsageError if unknown.

    Needs no Spark: of the files that may hold the page, by their units, only row groups are read whose statistics allow
    for it. A URL may be in any file, so for it the URLs of all pages are read.
    """
    name = doc_id if url is None else url
    if doc_id is None:
        doc_id = _first_capture(corpus, url or "")
    where = unpack_doc_id(doc_id) if doc_id is not None and 0 <= doc_id < 1 << 63 else None
    crawl = corpus.crawls().get(where.crawl_no) if where else None
    batch = _batch(corpus, crawl, where.file_no) if where and crawl else None
    page = _row(corpus, "pages", PAGES, [batch], doc_id) if batch and doc_id is not None else None
    if not (page and doc_id is not None and where and crawl and batch):
        raise UsageError(f"{corpus.root.location}: no page {name}; `failures` and `ledger` cover other records")
    file = max(f for f in corpus.inputs(crawl) if f.file_no <= where.file_no)
    offset = where.offset + (where.file_no - file.file_no) * BYTES_PER_FILE_NO
    text = page.pop("text")
    values: dict[str, Any] = {
        **page,
        "date": page["date"].replace(tzinfo=None).isoformat() if page["date"] else None,
        "source": {"crawl": crawl, "file": file.path, "offset": offset},
        "text": text if len(text) <= _TEXT_SHOWN else text[:_TEXT_SHOWN] + "…",
    }

    def row(table: str, schema: pa.Schema, stage: str, prefix: str = "") -> dict[str, Any] | None:
        return _row(corpus, table, schema, corpus.manifests(stage, prefix), doc_id)

    if row("removed", REMOVED, "remove", batch.unit):
        values["removed"] = True
    if duplicate := row("duplicates", DUPLICATES, "deduplicate"):
        others = {name: duplicate[name] for name in ("witness", "representative")}
        urls = {f"{name}_url": _url(corpus, other) for name, other in others.items()}
        values["dedup"] = {"kept": False, **_without_doc_id(duplicate), **urls}
    elif group := row("groups", GROUPS, "deduplicate"):
        values["dedup"] = {"kept": True, **_without_doc_id(group)}
    if found := row("features", FEATURES, "measure", batch.unit):
        values["features"] = {name: found[name] for name in FEATURES.names if name not in page}
    preset = config.rules.preset
    if found := row(f"verdicts/preset={preset}", VERDICTS, "decide", f"preset={preset}/crawl={crawl}"):
        values["verdict"] = {"preset": preset, **_without_doc_id(found)}
    scores = {}
    for name in config.classifiers:
        if found := row(f"scores/classifier={name}", SCORES, "score", f"classifier={name}/{batch.unit}"):
            scores[name] = found["score"]
    if scores:
        values["scores"] = scores
        values["subsets"] = _subsets(corpus, batch, doc_id)
    return Explained(values, file.path, offset)


def _first_capture(corpus: Corpus, url: str) -> int | None:
    """The smallest doc_id of the pages with a URL."""
    pages = corpus.dataset("pages", PAGES, corpus.manifests("ingest"))
    found = pages.scanner(["doc_id"], filter=ds.field("url") == url, use_threads=True).to_table()
    first: int | None = pc.min(found["doc_id"]).as_py()
    return first


def _batch(corpus: Corpus, crawl: str, file_no: int) -> Manifest | None:
    """The batch of pages that a file's records are in."""
    batches = corpus.manifests("ingest", f"crawl={crawl}/")
    return next((b for b in batches for first, last in b.covers if first <= file_no <= last), None)


def _row(
    corpus: Corpus, table: str, schema: pa.Schema, manifests: Sequence[Manifest], doc_id: int | None
) -> dict[str, Any] | None:
    try:
        found = corpus.dataset(table, schema, manifests).head(1, filter=ds.field("doc_id") == doc_id, batch_readahead=1)
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{table}: {error}; `swallow-spark check` finds missing or damaged files") from None
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows[0] if rows else None


def _url(corpus: Corpus, doc_id: int) -> str | None:
    where = unpack_doc_id(doc_id)
    batch = _batch(corpus, corpus.crawls()[where.crawl_no], where.file_no)
    page = _row(corpus, "pages", _URLS, [batch], doc_id) if batch else None
    return page["url"] if page else None


def _without_doc_id(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "doc_id"}


def _subsets(corpus: Corpus, batch: Manifest, doc_id: int | None) -> list[str]:
    manifests = corpus.manifests("select", batch.unit)
    tables = sorted({file.table for manifest in manifests for file in manifest.files})
    schema = pa.schema([PAGES.field("doc_id")])
    return [t.removeprefix("subsets/") for t in tables if _row(corpus, t, schema, manifests, doc_id)]
