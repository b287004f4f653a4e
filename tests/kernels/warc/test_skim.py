"""The quick verdict equals that of `read_page` without it, record by record, and covers nearly all records."""

import gzip
import io
import random

import pytest
from mutations import mutated
from places import DEMO_WARCS

from swallow_spark.kernels.html.page import Limits, PassedOver, read_page
from swallow_spark.kernels.warc import skim
from swallow_spark.kernels.warc.warc import Record, read

HTML = b"<html><p>Nothing in Japanese.</p></html>"
SKIM = skim.skim  # `slowly` takes it away from read_page
REASONS = {skim.STATUS: PassedOver("status"), skim.NO_SIGN_OF_JAPANESE: PassedOver("no_sign_of_japanese")}


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skim, "skim", lambda *_: skim.UNSURE)


def first_sight(block: bytes, max_bytes: int = 1 << 26) -> PassedOver | None:
    """The quick verdict, wherever the block is in memory."""
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n" % len(block)
    (whole,) = read(io.BytesIO(gzip.compress(head + block + b"\r\n\r\n")))
    assert isinstance(whole, Record)
    seen = SKIM(whole, max_bytes)
    assert seen == SKIM(Record(0, 1, {"warc-type": "response"}, block), max_bytes)
    return REASONS.get(seen)


def test_demo_records(slowly: None) -> None:
    sure = unsure = 0
    for path in DEMO_WARCS:
        for record in read(io.BytesIO(path.read_bytes())):
            assert isinstance(record, Record)
            if not record.holds_http_response:
                continue
            seen, found = REASONS.get(SKIM(record, 1 << 26)), read_page(record, Limits())
            assert seen in (None, found)
            if found in REASONS.values():
                sure += seen is not None
                unsure += seen is None
    assert sure > 9 * unsure


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html", "no_sign_of_japanese"),
        ("http/2 200\ncontent-type:application/XHTML+xml ; charset=x\nx", "no_sign_of_japanese"),
        ("HTTP/1.1 404 Not Found", "status"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html", None),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=x,text/plain", None),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip", None),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked", None),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Type: text/html", None),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n charset=x", None),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/plain", None),
        ("HTTP/1.1 200 OK", None),
        ("HTTP/1.1 2000 OK\r\nContent-Type: text/html", None),
        ("HTTP/1.1 20", None),
        ("HTTP/.1 404 x", None),
        ("HTTP/ 404 x", None),
        ("ICY 404 x", None),
    ],
)
def test_heads(head: str, expected: str | None, slowly: None) -> None:
    block = head.encode() + (b"\r\n\r\n" if "\r\n" in head else b"\n\n") + HTML
    seen = first_sight(block)
    assert seen == (PassedOver(expected) if expected else None)
    assert seen in (None, read_page(Record(0, 1, {"warc-type": "response"}, block), Limits()))


def test_bodies() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
    assert first_sight(head + HTML, len(HTML)) == PassedOver("no_sign_of_japanese")
    assert first_sight(head + HTML, len(HTML) - 1) is None
    for body in (b"", b" \r\n", b" \x0b", HTML + "かなだ".encode(), b"<html lang=ja>" + HTML):
        assert first_sight(head + body) is None
    assert first_sight(head.replace(b"\r\n\r\n", b"\r\n")) is None


def test_mutated_records(slowly: None) -> None:
    chance = random.Random(5)
    blocks = [
        item.block
        for item in read(io.BytesIO(DEMO_WARCS[0].read_bytes()))
        if isinstance(item, Record) and item.holds_http_response and len(item.block) < 5_000
    ]
    sure = 0
    for _ in range(400):
        block = mutated(chance.choice(blocks)[: chance.choice((150, 400, 5_000))], blocks, chance)
        seen = first_sight(block)
        sure += seen is not None
        assert seen in (None, read_page(Record(0, 1, {"warc-type": "response"}, block), Limits())), block
    assert sure > 20
