"""Text that was extracted elsewhere: the rows of JSON lines (plain, gzip, zstd) and Parquet files."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from swallow_spark.kernels.japanese import language_score
from swallow_spark.kernels.urls import host_of

VERSION: Final = 1

_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_COLUMNS: Final = ("text", "url", "title", "date")


class Row(NamedTuple):
    """A row of an input. `problem` says why its text can't be used: (reason, detail)."""

    number: int
    values: dict[str, Any]
    length: int  # bytes in the input, as far as known
    problem: tuple[str, str] | None = None
    utf8: bytes = b""  # of the text: encoded once for all that is made of it


def read(stream: Any, format: str, *, max_record_bytes: int) -> Iterator[Row]:
    """The rows of a file, numbered from 0. `stream` is a PyArrow input file; `format` is jsonl or parquet.

    Raises OSError or pyarrow.ArrowInvalid where the file itself is damaged; what came before it counts.
    """
    yield from _parquet(stream) if format == "parquet" else _json_lines(stream, max_record_bytes)


def page_columns(row: Row) -> dict[str, Any] | None:
    """The row as columns of tables.PAGES, without doc_id; None where there is no text."""
    text = row.values["text"]
    if not text or text.isspace():
        return None
    url = row.values.get("url")
    return {
        "url": url,
        "host": host_of(url) if url else None,
        "date": row.values.get("date"),
        "title": row.values.get("title"),
        "text": row.utf8,
        "charset": "utf-8",
        "language_score": language_score(row.utf8),
        "num_chars": len(text),
        "record_length": row.length,
        "payload_sha1": hashlib.sha1(row.utf8, usedforsecurity=False).hexdigest(),
        "robots": None,
    }


def _parquet(stream: Any) -> Iterator[Row]:
    file = pq.ParquetFile(stream)
    present = [name for name in _COLUMNS if name in file.schema_arrow.names]
    number = 0
    for batch in file.iter_batches(batch_size=256, columns=present):
        for values in batch.to_pylist():
            row = _checked(number, values, 0)
            yield row._replace(length=len(row.utf8))
            number += 1


def _json_lines(stream: Any, max_record_bytes: int) -> Iterator[Row]:
    magic = stream.read(4)
    stream.seek(0)
    codec = next((name for start, name in _MAGIC.items() if magic.startswith(start)), None)
    if codec:
        stream = pa.CompressedInputStream(stream, codec)
    number = 0
    for line in _lines(stream, max_record_bytes):
        if line is None:
            yield Row(number, {}, max_record_bytes, ("record_too_large", f"over {max_record_bytes} bytes"))
        elif line.strip():
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Row(number, {}, len(line), ("not_json", str(error)[:200]))
            else:
                yield _checked(number, values, len(line))
        else:
            continue
        number += 1


def _lines(stream: Any, limit: int) -> Iterator[bytes | None]:
    """The lines of a stream; None in the place of one that is longer than `limit`."""
    rest, skipping = b"", False
    while chunk := stream.read(1 << 20):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield None if skipping or len(line) > limit else line
            skipping = False
        if len(rest) > limit:
            rest, skipping = b"", True
    if rest or skipping:
        yield None if skipping or len(rest) > limit else rest


def _checked(number: int, values: Any, length: int) -> Row:
    if not isinstance(values, dict) or not isinstance(values.get("text"), str):
        return Row(number, {}, length, ("no_text_column", "a row needs a string `text`"))
    text, utf8 = _unicode(values["text"])
    strings = {name: _string(values.get(name)) for name in ("url", "title")}
    return Row(number, {"text": text, **strings, "date": _date(values.get("date"))}, length, utf8=utf8)


def _unicode(value: str) -> tuple[str, bytes]:
    """A string, and it as UTF-8."""
    try:
        return value, value.encode()
    except UnicodeEncodeError:  # lone surrogates come through JSON escapes, and are no Unicode text
        utf8 = value.encode("utf-8", "replace")
        return utf8.decode(), utf8


def _string(value: Any) -> str | None:
    return _unicode(value)[0] if isinstance(value, str) else None


def _date(value: Any) -> datetime | None:
    """A date as given by a date, a timestamp or in ISO 8601; None where it is none of them."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
