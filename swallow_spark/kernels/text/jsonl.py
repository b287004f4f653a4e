"""JSON lines, plain or compressed with gzip or zstd, one at a time."""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pyarrow as pa

from swallow_spark.kernels.text.packed import unpacked

_MAX_LINE_BYTES: Final = 1 << 30
_BLANK: Final = b"\0 \t\n\r\v\f"  # NULs: padding behind the last line


class Line(NamedTuple):
    """A line that isn't blank; numbers begin at 1. `problem`: why it has no value, as (reason, detail)."""

    number: int
    length: int  # in bytes; the limit for a line that is too long
    value: Any = None
    problem: tuple[str, str] | None = None


def read(stream: Any, *, max_line_bytes: int = _MAX_LINE_BYTES) -> Iterator[Line]:
    """The lines of a stream (with `read`). Raises OSError or pyarrow.ArrowException where it is cut or damaged, after
    all whole lines before."""
    yield from of_pieces(unpacked(stream), max_line_bytes)


def of_pieces(pieces: Iterator[bytes], max_line_bytes: int) -> Iterator[Line]:
    """The lines of what comes in pieces, unpacked; as `read`."""
    for number, line in enumerate(_lines(pieces, max_line_bytes), 1):
        if line is None:
            yield Line(number, max_line_bytes, problem=("record_too_large", f"over {max_line_bytes} bytes"))
        elif line.strip(_BLANK):
            try:
                yield Line(number, len(line), json.loads(line))
            except (ValueError, RecursionError) as error:
                yield Line(number, len(line), problem=("not_json", str(error)[:200]))


def objects(stream: Any) -> Iterator[dict[str, Any]]:
    """The objects of a stream (with `read`). Raises ValueError for a line without one, and what `read` raises."""
    for line in read(stream):
        if line.problem:
            raise ValueError(f"line {line.number}: {line.problem[1]}")
        if not isinstance(line.value, dict):
            raise ValueError(f"line {line.number}: not a JSON object")
        yield line.value


def _lines(pieces: Iterator[bytes], limit: int) -> Iterator[bytes | None]:
    """The lines of a stream that comes in pieces; None for a line longer than `limit`."""
    parts: list[bytes] = []  # of the line that goes on in the next piece
    size = 0
    try:
        for piece in pieces:
            first, *lines = piece.split(b"\n")
            parts.append(first if size <= limit else b"")
            size += len(first)
            for line in lines:
                yield None if size > limit else b"".join(parts)
                parts, size = [line], len(line)
            if size > limit:
                parts = []
    except (OSError, pa.ArrowException):
        if size <= limit and _is_object(line := b"".join(parts)):  # only its line end is missing
            yield line
        raise
    if size:
        yield None if size > limit else b"".join(parts)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
