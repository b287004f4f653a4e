"""From records to pages: the order of tests, the reasons, the columns, and the truth about the demo's pages."""

import base64
import csv
import gzip
import hashlib
import zlib
from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from places import DEMO_PAGES, DEMO_WARCS

from swallow_spark import tables
from swallow_spark.kernels import japanese
from swallow_spark.kernels.html import html
from swallow_spark.kernels.html.page import Failure, Limits, Page, PassedOver, read_page
from swallow_spark.kernels.warc import http
from swallow_spark.kernels.warc.warc import Record, read

BODY = (
    "<html><head><title>猫の話</title><meta name=robots content=noarchive></head><body><p>"
    + "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 5
    + "</p></body></html>"
)
ENGLISH = b"<html><body><p>" + b"There is nothing in Japanese on this page. " * 9 + b"</p></body></html>"


def record(
    body: bytes, *headers: str, status: str = "HTTP/1.1 200 OK", kind: str = "response", **warc_headers: str
) -> Record:
    block = "\r\n".join([status, *headers, "", ""]).encode() + body
    named = {name.replace("_", "-").lower(): value for name, value in warc_headers.items()}
    return Record(7, 1234, {"warc-type": kind, "content-type": "application/http; msgtype=response", **named}, block)


def compressed(codec: str, data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def test_columns_of_a_page() -> None:
    body = BODY.encode("cp932")
    page = read_page(
        record(
            body,
            "content-type: text/html",
            "X-Robots-Tag: noai",
            "x-robots-tag: bot: nofollow",
            warc_target_uri="https://User@Www.XN--Eckwd4c7c.example.:8080/a?b",
            warc_date="2025-08-12T03:11:00Z",
        ),
        Limits(),
    )
    assert isinstance(page, Page)
    assert page == Page(
        url="https://User@Www.XN--Eckwd4c7c.example.:8080/a?b",
        host="www.xn--eckwd4c7c.example",
        date=datetime(2025, 8, 12, 3, 11, tzinfo=UTC),
        title="猫の話",
        text="吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 5,
        charset="shift_jis",
        language_score=japanese.language_score(page.text),
        num_chars=33 * 5,
        record_length=1234,
        payload_sha1="sha1:" + base64.b32encode(hashlib.sha1(body).digest()).decode(),
        robots="noai; bot: nofollow; noarchive",
        truncated=False,
    )
    assert ["doc_id", *Page._fields] == tables.PAGES.names


def test_page_without_url_date_and_robots() -> None:
    page = read_page(record(BODY.replace("noarchive", "").encode()), Limits())
    assert isinstance(page, Page)
    assert (page.url, page.host, page.date, page.robots, page.truncated) == (None, None, None, None, False)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (record(BODY.encode(), kind="revisit"), "not_a_response"),
        (record(BODY.encode(), kind="conversion"), "not_a_response"),
        (record(b"20250812 192.0.2.1", kind="response", content_type="text/dns"), "not_a_response"),
        (record(BODY.encode(), status="HTTP/1.1 404 Not Found"), "status"),
        (record(BODY.encode(), status="HTTP/2 206"), "status"),
        (record(BODY.encode(), "Content-Type: text/plain; charset=utf-8"), "not_html"),
        (record(b"\x89PNG"), "not_html"),
        (record("ただの文章です。".encode()), "not_html"),
        (record(BODY.encode(), "Content-Type: application/octet-stream"), "not_html"),
        (record(BODY.encode(), "Content-Type: text/html", "Content-Type: text/plain"), "not_html"),
        (record(b"%PDF-1.4", "Content-Type: */*"), "not_html"),
        (record(BODY.encode(), status="HTTP/1.1 100 Continue"), "status"),
        (record(b"", "Content-Type: text/html"), "no_text"),
        (record(b" \r\n "), "no_text"),
        (record("<html lang=ja><title>日本語</title></html>".encode(), "Content-Type: text/html"), "no_text"),
        (record(ENGLISH, "Content-Type: text/html"), "no_sign_of_japanese"),
        (record(ENGLISH.replace(b"<html", b"<html lang=ja"), "Content-Type: text/html"), "not_japanese"),
    ],
)
def test_records_that_are_passed_over(found: Record, reason: str) -> None:
    assert read_page(found, Limits()) == PassedOver(reason)


@pytest.mark.parametrize(
    "content_type",
    [
        *(None, "Text/HTML;charset=x", "application/xhtml+xml", "html", "application/vnd.wap.xhtml+xml"),
        *("text/html, charset=Shift_JIS", "text/html charset=Shift_JIS", "text/html:charset=Shift_JIS", '"text/html"'),
        *("text/html,text/html;charset=Shift_JIS", "text/plain, text/html", "text/html, */*", ";;", "charset=utf-8"),
        *("unknown/unknown", "application/unknown", "*/*", "UNKNOWN/Unknown; charset=utf-8"),
    ],
)
def test_html_by_its_type_or_its_looks(content_type: str | None) -> None:
    headers = [f"Content-Type: {content_type}"] if content_type else []
    page = read_page(record(BODY.encode("cp932"), *headers), Limits())
    assert isinstance(page, Page)
    assert (page.charset, page.text.count("吾輩は猫である")) == ("shift_jis", 5)


@pytest.mark.parametrize(
    "content_type", [None, "*/*", "application/octet-stream", "binary/octet-stream", "text", "text/plain"]
)
def test_html_by_what_the_crawler_found(content_type: str | None) -> None:
    body = BODY.partition("<body>")[2].replace("<p>", "<article>" + "の" * 1_024 + "<p>")  # no tag that tells
    headers = [f"Content-Type: {content_type}"] if content_type else []
    assert read_page(record(body.encode(), *headers), Limits()) == PassedOver("not_html")
    found = read_page(record(body.encode(), *headers, warc_identified_payload_type="Text/HTML"), Limits())
    assert isinstance(found, Page) == (content_type != "text/plain"), "text/plain is shown as text by browsers too"
    other = record(body.encode(), *headers, warc_identified_payload_type="text/plain")
    assert read_page(other, Limits()) == PassedOver("not_html")


@pytest.mark.parametrize(
    ("found", "reason", "detail"),
    [
        (record(b"", status="nonsense"), "bad_http", "no HTTP status line"),
        (record(BODY.encode() + b" " * 2_000), "too_large", "over the limit of 2000"),
        (
            record(BODY.encode().replace("猫".encode(), b"\xff\xfe\x80\x81") * 2),
            "undecodable",
            "characters cannot be read",
        ),
    ],
)
def test_failures(found: Record, reason: str, detail: str) -> None:
    result = read_page(found, Limits(max_html_bytes=2_000))
    assert isinstance(result, Failure)
    assert result.reason == reason
    assert detail in result.detail


NESTED = BODY.replace("<p>", "<div>" * 100_000 + "<p>").encode()


@pytest.mark.parametrize(
    ("found", "limits", "reason"),
    [
        (record(gzip.compress(BODY.encode() + b" " * (2 << 20)), "Content-Encoding: gzip"), Limits(), "inflated_ratio"),
        (
            record(compressed("brotli", BODY.encode() + b" " * (2 << 20)), "Content-Encoding: br"),
            Limits(),
            "inflated_ratio",
        ),
        (record(gzip.compress(BODY.encode())), Limits(max_inflated_bytes=100), "inflated_size"),
        (
            record(gzip.compress(BODY.encode()), "Content-Encoding: gzip"),
            Limits(max_inflated_bytes=400),
            "inflated_size",
        ),
        (record(BODY.encode()), Limits(max_html_bytes=400), "too_large"),
        (record(BODY.encode()), Limits(max_tags=8), "too_many_tags"),
        (record(NESTED), Limits(), "too_deep"),
        (record(NESTED), Limits(max_depth=99_999), "too_deep"),
    ],
)
def test_limits(found: Record, limits: Limits, reason: str) -> None:
    assert read_page(found, limits)[0] == reason


def test_just_within_the_limits() -> None:
    tags, depth = BODY.count("<"), 100_010
    assert isinstance(read_page(record(BODY.encode()), Limits(max_tags=tags, max_html_bytes=len(BODY.encode()))), Page)
    assert isinstance(read_page(record(NESTED), Limits(max_depth=depth)), Page)
    padded = record(gzip.compress(BODY.encode() + b" " * 900_000), "Content-Encoding: gzip")
    assert isinstance(read_page(padded, Limits(max_inflated_ratio=2)), Page)  # small, whatever its ratio


@pytest.mark.parametrize(
    "html",
    {
        "one line": BODY.encode().replace("猫".encode(), "猫である。".encode() * 700_000, 1),
        "attributes": BODY.encode().replace(b"<p>", b"<p" + b" a=1" * 1_000_000 + b">"),
        "NUL": BODY.encode().replace(b"<p>", b"<p>" + b"\0" * 1_000_000),
        "surrogates": BODY.encode().replace(b"<p>", b"<p>&#xd800;&#xdfff;&#55296;&#x110000;&#0;"),
        "unclosed": BODY.encode().replace(b"<p>", b"<!--" * 100_000 + b"--><p>"),
    }.items(),
    ids=lambda named: named[0],
)
def test_hostile_pages_are_read(html: tuple[str, bytes]) -> None:
    page = read_page(record(html[1]), Limits())
    assert isinstance(page, Page)
    assert "吾輩は" in page.text
    assert page.text.encode("utf-8").decode("utf-8") == page.text
    assert "\0" not in page.text


def chunked(data: bytes) -> bytes:
    return (
        b"".join(b"%x\r\n%s\r\n" % (len(data[i : i + 99]), data[i : i + 99]) for i in range(0, len(data), 99))
        + b"0\r\n"
    )


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at >= 0 else flipped(data, len(data) + at)


DRESSES: dict[str, Record] = {
    "chunked": record(chunked(BODY.encode()), "Content-Type: text/html", "Transfer-Encoding: chunked"),
    "gzip": record(gzip.compress(BODY.encode()), "Content-Type: text/html", "Content-Encoding: gzip"),
    "deflate": record(zlib.compress(BODY.encode()), "Content-Type: text/html", "Content-Encoding: deflate"),
    "raw deflate": record(zlib.compress(BODY.encode(), wbits=-15), "Content-Encoding: deflate"),
    "br": record(compressed("brotli", BODY.encode()), "Content-Type: text/html", "Content-Encoding: br"),
    "zstd": record(compressed("zstd", BODY.encode()), "Content-Type: text/html", "Content-Encoding: zstd"),
    "chunked gzip": record(
        chunked(gzip.compress(BODY.encode())), "Content-Encoding: gzip", "Transfer-Encoding: chunked"
    ),
    "gzip that isn't": record(BODY.encode(), "Content-Type: text/html", "Content-Encoding: gzip"),
    "chunked that isn't": record(BODY.encode(), "Content-Type: text/html", "Transfer-Encoding: chunked"),
    "no Content-Type": record(BODY.encode()),
    "two Content-Types": record(BODY.encode(), "Content-Type: text/plain", "Content-Type: text/html"),
    "HTTP/1.0": record(BODY.encode(), "Content-Type: text/html", status="HTTP/1.0 200 OK"),
    "HTTP/2": record(BODY.encode(), "content-type: text/html", status="HTTP/2 200"),
    "lower case": record(BODY.encode(), "content-type: text/html; charset=utf-8", status="http/1.1 200 ok"),
    "HTTP without a version": record(BODY.encode(), "Content-Type: text/html", status="HTTP 200 Document follows"),
    "HTTP/1.x": record(BODY.encode(), "Content-Type: text/html", status="HTTP/1.x 200 OK"),
    "100 before": record(
        BODY.encode(), "", "HTTP/1.1 200 OK", "Content-Type: text/html", status="HTTP/1.1 100 Continue"
    ),
    "line ends written as text": record(
        BODY.encode(), "X: y\r", "Content-Type: text/html\r", status="HTTP/1.1 200 OK\r"
    ),
    "gzip as transfer coding": record(
        chunked(gzip.compress(BODY.encode())), "Content-Type: text/html", "Transfer-Encoding: gzip, chunked"
    ),
}
TRUNCATED: dict[str, Record] = {
    "length": record(BODY.encode()[:-40], "Content-Type: text/html", WARC_Truncated="length"),
    "Time": record(BODY.encode(), "Content-Type: text/html", WARC_Truncated="Time"),
    "chunks": record(chunked(BODY.encode())[:-3], "Transfer-Encoding: chunked"),
    "both": record(gzip.compress(BODY.encode())[:-9], "Content-Encoding: gzip", WARC_Truncated="disconnect"),
    "gzip, wrong CRC-32": record(flipped(gzip.compress(BODY.encode()), -8), "Content-Encoding: gzip"),
    "gzip, wrong size": record(flipped(gzip.compress(BODY.encode()), -1), "Content-Encoding: gzip"),
    "zlib, wrong Adler-32": record(flipped(zlib.compress(BODY.encode()), -1), "Content-Encoding: deflate"),
    "gzip, cut": record(gzip.compress(BODY.encode())[:-20], "Content-Encoding: gzip"),
    "gzip, behind": record(gzip.compress(BODY.encode()) + b"\r\n", "Content-Encoding: gzip"),
    "br, cut": record(compressed("brotli", BODY.encode())[:-9], "Content-Encoding: br"),
    "br, behind": record(compressed("brotli", BODY.encode()) + b"\r\n", "Content-Encoding: br"),
    "zstd, behind": record(compressed("zstd", BODY.encode()) + b"\r\n", "Content-Encoding: zstd"),
}


@pytest.mark.parametrize("found", DRESSES.values(), ids=DRESSES)
def test_a_page_is_the_same_in_whatever_dress(found: Record) -> None:
    plain = read_page(record(BODY.encode(), "Content-Type: text/html"), Limits())
    dressed = read_page(found, Limits())
    assert isinstance(plain, Page)
    assert isinstance(dressed, Page)
    assert dressed == plain


@pytest.mark.parametrize("found", TRUNCATED.values(), ids=TRUNCATED)
def test_pages_that_may_lack_text_are_marked(found: Record) -> None:
    page = read_page(found, Limits())
    assert isinstance(page, Page)
    assert page.truncated
    assert page.text.startswith("吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("headers", [["Content-Type: text/html"], []])
def test_a_page_of_which_nothing_japanese_can_be_decoded_is_a_failure(encoding: str, headers: list[str]) -> None:
    stored = {"gzip": gzip.compress(BODY.encode()), "deflate": zlib.compress(BODY.encode())}.get(encoding)
    stored = stored or compressed({"br": "brotli"}.get(encoding, encoding), BODY.encode())
    found = record(stored[:14], *headers, f"Content-Encoding: {encoding}")
    result = read_page(found, Limits())
    assert isinstance(result, Failure)
    assert result.reason == "bad_encoding"
    assert result.detail.startswith(encoding)


def test_a_page_with_something_behind_it_that_is_not_japanese_is_passed_over() -> None:
    for codec, encoding in (("gzip", "gzip"), ("brotli", "br"), ("zstd", "zstd")):
        found = record(compressed(codec, ENGLISH) + b"\r\n", "Content-Type: text/html", f"Content-Encoding: {encoding}")
        assert read_page(found, Limits()) == PassedOver("no_sign_of_japanese")


def test_some_unreadable_bytes_are_borne() -> None:
    body = BODY.encode().replace("見当".encode(), b"\xe8\xa6", 1)
    assert isinstance(read_page(record(body), Limits()), Page)
    assert isinstance(read_page(record(body), Limits(max_replaced_fraction=0.0)), Failure)


def test_parser_that_fails_costs_that_page_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(html, "extract", fail)
    assert read_page(record(BODY.encode()), Limits()) == Failure("parse_error", "RecursionError: too deep")


@pytest.mark.parametrize("kind", [MemoryError, pa.ArrowMemoryError])
@pytest.mark.parametrize("header", ["Content-Encoding: zstd", "Content-Type: text/html"])
def test_memory_that_a_machine_lacks_is_no_fault_of_the_page(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception], header: str
) -> None:
    """The task fails and is retried."""

    def fail(*_: object) -> None:
        raise kind

    monkeypatch.setattr(html, "extract", fail)
    monkeypatch.setitem(http._DECODERS, "zstd", fail)  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        read_page(record(BODY.encode(), header), Limits())


def test_truth_about_the_demo_pages() -> None:
    with (DEMO_PAGES / "manifest.tsv").open(encoding="utf-8", newline="") as lines:
        truth = {row["record_id"]: row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}
    outcomes: Counter[str] = Counter()
    for path in DEMO_WARCS:
        with path.open("rb") as stream:
            for found in read(stream):
                assert isinstance(found, Record)
                row = truth.pop(found.headers["warc-record-id"], None)
                result = read_page(found, Limits())
                assert not isinstance(result, Failure)
                outcome = "page" if isinstance(result, Page) else result.reason
                outcomes[outcome] += 1
                if row is None:
                    assert found.record_type == "warcinfo"
                    continue
                assert (row["file"], row["url"]) == (path.name, found.url)
                oddity = row["oddity"]
                if outcome == "page":
                    outcomes["page, not Japanese"] += not row["lang"].startswith("ja")
                    if not oddity.startswith("truncated"):
                        assert row["encoding"] == "ascii" or result.charset == row["encoding"], row  # type: ignore[union-attr]
                assert (outcome == "not_a_response") == (row["warc_type"] != "response")
                assert (outcome == "status") == oddity.startswith(("http 3", "http 4", "http 5", "204", "304"))
                assert (outcome == "not_html") == oddity.startswith("not html")
                assert (outcome == "no_text") == (oddity in ("200 empty", "200 spaces"))
    assert not truth
    # Of the 900 Japanese pages some have nothing Japanese but headings and navigation.
    assert outcomes["page"] >= 820
    assert outcomes["page, not Japanese"] <= 3
