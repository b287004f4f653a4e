"""A crawl as Common Crawl lays it out, made of this project's own pages: WARCs, their listing, the columnar index."""

import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from swallow_spark.kernels.warc import http, warc

CRAWL = "CC-MAIN-2025-33"


class Crawl(NamedTuple):
    """`captures`: the index's rows."""

    files: dict[str, bytes]
    lines: list[str]
    captures: list[dict[str, Any]]

    def write(self, directory: Path) -> None:
        for name, content in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def served(self) -> dict[str, bytes]:
        return {f"/{name}": content for name, content in self.files.items()}


def crawl_of(warcs: Sequence[Path]) -> Crawl:
    """The index says of each page what a crawler's detection would: Japanese where there is kana in its bytes."""
    lines = [f"crawl-data/{CRAWL}/segments/1/warc/{number:05}.warc.gz" for number in range(len(warcs))]
    lines.insert(1, f"crawl-data/{CRAWL}/segments/0/warc/unread.warc.gz")  # numbers are lines, not files there are
    files = dict(
        zip([line for line in lines if "unread" not in line], [path.read_bytes() for path in warcs], strict=True)
    )
    captures = [row for line in files for row in _captures(line, files[line])]
    index = f"cc-index/table/cc-main/warc/crawl={CRAWL}"
    parts = {
        f"{index}/subset=warc/part-0.gz.parquet": captures[::2],
        f"{index}/subset=warc/part-1.gz.parquet": captures[1::2],
        f"{index}/subset=robotstxt/part-2.gz.parquet": captures[:1],
    }
    files[f"crawl-data/{CRAWL}/warc.paths.gz"] = gzip.compress("\n".join(lines).encode())
    files[f"crawl-data/{CRAWL}/cc-index-table.paths.gz"] = gzip.compress("\n".join(parts).encode())
    files |= {name: parquet(rows) for name, rows in parts.items()}
    return Crawl(files, lines, captures)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """As Common Crawl writes it: other columns beside those that are read, narrow integers, several row groups."""
    schema = pa.schema(
        [
            ("url_surtkey", pa.string()),
            ("url", pa.string()),
            ("fetch_status", pa.int16()),
            ("content_mime_detected", pa.string()),
            ("content_languages", pa.string()),
            ("warc_filename", pa.string()),
            ("warc_record_offset", pa.int32()),
            ("warc_record_length", pa.int32()),
        ]
    )
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), sink, row_group_size=7, compression="gzip")
    return sink.getvalue()


def _captures(line: str, content: bytes) -> list[dict[str, Any]]:
    rows = []
    for record in warc.read(io.BytesIO(content)):
        if isinstance(record, warc.Record) and record.record_type == "response":
            response = http.parse(record.block)
            text = http.body(response, 1 << 26, 1 << 26).content.decode(errors="replace")
            kana = sum("ぁ" <= c <= "ヿ" for c in text)
            rows.append(
                {
                    "url_surtkey": "x",
                    "url": record.url,
                    "fetch_status": response.status,
                    "content_mime_detected": "text/html" if "<" in text[:200] else "text/plain",
                    "content_languages": "jpn,eng" if kana > 50 else "eng" if text.isascii() else None,
                    "warc_filename": line,
                    "warc_record_offset": record.offset,
                    "warc_record_length": record.length,
                }
            )
    return rows
