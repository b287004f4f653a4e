"""HTTP responses: heads of all kinds, bodies in each encoding, cut, mislabelled and hostile."""

import gzip
import time
import tracemalloc
import zlib

import pyarrow as pa
import pytest

from swallow_spark.kernels.warc import http
from swallow_spark.kernels.warc.http import BadHttpError, Body, Response, TooLargeError, parse

HTML = "<html><title>題名</title><p>本文です。</p></html>".encode() * 50


def response(body: bytes, *headers: str) -> Response:
    return parse("\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode("latin-1") + body)


def body(response: Response, max_bytes: int, max_ratio: int) -> bytes:
    return http.body(response, max_bytes, max_ratio).content


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
        *(
            (b"HTTP 200 Document follows", 200),
            (b"HTTP/1.x 200 OK", 200),
            (b"HTTP/ 1.1 404 x", 404),
            (b"HTTPS/1.1 200", 200),
        ),
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


def test_folded_lines_take_as_long_as_others() -> None:
    blank = parse(b"HTTP/1.1 200 OK\r\nX:\r\n \r\n a\r\n\t\r\n  b \r\nY:\r\n\r\n")
    assert blank.headers == [("x", "a b"), ("y", "")]

    def seconds(line: bytes) -> float:
        found = parse(b"HTTP/1.1 200 OK\nX: " + b"x" * 100_000 + line * 30_000 + b"\n\n")
        start = time.perf_counter()
        assert sum(len(value) for _, value in found.headers) >= 130_000
        return time.perf_counter() - start

    assert min(seconds(b"\n y") for _ in range(3)) < 4 * min(seconds(b"\ny:y") for _ in range(3))


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
        (["Content-Type: text/html, charset=Shift_JIS"], "text/html; charset=Shift_JIS"),
        (["Content-Type: text/html charset=Shift_JIS"], "text/html; charset=Shift_JIS"),
        (["Content-Type: text/html:charset=Shift_JIS"], "text/html; charset=Shift_JIS"),
        (["Content-Type: text/html,text/html;charset=Shift_JIS"], "text/html; charset=Shift_JIS"),
        (["Content-Type: text/html;charset=Shift_JIS,text/html"], "text/html; charset=Shift_JIS"),
        (["Content-Type: Text/HTML;charset=utf-8, text/html;charset=euc-jp"], "text/html; charset=euc-jp"),
        (["Content-Type: text/html;charset=utf-8, text/plain, text/html"], "text/html"),
        (['Content-Type: text/html;x=",text/plain";charset=euc-jp, */*'], "text/html; charset=euc-jp"),
        (['Content-Type: "text/html"'], "text/html"),
        (["Content-Type: text/html, application/pdf"], "application/pdf"),
        (["Content-Type: */*"], "*/*"),
        (["Content-Type: text/html5"], "text/html5"),
        (["Content-Type: text/html5 charset=utf-8"], None),
        (["Content-Type: ,,"], None),
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


@pytest.mark.parametrize("behind", [b"\r\n", b"\0\0\0", b"junk"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_something_behind_the_end(encoding: str, behind: bytes) -> None:
    found = http.body(response(ENCODED[encoding] + behind, f"Content-Encoding: {encoding}"), 1 << 20, 1000)
    assert found.content == HTML
    assert found.damage
    assert found.is_undecodable == (behind == b"junk" and encoding in ("br", "zstd"))


@pytest.mark.parametrize("size", [len(HTML), 300_000])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("at", [-1, -2])
def test_wrong_checksums(encoding: str, at: int, size: int) -> None:
    text = HTML + b"".join(b"%d" % (i * i) for i in range(size - len(HTML)))
    stored = bytearray({"gzip": gzip.compress, "deflate": zlib.compress}[encoding](text))
    stored[at if encoding == "deflate" else at * 4] ^= 1  # Adler-32; the size, CRC-32
    found = http.body(response(bytes(stored), f"Content-Encoding: {encoding}"), 1 << 23, 1000)
    assert found.content == text
    assert found.is_undecodable
    assert "incorrect" in (found.damage or "")


@pytest.mark.parametrize("size", [len(HTML), 400_000])
def test_wrong_checksum_of_zstd(size: int) -> None:
    text = HTML + b"".join(b"%d" % (i * i) for i in range(size - len(HTML)))
    stored = bytearray(compressed("zstd", text) + b"1234")
    stored[4] |= 4  # says that there is a checksum
    found = http.body(response(bytes(stored), "Content-Encoding: zstd"), 1 << 23, 1000)
    assert found.content == text
    assert found.is_undecodable


def test_a_few_bytes_before_a_cut_are_kept() -> None:
    """Though the decoders return nothing of a call that fails."""
    text = "".join(f"<p>段落{i * i * 7919}</p>" for i in range(300)).encode()
    for encoding, least in (("gzip", 1), ("deflate", 1), ("br", 1), ("zstd", 0)):
        stored = {"gzip": gzip.compress(text), "deflate": zlib.compress(text)}.get(encoding)
        stored = stored or compressed({"br": "brotli"}.get(encoding, encoding), text)
        found = http.body(response(stored[: len(stored) // 2], f"Content-Encoding: {encoding}"), 1 << 20, 1000)
        assert found.is_undecodable
        if least:
            assert text.startswith(found.content)
            assert len(found.content) > len(text) // 4
        else:  # a block is decoded as a whole
            assert found.content == stored[: len(stored) // 2]


def test_gzip_and_deflate_are_told_apart_by_their_bytes() -> None:
    for encoding, stored in (("gzip", zlib.compress(HTML)), ("deflate", gzip.compress(HTML))):
        assert http.body(response(stored, f"Content-Encoding: {encoding}"), 1 << 20, 1000) == Body(HTML)


@pytest.mark.parametrize(
    ("size", "is_chunked"),
    [
        *(("%016x", True), ("%X", True), ("%040x", True), ("%x ; name=value", True), ("\t%x", True)),
        *(("g%x", False), ("-%x", False), ("0x%x", False)),
    ],
)
def test_sizes_of_chunks(size: str, is_chunked: bool) -> None:
    stored = b"".join(
        b"%s\r\n%s\r\n" % ((size % len(piece)).encode(), piece) for piece in (HTML[:1_000], HTML[1_000:], b"")
    )
    expected = Body(HTML if is_chunked else stored)
    assert http.body(response(stored, "Transfer-Encoding: chunked"), 1 << 20, 1000) == expected


def test_a_size_beyond_the_body_is_a_cut_chunk() -> None:
    found = http.body(response(b"ffffffffffffffff\r\n<p>", "Transfer-Encoding: chunked"), 1 << 20, 1000)
    assert found == Body(b"<p>", "cut: no last chunk")


@pytest.mark.parametrize(
    "headers",
    [
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: x-gzip", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip, chunked", "Content-Encoding: br"],
        ["Transfer-Encoding: gzip, chunked", "Content-Encoding: gzip"],  # applied once
    ],
)
def test_transfer_codings(headers: list[str]) -> None:
    inner = compressed("brotli", HTML) if "Content-Encoding: br" in headers else HTML
    assert http.body(response(chunked(gzip.compress(inner)), *headers), 1 << 20, 1000) == Body(HTML)


@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r\r\n"])
def test_interim_responses(number: int, line_end: str) -> None:
    interim = ["HTTP/1.1 100 Continue", "", "HTTP/1.1 103 Early Hints", "Link: </style.css>", ""] * number
    block = line_end.join([*interim, "HTTP/1.1 200 OK", "Content-Type: text/html", "", ""]).encode() + HTML
    found = parse(block)
    assert (found.status, found.headers, found.stored_body) == (200, [("content-type", "text/html")], HTML)


def test_interim_response_alone() -> None:
    assert parse(b"HTTP/1.1 100 Continue\r\n\r\n").status == 100
    assert parse(b"HTTP/1.1 101 Switching Protocols\r\n\r\nbytes").stored_body == b"bytes"
    assert parse(b"HTTP/1.1 100 x\r\n\r\n" * 100_000).status == 100
    assert parse(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 404 x\r\n\r\n").stored_body == b"HTTP/1.1 404 x\r\n\r\n"


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
