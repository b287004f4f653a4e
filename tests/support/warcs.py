"""WARCs made up for tests, and what the reader says of them."""

import gzip
import io

from swallow_spark.kernels.warc.framing import CarefulReader
from swallow_spark.kernels.warc.members import Window
from swallow_spark.kernels.warc.warc import Damage, Record, read


def record(body: bytes = b"hello", length: int | None = None, tail: bytes = b"\r\n\r\n", extra: bytes = b"") -> bytes:
    head = (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\nWARC-Date: 2025-08-12T03:11:00Z\r\n"
    )
    return head + extra + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body + tail


def zipped(*members: bytes) -> bytes:
    return b"".join(gzip.compress(member, mtime=0) for member in members)


def everything(data: bytes, **options: int) -> list[Record | Damage]:
    return list(read(io.BytesIO(data), **options))


def carefully(data: bytes) -> list[Record | Damage]:
    return list(CarefulReader(Window(io.BytesIO(data)), 1 << 20).items())


def outline(items: list[Record | Damage]) -> list[tuple[int, str] | tuple[int, str, str]]:
    """(offset, block length) of records, (offset, scope, reason) of damages."""
    return [(i.offset, i.scope, i.reason) if isinstance(i, Damage) else (i.offset, len(i.block)) for i in items]
