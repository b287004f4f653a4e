"""HTTP responses as crawlers store them: the head, and the body without its transfer and content encodings.

Common Crawl stores decoded bodies and renames the headers of their encodings (X-Crawl-Content-Encoding). Other crawlers
store what came over the wire, and some store decoded bodies with headers that still declare an encoding. So a declared
encoding is tried, and a body that does not have it is used unchanged.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import pyarrow as pa

from swallow_spark.kernels.warc.heads import ABSENT, HeadSpans, names, scan_head

MAX_HEAD_BYTES: Final = 256 << 10
MAX_ENCODINGS: Final = 4  # in Content-Encoding; pages have one
FIELDS: Final = names("content-type", "content-encoding", "transfer-encoding")
_ANY_RATIO_BYTES: Final = 1 << 20  # up to this size any ratio is allowed
_CHUNK_BYTES: Final = 64 << 10
_STATUS_LINE: Final = re.compile(rb"\s*(?:HTTP/\d+(?:\.\d+)?|ICY)[ \t]+(\d{3})(?![0-9])", re.IGNORECASE)
_CHUNK_SIZE: Final = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,4096})?\r?\n")
_LOOKS_LIKE_HTML: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?a-zA-Z]")


class BadHttpError(Exception):
    """A block that does not begin with the head of an HTTP response."""


class TooLargeError(Exception):
    """A body over a limit, as stored or decoded; `reason`: inflated_size or inflated_ratio."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(slots=True)
class Response:
    """An HTTP response."""

    status: int
    block: bytes
    """As stored, with its head."""
    spans: HeadSpans
    """Positions of head, body, Content-Type, Content-Encoding and Transfer-Encoding."""

    @property
    def stored_body(self) -> bytes:
        """The body, still encoded."""
        return self.block[self.spans.body :]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """(lower-case name, value) in order."""
        headers: list[tuple[str, str]] = []
        for line in self.block[: self.spans.end].decode("latin-1").split("\n")[1:]:
            name, colon, value = line.partition(":")
            if line[:1] in (" ", "\t") and headers:  # folded
                headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}".strip())
            elif colon:
                headers.append((name.rstrip().lower(), value.strip()))
        return headers

    def values(self, name: str) -> list[str]:
        """The values of a header, by lower-case name, without empty ones."""
        return [value for key, value in self.headers if key == name and value]

    @property
    def content_type(self) -> str | None:
        """The Content-Type; the last valid one, as in browsers. An earlier one of the same type may add the charset."""
        spans = self.spans
        if spans.first_start == ABSENT:
            return None
        if spans.first_start >= 0:  # nearly always
            value = self.block[spans.first_start : spans.first_end].decode("latin-1").strip()
            return value if "/" in value else None
        usable = [value for value in self.values("content-type") if "/" in value]
        if not usable:
            return None
        with_charset = [v for v in usable if "charset=" in v.lower() and media_type(v) == media_type(usable[-1])]
        return with_charset[-1] if with_charset else usable[-1]


def media_type(content_type: str) -> str:
    """`text/html` of `Text/HTML; charset=x`."""
    return content_type.partition(";")[0].strip().lower()


def parse(block: bytes) -> Response:
    """The response in a WARC record's block, or BadHttpError. Accepts any HTTP version, bare LF line ends, folded and
    malformed header lines and a head without an end."""
    status_line = _STATUS_LINE.match(block, 0, 1024)
    if status_line is None:
        raise BadHttpError(f"no HTTP status line: {block[:40]!r}")
    spans = scan_head(block, status_line.end(), MAX_HEAD_BYTES, FIELDS)
    if spans.end < 0:
        if len(block) > MAX_HEAD_BYTES:
            raise BadHttpError(f"the HTTP head does not end within {MAX_HEAD_BYTES} bytes")
        spans = spans._replace(end=len(block), body=len(block))
    return Response(int(status_line[1]), block, spans)


def body(response: Response, max_bytes: int, max_ratio: int) -> bytes:
    """The body without chunks and content encodings (gzip, deflate, br, zstd): at most `max_bytes`, and if over a
    mebibyte, at most `max_ratio` times as long as stored.

    A truncated body is decoded as far as possible. Raises TooLargeError without decoding more than the limit, and
    BadHttpError for more than `MAX_ENCODINGS`.
    """
    data = response.stored_body
    if response.spans.second_start == response.spans.third_start == ABSENT:
        if len(data) > max_bytes:
            raise TooLargeError("inflated_size", f"{len(data)} bytes, over the limit of {max_bytes}")
        return data
    if any("chunked" in value.lower() for value in response.values("transfer-encoding")):
        data = _without_chunks(data)
    encodings = [e.strip().lower() for value in response.values("content-encoding") for e in value.split(",")]
    encodings = [e.removeprefix("x-") for e in encodings if e.removeprefix("x-") in _DECODERS]
    if len(encodings) > MAX_ENCODINGS:
        raise BadHttpError(f"{len(encodings)} content encodings")
    ratio_bytes = max(max_ratio * len(data), _ANY_RATIO_BYTES)
    for encoding in reversed(encodings):
        data = _decoded(data, encoding, max_bytes, ratio_bytes)
    if len(data) > max_bytes:
        raise TooLargeError("inflated_size", f"{len(data)} bytes, over the limit of {max_bytes}")
    return data


def _without_chunks(data: bytes) -> bytes:
    """The joined chunks; `data` itself if it does not begin with a chunk."""
    parts: list[bytes] = []
    at = 0
    while size := _CHUNK_SIZE.match(data, at):
        length = int(size[1], 16)
        if length == 0:
            break
        parts.append(data[size.end() : size.end() + length])
        at = size.end() + length
        if data[at : at + 2] == b"\r\n":
            at += 2
        elif data[at : at + 1] == b"\n":
            at += 1
        elif at < len(data):  # no chunk ends here: these are not sizes
            if len(parts) == 1:
                return data
            break
    return b"".join(parts) if at or size else data


def _decoded(data: bytes, encoding: str, max_bytes: int, ratio_bytes: int) -> bytes:
    """`data` decoded, or unchanged if it does not have this encoding."""
    parts: list[bytes] = []
    size = 0
    try:
        for part in _DECODERS[encoding](data):
            size += len(part)
            if size > min(max_bytes, ratio_bytes):
                reason = "inflated_size" if size > max_bytes else "inflated_ratio"
                limit = min(max_bytes, ratio_bytes)
                raise TooLargeError(reason, f"over {limit} bytes once decoded ({encoding}, {len(data)} stored)")
            parts.append(part)
    except MemoryError:  # Arrow's is an ArrowException too
        raise
    except (zlib.error, OSError, pa.ArrowException):
        # Truncated, damaged or never encoded: any output so far is kept, unless the data is HTML itself.
        if not size or _LOOKS_LIKE_HTML.match(data):
            return data
    return b"".join(parts)


def _inflate(data: bytes, window_bits: int) -> Iterator[bytes]:
    while data:
        inflater = zlib.decompressobj(window_bits)
        while not inflater.eof:
            part = inflater.decompress(data, _CHUNK_BYTES)
            data = inflater.unconsumed_tail
            if not part and not data and not inflater.eof:
                raise zlib.error("cut")
            yield part
        data = inflater.unused_data
        if window_bits < 16 or not data.startswith(b"\x1f\x8b"):  # gzip may have several members
            return


def _undeflate(data: bytes) -> Iterator[bytes]:
    """Deflate in zlib's frame, as in the RFC, or raw, as some servers send it."""
    framed = len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    return _inflate(data, zlib.MAX_WBITS if framed else -zlib.MAX_WBITS)


def _by_arrow(data: bytes, codec: str) -> Iterator[bytes]:
    with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
        while part := stream.read(_CHUNK_BYTES):
            yield part


_DECODERS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "gzip": partial(_inflate, window_bits=16 + zlib.MAX_WBITS),
    "deflate": _undeflate,
    "br": partial(_by_arrow, codec="brotli"),
    "zstd": partial(_by_arrow, codec="zstd"),
}
