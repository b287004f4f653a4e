"""HTTP responses: heads of all kinds, bodies in each encoding, cut, mislabelled and hostile."""

import gzip
import tracemalloc
import zlib

import pyarrow as pa
import pytest

from swallow_spark.kernels.warc.http import BadHttpError, Response, TooLargeError, body, parse

HTML = "<html><title>題名</title><p>本文です。</p></html>".encode() * 50


def response(body: bytes, *headers: str) -> Response:
    return parse("\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode("latin-1") + body)


def compressed(codec: str, data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def chunked(data: bytes, size: int = 700) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: x\r\n\r\n"


ENCODED = {
    "gzip": gzip.compress(HTML),
    "x-gzip": gzip.compress(HTML),
    "GZIP": gzip.compress(HTML[:100]) + gzip.compress(HTML[100:]),
    "deflate": zlib.compress(HTML),
    " deflate ": raw_deflate(HTML),
    "br": compressed("brotli", HTML),
    "zstd": compressed("zstd", HTML),
    "gzip, br": compressed("brotli", gzip.compress(HTML)),
    "identity": HTML,
    "utf-8": HTML,
    "": HTML,
}


@pytest.mark.parametrize(
    ("line", "status"),
    [
        *((b"HTTP/1.1 200 OK", 200), (b"HTTP/1.0 404", 404), (b"HTTP/2 200", 200), (b"HTTP/2.0 301 \xe3\x81\x82", 301)),
        *((b"http/1.1 200 ok", 200), (b"ICY 200 OK", 200), (b"\r\nHTTP/1.1  503 x", 503)),
    ],
)
def test_status_lines(line: bytes, status: int) -> None:
    found = parse(line + b"\r\nA: b\r\n\r\nbody")
    assert (found.status, found.headers, found.stored_body) == (status, [("a", "b")], b"body")


@pytest.mark.parametrize(
    "block", [b"", b"<html>", b"HTTP/1.1", b"HTTP/1.1 20", b"HTTP/1.1 2000", b"GET / HTTP/1.1", b"\0" * 99]
)
def test_no_http(block: bytes) -> None:
    with pytest.raises(BadHttpError):
        parse(block)


def test_odd_heads() -> None:
    found = parse(b"HTTP/1.1 200 OK\nCONTENT-TYPE:text/html\nX: a\n b\nno colon\n: nameless\nX:c\n\n\n\r\nbody")
    assert found.content_type == "text/html"
    assert found.values("x") == ["a b", "c"]
    assert found.stored_body == b"\n\r\nbody"
    assert parse(b"HTTP/1.1 200 OK\r\nA: b").stored_body == b""
    with pytest.raises(BadHttpError, match="does not end"):
        parse(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        (["content-type: "], None),
        (["Content-Type: html"], None),
        (["Content-Type: text/html", "content-type: text/plain"], "text/plain"),
        (["Content-Type: text/html", "Content-Type: html"], "text/html"),
        (["Content-Type: text/html; charset=euc-jp", "Content-Type: text/html"], "text/html; charset=euc-jp"),
        (["Content-Type: text/plain; charset=euc-jp", "Content-Type: text/html"], "text/html"),
    ],
)
def test_content_type(headers: list[str], expected: str | None) -> None:
    assert response(b"", *headers).content_type == expected


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("chunks", [False, True])
def test_encodings(encoding: str, chunks: bool) -> None:
    stored = chunked(ENCODED[encoding]) if chunks else ENCODED[encoding]
    headers = [f"Content-Encoding: {encoding}"] + ["transfer-encoding: Chunked"] * chunks
    assert body(response(stored, *headers), 1 << 20, 1000) == HTML


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_body_that_is_not_what_its_header_says(encoding: str) -> None:
    headers = ["Transfer-Encoding: chunked", f"Content-Encoding: {encoding}", "Content-Encoding: " + encoding]
    for data in (HTML, b"", b"\n <p>", "ただの文".encode("cp932"), b"abc", b"fff\r\n", b"5\r\n<p>5 is no size</p>"):
        expected = data.removeprefix(b"fff\r\n")  # might be the size of a chunk that was cut
        assert body(response(data, *headers), 1 << 20, 1000) == expected


def test_headers_that_common_crawl_renamed_are_not_applied() -> None:
    found = response(HTML, "X-Crawl-Content-Encoding: gzip", "X-Crawl-Transfer-Encoding: chunked")
    assert body(found, 1 << 20, 1000) == HTML


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_cut_bodies_give_what_is_there(encoding: str) -> None:
    text = "".join(f"<p>段落{i * i * 7919}</p>" for i in range(40_000)).encode()
    codec = {"br": "brotli", "deflate": None, "gzip": "gzip", "zstd": "zstd"}[encoding]
    stored = compressed(codec, text) if codec else zlib.compress(text)
    found = body(response(stored[: len(stored) * 9 // 10], f"Content-Encoding: {encoding}"), 1 << 21, 1000)
    assert text.startswith(found)
    assert len(found) > len(text) // 2


def test_cut_chunks() -> None:
    stored = chunked(HTML, 1_000)
    for size in range(1, len(stored), 97):
        assert HTML.startswith(body(response(stored[:size], "Transfer-Encoding: chunked"), 1 << 20, 1000)) or size < 6


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_bombs_stop_at_the_limit(encoding: str) -> None:
    codec = {"br": "brotli", "deflate": None, "gzip": "gzip", "zstd": "zstd"}[encoding]
    bomb = b"\0" * (100 << 20)
    found = response(compressed(codec, bomb) if codec else zlib.compress(bomb), f"Content-Encoding: {encoding}")
    del bomb
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(TooLargeError):
        body(found, 1 << 20, 1 << 20)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    assert pa.total_allocated_bytes() - before < 16 << 20
    tracemalloc.stop()


def test_limit_is_of_the_decoded_body() -> None:
    assert body(response(HTML), len(HTML), 1000) == HTML
    for stored, *headers in ((HTML,), (ENCODED["gzip"], "Content-Encoding: gzip")):
        with pytest.raises(TooLargeError):
            body(response(stored, *headers), len(HTML) - 1, 1000)
    with pytest.raises(BadHttpError):
        body(response(HTML, "Content-Encoding: " + "gzip, " * 50), 1 << 20, 1000)
