"""Text extracted by other tools: the rows of CSV files whose first line names the columns (RFC 4180, UTF-8)."""

import codecs
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
from pyarrow import csv

from swallow_spark.kernels.html.imported import OTHERS, TEXT, Row, no_text, of_scalars

_LOOKED_AT: Final = 1_000  # rows
_BLOCK_BYTES: Final = 16 << 20  # of a file at a time; the largest row


def rows(stream: Any, max_record_bytes: int, text_column: str = TEXT) -> Iterator[Row]:
    """The rows of a CSV file (see `files.inputs.Format`). A row with more or fewer values than the header is unusable.
    Raises pyarrow.ArrowInvalid at a row of more than 16 MiB, as it seems behind a quotation mark that isn't closed."""
    wrong: dict[int, str] = {}

    def skip(row: csv.InvalidRow) -> str:
        wrong[row.number - 2] = f"{row.actual_columns} values, and the header has {row.expected_columns}"
        return "skip"

    try:
        names, has_rows, _ = header(stream)
    except UnicodeDecodeError as error:
        raise pa.ArrowInvalid(f"the first line isn't UTF-8: {error}") from None
    if not has_rows:
        return
    wanted = {TEXT: text_column, **{name: name for name in OTHERS}}
    found = {key: name for key, name in wanted.items() if names.count(name) == 1}
    stream.seek(0)
    batches = csv.open_csv(
        stream,
        csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
        csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        csv.ConvertOptions(
            check_utf8=False,
            column_types={name: pa.large_binary() for name in names},
            include_columns=list(found.values()) or names[:1],
        ),
    )
    number = 0
    for batch in batches:
        for at in range(batch.num_rows):
            yield from (bad := _wrong(wrong, number))
            number += len(bad)
            if TEXT in found:
                scalars = {key: batch.column(name)[at] for key, name in found.items()}
                yield of_scalars(number, scalars, max_record_bytes, text_column)
            else:
                yield Row(number, {}, 0, no_text(text_column))
            number += 1
    yield from _wrong(wrong, number)


def header(stream: Any) -> tuple[list[str], bool, list[str]]:
    """The names of a file's columns, whether there are rows, and the columns of which no value among the first thousand
    is UTF-8. Raises pyarrow.ArrowInvalid for what isn't CSV, and UnicodeDecodeError for names that aren't UTF-8."""
    start = stream.read(2)
    if start == b"":
        return [], False, []
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        start.decode()  # raises: as CSV, it would be damaged in some row
    stream.seek(0)
    wrong: list[csv.InvalidRow] = []

    def skip(row: csv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    reader = csv.open_csv(
        stream,
        csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
        csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        csv.ConvertOptions(check_utf8=False),
    )
    names = list(reader.schema.names)
    batch = next((batch for batch in reader if batch.num_rows), None)
    if batch is None:
        return names, bool(wrong), []
    columns = zip(names, batch.slice(0, _LOOKED_AT).columns, strict=True)
    return names, True, [name for name, column in columns if pa.types.is_string(column.type) and not _utf8(column)]


def _utf8(values: pa.Array) -> bool:
    """Whether a value is UTF-8, or none is there."""
    there = [value for value in values.cast(pa.binary()).to_pylist() if value]
    for value in there:
        with suppress(UnicodeDecodeError):
            value.decode()
            return True
    return not there


def _wrong(wrong: dict[int, str], number: int) -> list[Row]:
    """The unusable rows from `number` on, as far as they follow each other."""
    found = []
    while detail := wrong.pop(number, None):
        found.append(Row(number, {}, 0, ("wrong_columns", detail)))
        number += 1
    return found
