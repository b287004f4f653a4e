"""Mutated pages and WARCs: nothing raises, and the quick way to read agrees with the careful one.

Each run takes the same few hundred; SWALLOW_SPARK_FUZZ_SEED and _ROUNDS choose others, or more.
"""

import io
import os
import random

from mutations import mutated
from places import DEMO_WARCS

from swallow_spark.kernels.html.page import Failure, Limits, Page, read_page
from swallow_spark.kernels.warc import http, ranges
from swallow_spark.kernels.warc.framing import CarefulReader
from swallow_spark.kernels.warc.members import Window
from swallow_spark.kernels.warc.warc import Record, read

DEMO = DEMO_WARCS[0].read_bytes()
RECORDS = [item for item in read(io.BytesIO(DEMO)) if isinstance(item, Record)]
BODIES = [
    http.parse(r.block).stored_body for r in RECORDS if r.record_type == "response" and 500 < len(r.block) < 20_000
]
SEED = int(os.environ.get("SWALLOW_SPARK_FUZZ_SEED", "1"))
ROUNDS = int(os.environ.get("SWALLOW_SPARK_FUZZ_ROUNDS", "150"))
LIMIT = 1 << 24


def test_pages() -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html%s\r\n\r\n" % chance.choice(
            (b"", b";charset=cp932", b";charset=x")
        )
        block = head + mutated(chance.choice(BODIES), BODIES, chance)
        page = read_page(Record(0, 1, {"warc-type": "response"}, block), Limits())
        assert not isinstance(page, Failure) or page.reason == "undecodable", (page, block)
        if isinstance(page, Page):
            assert "\n\n" not in page.text, block
            assert page.text.encode("utf-8").decode("utf-8") == page.text, block


def test_warcs() -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        first = chance.randrange(len(RECORDS) - 6)
        part = DEMO[RECORDS[first].offset : RECORDS[first + 5].offset]
        data = mutated(part, [part], chance)
        items = list(read(io.BytesIO(data), max_record_bytes=LIMIT))
        assert items == list(CarefulReader(Window(io.BytesIO(data)), LIMIT).items()), data
        offsets = [item.offset for item in items if isinstance(item, Record)]
        assert offsets == sorted(set(offsets)), data
        records, met = in_ranges(data)
        assert not met or records == items, data
        assert in_ranges(part) == (list(read(io.BytesIO(part))), True), "as it was before"


def in_ranges(data: bytes) -> tuple[list[Record], bool]:
    readers = [ranges.RangeReader(io.BytesIO(data), *border, LIMIT) for border in ranges.cut(len(data), 1, 4)]
    records = [record for reader in readers for record in reader]
    return records, ranges.meet([reader.span for reader in readers])
