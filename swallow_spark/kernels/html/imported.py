"""Text extracted by other tools: the rows of JSON (plain, gzip, zstd) and Parquet files."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from swallow_spark.kernels.html.urls import host_of
from swallow_spark.kernels.japanese import language_score
from swallow_spark.kernels.text import json_array as json_arrays
from swallow_spark.kernels.text import jsonl

VERSION: Final = 2

TEXT: Final = "text"
OTHERS: Final = ("url", "title", "date")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


class Row(NamedTuple):
    """A row of an input. `problem`: why its text can't be used, as (reason, detail)."""

    number: int
    values: dict[str, Any]
    length: int  # bytes in the input, if known
    problem: tuple[str, str] | None = None
    utf8: bytes = b""  # the text, encoded once for all uses


def page_columns(row: Row) -> dict[str, Any] | None:
    """The row as columns of tables.PAGES, without doc_id; None if there is no text."""
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
        "truncated": None,
    }


def no_text(column: str) -> tuple[str, str]:
    """The problem of a row without text."""
    return "no_text_column", f"a row needs a string `{column}`"


def parquet(stream: Any, max_record_bytes: int, text_column: str = TEXT) -> Iterator[Row]:
    """The rows of a Parquet file (see `files.inputs.Format`)."""
    try:
        file = pq.ParquetFile(stream)
        names = {TEXT: text_column, **{name: name for name in OTHERS}}
        columns = {key: _scalars(file, name) for key, name in names.items() if _is_read(file.schema_arrow, key, name)}
        if TEXT not in columns:
            yield from (Row(number, {}, 0, no_text(text_column)) for number in range(file.metadata.num_rows))
            return
        for number, row in enumerate(zip(*columns.values(), strict=True)):
            yield of_scalars(number, dict(zip(columns, row, strict=True)), max_record_bytes, text_column)
    except ValueError as error:  # column names that are not UTF-8, columns of different lengths
        raise pa.ArrowInvalid(str(error)) from error


def _is_read(schema: pa.Schema, key: str, name: str) -> bool:
    index = schema.get_field_index(name)  # -1 also if several have that name
    if index < 0:
        return False
    kind = schema.field(index).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return is_text(kind) or (key == "date" and (pa.types.is_date(kind) or pa.types.is_timestamp(kind)))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of that type may hold text: many writers of Parquet don't mark strings as such, so that they
    can't be told from other bytes."""
    types = pa.types
    is_string = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(is_string or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def plain(column: Any) -> Any:
    """An Arrow array in its plainest type: without a dictionary, and large_string for whatever may hold text. Raises
    pyarrow.ArrowInvalid if that isn't UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_string()) if is_text(column.type) else column


def _scalars(file: pq.ParquetFile, name: str) -> Iterator[Any]:
    """A column's values, decoded one at a time: with a dictionary in the file, each row of a batch may be as large as a
    page. Dictionaries in Arrow don't grow like that, and would be copied for each batch."""
    is_dictionary = pa.types.is_dictionary(file.schema_arrow.field(name).type)
    for batch in file.iter_batches(256 if is_dictionary else 1, columns=[name], use_threads=False):
        yield from (value.value if is_dictionary else value for value in batch.column(0))


def of_scalars(number: int, scalars: dict[str, Any], max_record_bytes: int, text_column: str) -> Row:
    """A row of PyArrow's scalars, by `text`, `url`, `title` and `date`."""
    buffers = {name: value.as_buffer() for name, value in scalars.items() if isinstance(value, pa.BinaryScalar)}
    size = sum(buffer.size for buffer in buffers.values() if buffer is not None)
    if size > max_record_bytes:
        return Row(number, {}, size, ("record_too_large", f"over {max_record_bytes} bytes"))
    if buffers["text"] is None:
        return Row(number, {}, 0, no_text(text_column))
    utf8 = buffers["text"].to_pybytes()
    try:
        text = utf8.decode()
    except UnicodeDecodeError as error:
        return Row(number, {}, len(utf8), ("not_utf8", str(error)))
    strings = {name: _decoded(buffers.get(name)) for name in ("url", "title")}
    moment = _date(_decoded(buffers["date"])) if "date" in buffers else _moment(scalars.get("date"))
    return Row(number, {"text": text, **strings, "date": moment}, len(utf8), utf8=utf8)


def _decoded(buffer: pa.Buffer | None) -> str | None:
    try:
        return None if buffer is None else buffer.to_pybytes().decode()
    except UnicodeDecodeError:
        return None


def _moment(scalar: Any) -> datetime | None:
    """The datetime of a date or timestamp; None beyond the years 1 to 9999. Values are in UTC, so the names of time
    zones, which may be invalid, are ignored."""
    if scalar is None or scalar.value is None:
        return None
    try:
        if isinstance(scalar, pa.Date32Scalar):
            return _EPOCH + timedelta(days=scalar.value)
        unit = "ms" if isinstance(scalar, pa.Date64Scalar) else scalar.type.unit
        return _EPOCH + timedelta(microseconds=scalar.value * _NANOSECONDS[unit] // 1000)
    except OverflowError:
        return None


def json_lines(stream: Any, max_record_bytes: int, text_column: str = TEXT) -> Iterator[Row]:
    """The rows of a file of JSON lines, plain, gzip or zstd (see `files.inputs.Format`)."""
    return _of_objects(jsonl.read(stream, max_line_bytes=max_record_bytes), text_column)


def json_array(stream: Any, max_record_bytes: int, text_column: str = TEXT) -> Iterator[Row]:
    """The rows of a file that is one JSON array of objects, or JSON lines, plain, gzip or zstd (see
    `files.inputs.Format`)."""
    return _of_objects(json_arrays.read(stream, max_bytes=max_record_bytes), text_column)


def _of_objects(lines: Iterable[jsonl.Line], text_column: str) -> Iterator[Row]:
    for number, line in enumerate(lines):
        if line.problem:
            yield Row(number, {}, line.length, line.problem)
        elif not isinstance(line.value, dict) or not isinstance(line.value.get(text_column), str):
            yield Row(number, {}, line.length, no_text(text_column))
        else:
            values = line.value
            text, utf8 = _unicode(values[text_column])
            strings = {name: _string(values.get(name)) for name in ("url", "title")}
            values = {"text": text, **strings, "date": _date(values.get("date"))}
            yield Row(number, values, line.length, utf8=utf8)


def _unicode(value: str) -> tuple[str, bytes]:
    """A string and its UTF-8."""
    try:
        return value, value.encode()
    except UnicodeEncodeError:  # lone surrogates from JSON escapes
        utf8 = value.encode("utf-8", "replace")
        return utf8.decode(), utf8


def _string(value: Any) -> str | None:
    return _unicode(value)[0] if isinstance(value, str) else None


def _date(value: Any) -> datetime | None:
    """The datetime of a date, a timestamp or a string in ISO 8601; None for anything else."""
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
