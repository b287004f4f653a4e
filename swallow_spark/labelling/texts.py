"""Files of texts to label (tables.TEXTS) and of labels (tables.LABELS)."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from swallow_spark.errors import InputError, UsageError
from swallow_spark.files.storage import replacing
from swallow_spark.kernels.html.imported import plain
from swallow_spark.kernels.text import jsonl
from swallow_spark.tables import LABELS, TEXTS

_ROWS: Final = 256
Rows = list[dict[str, Any]]


def read_texts(path: Path) -> Iterator[Rows]:
    """The rows of a file (.parquet, .jsonl, .jsonl.gz, .jsonl.zst) in batches: the columns of TEXTS and `stratum`, null
    if the file lacks them; `text` is null if a row has only a doc_id. Raises InputError."""
    for rows in _read(path, [*TEXTS.names, "stratum"]):
        yield [_checked(path, row) for row in rows]


def read_labels(path: Path) -> Iterator[Rows]:
    """The rows (tables.LABELS) of a file that `write_labels` wrote, in batches. Raises InputError."""
    yield from _read(path, LABELS.names)


def _read(path: Path, names: list[str]) -> Iterator[Rows]:
    try:
        for rows in _parquet(path, names) if path.suffix == ".parquet" else _json_lines(path):
            yield [{name: row.get(name) for name in names} for row in rows]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: can't read these texts: {error}") from error


def _parquet(path: Path, names: list[str]) -> Iterator[Rows]:
    with pq.ParquetFile(path) as file:
        columns = [name for name in names if name in file.schema_arrow.names]
        for batch in file.iter_batches(_ROWS, columns=columns):
            yield pa.table({name: plain(batch[name]) for name in columns}).to_pylist()


def _json_lines(path: Path) -> Iterator[Rows]:
    if not path.name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
        raise InputError(f"{path}: not a .parquet, .jsonl, .jsonl.gz or .jsonl.zst file")
    with pa.OSFile(str(path)) as file:
        found = jsonl.objects(file)
        while rows := list(islice(found, _ROWS)):
            yield rows


def _checked(path: Path, row: dict[str, Any]) -> dict[str, Any]:
    doc_id, text, stratum = row["doc_id"], row["text"], row["stratum"]
    if not (type(doc_id) is int or (doc_id is None and text is not None)) or not isinstance(text, str | None):
        raise InputError(f"{path}: each row needs a text, or the doc_id of a page")
    return row | {"stratum": None if stratum is None else str(stratum)}


@contextmanager
def write_labels(path: Path) -> Iterator[Callable[[Rows], None]]:
    """Yields what appends rows to a file of labels, .parquet or .jsonl, which appears when the block ends."""
    with replacing(path) as fresh:
        if path.suffix == ".parquet":
            with pq.ParquetWriter(fresh, LABELS, compression="zstd") as parquet:
                yield lambda rows: parquet.write_table(pa.Table.from_pylist(rows, LABELS))
        else:
            with fresh.open("w", encoding="utf-8", errors="replace") as lines:
                yield lambda rows: lines.writelines(
                    json.dumps({name: row[name] for name in LABELS.names}, ensure_ascii=False) + "\n" for row in rows
                )


def check_output(path: Path) -> None:
    """Raises UsageError if labels can't be written to that file."""
    if path.suffix not in (".parquet", ".jsonl"):
        raise UsageError(f"--output {path}: the file's name must end in .parquet or .jsonl")
    if "://" in str(path) or not path.parent.is_dir():
        raise UsageError(f"--output {path}: the directory must exist on this machine")
