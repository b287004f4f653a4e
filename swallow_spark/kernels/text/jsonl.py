"""JSON lines, plain or compressed with gzip or zstd, one at a time."""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pyarrow as pa

_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CHUNK_BYTES: Final = 1 << 20


class Line(NamedTuple):
    """A line that isn't blank; numbers begin at 1. `problem`: why it has no value, as (reason, detail)."""

    number: int
    length: int  # in bytes; the limit for a line that is too long
    value: Any = None
    problem: tuple[str, str] | None = None


def read(stream: Any, *, max_line_bytes: int = sys.maxsize) -> Iterator[Line]:
    """The lines of a seekable PyArrow stream. Raises OSError or pyarrow.ArrowException if it is damaged."""
    magic = stream.read(4)
    stream.seek(0)
    codec = next((name for start, name in _MAGIC.items() if magic.startswith(start)), None)
    if codec:
        stream = pa.CompressedInputStream(stream, codec)
    for number, line in enumerate(_lines(stream, max_line_bytes), 1):
        if line is None:
            yield Line(number, max_line_bytes, problem=("record_too_large", f"over {max_line_bytes} bytes"))
        elif line.strip():
            try:
                yield Line(number, len(line), json.loads(line))
            except (ValueError, RecursionError) as error:
                yield Line(number, len(line), problem=("not_json", str(error)[:200]))


def objects(stream: Any) -> Iterator[dict[str, Any]]:
    """The objects of a seekable PyArrow stream. Raises ValueError for a line without one, and what `read` raises."""
    for line in read(stream):
        if line.problem:
            raise ValueError(f"line {line.number}: {line.problem[1]}")
        if not isinstance(line.value, dict):
            raise ValueError(f"line {line.number}: not a JSON object")
        yield line.value


def _lines(stream: Any, limit: int) -> Iterator[bytes | None]:
    """The lines of a stream; None for a line longer than `limit`."""
    rest, skipping = b"", False
    while chunk := stream.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield None if skipping or len(line) > limit else line
            skipping = False
        if len(rest) > limit:
            rest, skipping = b"", True
    if rest or skipping:
        yield None if skipping or len(rest) > limit else rest
