"""The two classification tasks, and their examples: text with a label or a score, from Parquet or JSONL."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from swallow_spark.errors import InputError, UsageError
from swallow_spark.kernels.html.imported import plain
from swallow_spark.kernels.text import jsonl

_COLUMNS: Final = ("text", "outcome", "source", "license", "model", "prompt")
SCORED: Final = "scored"  # the outcome of a label that has a score


@dataclass(frozen=True)
class Task:
    """A classification task: the column with the class, its values in order, and each class's weight in the score."""

    name: str
    column: str
    values: tuple[str, ...]
    weights: tuple[float, ...]

    @property
    def labels(self) -> list[str]:
        return [f"__label__{value}" for value in self.values]


WIKI: Final = Task("wiki", "label", ("negative", "positive"), (0.0, 1.0))
EDU: Final = Task("edu", "score", ("0", "1", "2", "3"), (0.0, 1.0, 2.0, 3.0))
TASKS: Final = {task.name: task for task in (WIKI, EDU)}


@dataclass(frozen=True)
class Examples:
    """n examples: `texts` (large_string), `classes` int64 (n,) as positions in `task.values`, `sources`,
    `licenses`, and `labellers`: the LLM and prompt that gave the class, or "" if unknown."""

    texts: pa.Array
    classes: NDArray[np.int64]
    sources: list[str]
    licenses: list[str]
    labellers: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> "Examples":
        return Examples(
            self.texts.take(pa.array(rows, pa.int64())),
            self.classes[np.array(rows, np.int64)],
            [self.sources[row] for row in rows],
            [self.licenses[row] for row in rows],
            [self.labellers[row] for row in rows],
        )


def find_task(name: str) -> Task:
    """The task of that name. Raises UsageError if there is none."""
    if name not in TASKS:
        raise UsageError(f"unknown task {name!r}: must be one of {', '.join(TASKS)}")
    return TASKS[name]


def read_examples(task: Task, inputs: Sequence[Path]) -> Examples:
    """All examples of the files, in their order.

    Columns: `text`, the task's (`label`: positive or negative, or `score`: 0 to 3), and optionally `source`, `license`,
    and the columns that the command `label` writes: only rows with the `outcome` scored are used; `model` and `prompt`
    name the labeller. Raises InputError, naming the file, if one can't be read, lacks a column or has a wrong value.
    """
    if not inputs:
        raise InputError("no examples: name at least one Parquet or JSONL file")
    tables = [_read_file(task, Path(path)) for path in inputs]
    texts = pa.concat_arrays([table["text"].combine_chunks() for table in tables])
    classes = [_read_classes(task, table[task.column], Path(path)) for table, path in zip(tables, inputs, strict=True)]
    if not len(texts):
        raise InputError(f"no examples in {', '.join(map(str, inputs))}")
    return Examples(
        texts,
        np.concatenate(classes),
        [value for table in tables for value in _read_credit(table, "source")],
        [value for table in tables for value in _read_credit(table, "license")],
        [value for table in tables for value in _read_labellers(table)],
    )


def _read_file(task: Task, path: Path) -> pa.Table:
    wanted = (*_COLUMNS, task.column)
    try:
        if path.suffix == ".parquet" or path.is_dir():
            file = pq.ParquetDataset(path)
            names = file.schema.names
            table = file.read([name for name in wanted if name in names])
            table = pa.table({name: plain(table[name]) for name in table.column_names})
        elif path.name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
            table, names = _read_lines(wanted, path)
        else:
            raise InputError(f"{path}: not a .parquet, .jsonl, .jsonl.gz or .jsonl.zst file")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: can't read these examples: {error}") from error
    if "outcome" in table.column_names:
        table = table.filter(pc.equal(table["outcome"], SCORED))
    for column in ("text", task.column):
        if column not in table.column_names:
            raise InputError(f"{path}: no column {column!r}; it has {', '.join(names)}")
        if table[column].null_count:
            raise InputError(f"{path}: column {column!r} holds nulls")
    if not pa.types.is_large_string(table["text"].type):
        raise InputError(f"{path}: column 'text' is {table['text'].type}, not text")
    return table


def _read_lines(wanted: Sequence[str], path: Path) -> tuple[pa.Table, list[str]]:
    """The wanted columns that any line has, as strings, and the names of all that there are. Lines may differ in the
    types of their other values."""
    names: dict[str, None] = {}
    rows: list[dict[str, str | None]] = []
    with pa.OSFile(str(path)) as file:
        for row in jsonl.objects(file):
            names |= dict.fromkeys(row)
            if not isinstance(row.get("text"), str | None):
                raise ValueError(f"the text of row {len(rows) + 1} is no string: {str(row['text'])[:100]}")
            rows.append({name: _spelled(row[name]) for name in wanted if name in row})
    columns = [name for name in wanted if name in names]
    arrays = {name: pa.array([row.get(name) for row in rows], pa.large_string()) for name in columns}
    return pa.table(arrays), list(names)


def _spelled(value: Any) -> str | None:
    """A value of JSON as a string: 2 and 2.0 are the same score."""
    if isinstance(value, float):
        return f"{value:g}"
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _read_classes(task: Task, column: pa.ChunkedArray, path: Path) -> NDArray[np.int64]:
    spelling = "{:g}" if pa.types.is_floating(column.type) else "{}"
    values = [spelling.format(value) for value in column.to_pylist()]
    if unknown := sorted(set(values) - set(task.values)):
        raise InputError(
            f"{path}: column {task.column!r} holds {', '.join(unknown[:5])}; allowed: {', '.join(task.values)}"
        )
    return np.array([task.values.index(value) for value in values], np.int64)


def _read_credit(table: pa.Table, column: str) -> list[str]:
    if column not in table.column_names:
        return ["unknown"] * len(table)
    return [str(value) if value is not None else "unknown" for value in table[column].to_pylist()]


def _read_labellers(table: pa.Table) -> list[str]:
    if not {"model", "prompt"} <= set(table.column_names):
        return [""] * len(table)
    return [f"{row['model']}, prompt {row['prompt']}" for row in table.select(["model", "prompt"]).to_pylist()]


_BLANKS: Final = r" \n\r\t\v\f\0"
_LABEL_TOKEN: Final = re.compile(rf"(?:^|(?<=[{_BLANKS}]))__label__[^{_BLANKS}]*")
_END_TOKEN: Final = re.compile(rf"(?:^|(?<=[{_BLANKS}]))</s>(?=[{_BLANKS}]|$)")


def prepare_text(text: str) -> str:
    """A text as one line of a fastText training file.

    Newlines become spaces. Tokens that fastText would read as labels or as the end of the example are treated as in
    prediction: those with the labels' prefix are dropped, `</s>` ends the text.
    """
    text = _END_TOKEN.split(text, maxsplit=1)[0]
    return _LABEL_TOKEN.sub("", text).replace("\n", " ")
