"""From a WARC record to a page of the corpus, or the reason why it gives none."""

import base64
import hashlib
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from swallow_spark.kernels import japanese
from swallow_spark.kernels.html import charset, html, signs
from swallow_spark.kernels.html.urls import host_of
from swallow_spark.kernels.warc import http, skim
from swallow_spark.kernels.warc.records import Record

VERSION: Final = 3  # raise it when ordinary records give another result
_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
_UNKNOWN_TYPES: Final = frozenset({"unknown/unknown", "application/unknown", "*/*"})  # MIME Sniffing Standard, 7
# What servers say if they don't know; the last two are S3's and Java's word for it.
_VAGUE_TYPES: Final = _UNKNOWN_TYPES | {"application/octet-stream", "binary/octet-stream", "content/unknown"}
_SNIFF_BYTES: Final = 1024
_HTML_START: Final = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|title|meta|frameset|h1|p|div|table|a|br|b|script|style|!--)[\s>/-]",
    re.IGNORECASE,
)
ELAPSED_FACTOR: Final = 20  # for overloaded machines
_TEST_HOSTILE: Final = os.environ.get("SWALLOW_SPARK_TEST_HOSTILE") == "1"  # set by tests only


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on a record and its page."""

    max_record_bytes: int = 64 << 20
    """Bytes of a WARC record's block (`warc.read`)."""
    max_inflated_bytes: int = 64 << 20
    """Bytes after removing HTTP encodings."""
    max_inflated_ratio: int = 200
    """These bytes by the stored bytes, if over a mebibyte. Deflate reaches 1,032; pages 10 to 50."""
    max_html_bytes: int = 16 << 20
    """Bytes of HTML parsed."""
    max_tags: int = 500_000
    """Number of `<` in a page. A block takes up to 700 bytes of memory during extraction."""
    max_depth: int = 50_000
    """Nesting of elements; from html.MAX_DEPTH on they are flattened."""
    max_seconds_per_page: float = 30.0
    """CPU seconds of parsing; after that the process ends (SIGPROF), and a retried task skips the page. Elapsed time is
    limited to ELAPSED_FACTOR times as many seconds (SIGALRM)."""
    max_replaced_fraction: float = 0.05
    """Share of U+FFFD for unreadable bytes among the decoded page's characters: 0 to 1."""


class Page(NamedTuple):
    """A row of `tables.PAGES` without its doc_id."""

    url: str | None
    host: str | None
    date: datetime | None
    title: str
    text: str
    charset: str
    language_score: float
    num_chars: int
    record_length: int
    payload_sha1: str
    """In the form of WARC-Payload-Digest, `sha1:` and base 32, but always of the body without HTTP encodings."""
    robots: str | None
    """X-Robots-Tag headers and meta robots, joined by `; `."""
    truncated: bool
    """Whether text may be missing: the crawler cut the record, or the HTTP encoding is damaged."""


class PassedOver(NamedTuple):
    """A valid record that is not a Japanese page; `reason`: not_a_response, status, not_html, no_text,
    no_sign_of_japanese or not_japanese."""

    reason: str


_NOT_A_RESPONSE: Final = PassedOver("not_a_response")
_STATUS: Final = PassedOver("status")
_NO_SIGN_OF_JAPANESE: Final = PassedOver("no_sign_of_japanese")


class Failure(NamedTuple):
    """A record that might be a page but can't be read; `reason`: bad_http, bad_encoding, inflated_size, inflated_ratio,
    too_large, too_many_tags, too_deep, undecodable, parse_error; from `confined` also crashed and timed_out."""

    reason: str
    detail: str


def read_page(record: Record, limits: Limits) -> Page | PassedOver | Failure:
    """The page in a record: a response with status 200, HTML, with Japanese text. The cheapest tests come first. Raises
    MemoryError, even if others take the memory."""
    if not record.holds_http_response:
        return _NOT_A_RESPONSE
    if seen := skim.skim(record, limits.max_inflated_bytes):
        return _STATUS if seen == skim.STATUS else _NO_SIGN_OF_JAPANESE
    try:
        response = http.parse(record.block)
    except http.BadHttpError as error:
        return Failure("bad_http", str(error))
    if response.status != 200:
        return _STATUS
    media_type = http.media_type(response.content_type or "*/*")
    is_html = media_type in _HTML_TYPES or (media_type in _VAGUE_TYPES and _is_identified(record))
    if not is_html and media_type not in _UNKNOWN_TYPES:
        return PassedOver("not_html")
    try:
        body = http.body(response, limits.max_inflated_bytes, limits.max_inflated_ratio)
    except http.TooLargeError as error:
        return Failure(error.reason, str(error))
    except http.BadHttpError as error:
        return Failure("bad_http", str(error))
    if not body.content or body.content.isspace():
        return _passed_over("no_text", body)
    if not is_html and _HTML_START.search(body.content, 0, _SNIFF_BYTES) is None:
        return _passed_over("not_html", body)
    try:
        return _japanese_page(record, response, body, limits)
    except MemoryError:  # others may take the memory: `confined` finds out
        raise
    except Exception as error:  # noqa: BLE001  # a parser error on hostile HTML must cost only this page
        return Failure("parse_error", f"{type(error).__name__}: {error}")


def _is_identified(record: Record) -> bool:
    """Whether the crawler found the body to be HTML."""
    return http.media_type(record.headers.get("warc-identified-payload-type", "")) in _HTML_TYPES


def _passed_over(reason: str, body: http.Body) -> PassedOver | Failure:
    """The verdict on a body, unless a part of it, which may be Japanese, can't be decoded."""
    return Failure("bad_encoding", body.damage or "") if body.is_undecodable else PassedOver(reason)


def _japanese_page(
    record: Record, response: http.Response, stored: http.Body, limits: Limits
) -> Page | PassedOver | Failure:
    body, content_type = stored.content, response.content_type
    if not signs.may_be_japanese(body, content_type):
        return _passed_over("no_sign_of_japanese", stored)
    if len(body) > limits.max_html_bytes:
        return Failure("too_large", f"{len(body)} bytes of HTML, over the limit of {limits.max_html_bytes}")
    if (num_tags := body.count(b"<")) > limits.max_tags:
        return Failure("too_many_tags", f"{num_tags} tags, over the limit of {limits.max_tags}")
    with _watched(limits.max_seconds_per_page):
        if _TEST_HOSTILE:
            _obey(body)
        # A page can't nest deeper than it has tags: only the few that may be too deep are decoded for this.
        depth = html.depth(body.decode("latin-1"), limits.max_depth) if num_tags > limits.max_depth else 0
        if depth > limits.max_depth:
            return Failure("too_deep", f"elements nest {depth} deep, over the limit of {limits.max_depth}")
        extracted = html.extract(body, content_type)
    if extracted.num_replaced:
        num_decoded = len(charset.decode(body, content_type).text)
        if extracted.num_replaced > limits.max_replaced_fraction * num_decoded:
            detail = f"{extracted.num_replaced} of {num_decoded} characters cannot be read as {extracted.charset}"
            return Failure("undecodable", detail)
    if not extracted.text.strip():
        return _passed_over("no_text", stored)
    if not japanese.is_japanese_page(extracted.text, extracted.page_text, extracted.lang):
        return _passed_over("not_japanese", stored)
    robots = response.values("x-robots-tag") + ([extracted.robots] if extracted.robots else [])
    return Page(
        url=record.url,
        host=host_of(record.url) if record.url else None,
        date=record.date,
        title=extracted.title,
        text=extracted.text,
        charset=extracted.charset,
        language_score=japanese.language_score(extracted.text),
        num_chars=len(extracted.text),
        record_length=record.length,
        payload_sha1="sha1:" + base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode("ascii"),
        robots="; ".join(robots) or None,
        truncated="warc-truncated" in record.headers or stored.damage is not None,
    )


@contextmanager
def _watched(seconds: float) -> Iterator[None]:
    """Ends this process if the block takes too long: a parser can't be interrupted in any other way."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, ELAPSED_FACTOR * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _obey(body: bytes) -> None:
    """For tests: does to this process what a hostile page might, by a marker in the page."""
    if b"<!--swallow-spark-test:crash-->" in body:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"<!--swallow-spark-test:eat-->" in body:
        bytearray(1 << 62)  # more than any address space has, so nothing is ever mapped
    while b"<!--swallow-spark-test:hang-->" in body:
        pass
