"""The path of one page through the pipeline."""

import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.warcwriter import WARCWriter

from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.errors import UsageError
from swallow_spark.files.ranges import open_parts
from swallow_spark.kernels.warc import warc
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.tables import BYTES_PER_FILE_NO, DUPLICATES, GROUPS, PAGES, REMOVED, SCORES, VERDICTS, unpack_doc_id

_TEXT_SHOWN = 400


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


def explain_page(spark: SparkSession, corpus: Corpus, config: Config, url: str | None, doc_id: int | None) -> Explained:
    """The rows of all tables for a page, by its URL (the first capture) or doc_id. Raises UsageError if unknown."""
    pages = corpus.read(spark, "pages", PAGES, corpus.manifests("ingest"))
    if doc_id is None:
        found = pages.where(F.col("url").isin(url)).agg(F.min("doc_id")).collect()
        doc_id = found[0][0]
    page = _row(pages, doc_id) if doc_id is not None else None
    if page is None or doc_id is None:
        name = url if url is not None else doc_id
        raise UsageError(f"{corpus.root.location}: no page {name}; `failures` and `ledger` cover other records")
    where = unpack_doc_id(doc_id)
    crawl = corpus.crawls()[where.crawl_no]
    file = max(f for f in corpus.inputs(crawl) if f.file_no <= where.file_no)
    offset = where.offset + (where.file_no - file.file_no) * BYTES_PER_FILE_NO
    text = page.pop("text")
    values: dict[str, Any] = {
        **page,
        "date": page["date"].isoformat() if page["date"] else None,
        "source": {"crawl": crawl, "file": file.path, "offset": offset},
        "text": text if len(text) <= _TEXT_SHOWN else text[:_TEXT_SHOWN] + "…",
    }
    if _row(corpus.read(spark, "removed", REMOVED, corpus.manifests("remove", f"crawl={crawl}/")), doc_id):
        values["removed"] = True
    deduplicated = corpus.manifests("deduplicate")
    duplicate = _row(corpus.read(spark, "duplicates", DUPLICATES, deduplicated), doc_id)
    group = _row(corpus.read(spark, "groups", GROUPS, deduplicated), doc_id)
    if duplicate:
        ids = [duplicate["witness"], duplicate["representative"]]
        urls = {row.doc_id: row.url for row in pages.where(F.col("doc_id").isin(ids)).select("doc_id", "url").collect()}
        named = {f"{name}_url": urls.get(duplicate[name]) for name in ("witness", "representative")}
        values["dedup"] = {"kept": False, **_without_doc_id(duplicate), **named}
    elif group:
        values["dedup"] = {"kept": True, **_without_doc_id(group)}
    measured = corpus.manifests("measure", f"crawl={crawl}/")
    if row := _row(corpus.read(spark, "features", FEATURES, measured), doc_id):
        values["features"] = {name: row[name] for name in FEATURES.names if name not in page}
    preset = config.rules.preset
    decided = corpus.manifests("decide", f"preset={preset}/crawl={crawl}")
    if row := _row(corpus.read(spark, f"verdicts/preset={preset}", VERDICTS, decided), doc_id):
        values["verdict"] = {"preset": preset, **_without_doc_id(row)}
    scores = {}
    for name in config.classifiers:
        manifests = corpus.manifests("score", f"classifier={name}/crawl={crawl}/")
        if row := _row(corpus.read(spark, f"scores/classifier={name}", SCORES, manifests), doc_id):
            scores[name] = row["score"]
    if scores:
        values["scores"] = scores
        values["subsets"] = _subsets(spark, corpus, crawl, doc_id)
    return Explained(values, file.path, offset)


def _row(table: DataFrame, doc_id: int) -> dict[str, Any] | None:
    rows = table.where(F.col("doc_id").isin(doc_id)).limit(1).collect()
    return rows[0].asDict() if rows else None


def _without_doc_id(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "doc_id"}


def _subsets(spark: SparkSession, corpus: Corpus, crawl: str, doc_id: int) -> list[str]:
    manifests = corpus.manifests("select", f"crawl={crawl}/")
    tables = sorted({file.table for manifest in manifests for file in manifest.files})
    schema = pa.schema([PAGES.field("doc_id")])
    return [t.removeprefix("subsets/") for t in tables if _row(corpus.read(spark, t, schema, manifests), doc_id)]
