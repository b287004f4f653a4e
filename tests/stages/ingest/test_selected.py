"""Records fetched by byte range: the same as reading the whole file gives at these offsets."""

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from misbehaving import Web, good, refusing, serving
from places import DEMO_WARCS

from swallow_spark.errors import InputError
from swallow_spark.files.http import HttpClient, Version
from swallow_spark.files.ranges import Ranges
from swallow_spark.kernels.warc import warc
from swallow_spark.stages.ingest.fetched import Request, SelectedRecords, requests

DEMO = DEMO_WARCS[0]
CONTENT = DEMO.read_bytes()[:600_000]
RECORDS = [item for item in warc.read(io.BytesIO(CONTENT)) if isinstance(item, warc.Record)][:-1]


def fetch(location: str, wanted: list[tuple[int, int]], **settings: Any) -> tuple[list[Any], int]:
    offsets, lengths = (np.array(column, np.int64) for column in zip(*wanted, strict=True))
    ranges = Ranges(location, web=HttpClient(), expected=Version())
    how = {"at_once": 3, "max_gap_bytes": 1000, "max_record_bytes": warc.MAX_RECORD_BYTES, **settings}
    selected = SelectedRecords(ranges, offsets, lengths, **how)
    return list(selected), selected.bytes_fetched


@pytest.mark.parametrize("max_gap_bytes", [0, 5_000, 1 << 30])
@pytest.mark.parametrize("over_http", [False, True])
def test_the_same_records(tmp_path: Path, max_gap_bytes: int, over_http: bool) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    some = [record for n, record in enumerate(RECORDS) if n % 5 in (1, 2)]
    with serving(Web(files={"/x": CONTENT})) as web:
        location = f"{web.url}/x" if over_http else str(tmp_path / "x")
        found, num_bytes = fetch(location, [(r.offset, r.length) for r in some], max_gap_bytes=max_gap_bytes)
        assert found == some
        if over_http:
            assert web.bytes_sent == num_bytes
            assert len(web.requests) < len(some) if max_gap_bytes else len(web.requests) > 5
    if not max_gap_bytes:
        assert num_bytes == sum(record.length for record in some)
    elif max_gap_bytes == 1 << 30:
        assert num_bytes == some[-1].offset + some[-1].length - some[0].offset


def test_requests() -> None:
    def cut(records: list[tuple[int, int]], gap: int) -> list[Request]:
        return requests(*(np.array(column, np.int64) for column in zip(*records, strict=True)), gap)

    assert requests(np.zeros(0, np.int64), np.zeros(0, np.int64), 5) == []
    assert cut([(10, 5)], 0) == [Request(0, 1, 10, 15)]
    assert cut([(10, 5), (15, 5), (21, 5)], 0) == [Request(0, 2, 10, 20), Request(2, 3, 21, 26)]
    assert cut([(10, 5), (15, 5), (21, 5)], 1) == [Request(0, 3, 10, 26)]
    assert cut([(10, 50), (15, 5), (70, 5)], 10) == [Request(0, 3, 10, 75)]  # an index that tells a wrong length
    large = 3 << 20
    assert cut([(0, large), (large, large), (2 * large, 9 * large)], 10) == [
        Request(0, 1, 0, large),
        Request(1, 2, large, 2 * large),
        Request(2, 3, 2 * large, 11 * large),
    ]


def test_each_record_asked_for_gives_one_item(tmp_path: Path) -> None:
    first, second, third = RECORDS[3:6]
    broken = bytearray(CONTENT[: third.offset + third.length])
    broken[second.offset + second.length // 2] ^= 0x55
    (tmp_path / "x").write_bytes(broken)
    wanted = [
        (first.offset, first.length),
        (first.offset + 7, 100),  # inside of a record
        (second.offset, second.length),
        (third.offset, third.length - 3),  # too short
        (third.offset + 10, third.length),  # beyond the end of the file
        (third.offset + third.length + 999, 100),
    ]
    found, _ = fetch(str(tmp_path / "x"), wanted)
    scanned = {item.offset: item for item in warc.read(io.BytesIO(bytes(broken)))}
    assert found[0] == first
    assert [item.offset for item in found] == [offset for offset, _ in wanted]
    assert [(i.scope, i.reason) for i in found[1:]] == [
        ("record", "no_record"),
        ("record", scanned[second.offset].reason),
        ("record", "truncated"),
        ("record", "truncated"),
        ("record", "truncated"),
    ]


def test_too_large_by_the_index_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    wanted = [(RECORDS[1].offset, RECORDS[1].length), (RECORDS[2].offset, 1 << 40), (RECORDS[3].offset, 1)]
    found, num_bytes = fetch(str(tmp_path / "x"), wanted, max_gap_bytes=0)
    assert [getattr(item, "reason", "") for item in found] == ["", "record_too_large", "no_record"]
    assert num_bytes <= RECORDS[1].length + 2


def test_plain_members_inside_of_members(tmp_path: Path) -> None:
    """A record that stores a WARC: what is fetched at its offset is that record."""
    inner = CONTENT[: RECORDS[4].offset]
    head = b"WARC/1.0\r\nWARC-Type: resource\r\nContent-Length: %d\r\n\r\n" % len(inner)
    member = gzip.compress(head + inner + b"\r\n\r\n", 0)
    (tmp_path / "x").write_bytes(CONTENT[: RECORDS[4].offset] + member)
    (found,), _ = fetch(str(tmp_path / "x"), [(RECORDS[4].offset, len(member))])
    assert (found.offset, found.length, found.block) == (RECORDS[4].offset, len(member), inner)


def test_a_server_that_breaks_is_asked_again_and_one_that_does_not_serve_ranges_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    wanted = [(record.offset, record.length) for record in RECORDS[::7]]
    with serving(Web(files={"/x": CONTENT})) as web:
        web.orders["/x"] = [refusing(503), good(cut=10), refusing(429), good(cut=0)]
        found, _ = fetch(f"{web.url}/x", wanted)
        assert found == RECORDS[::7]
        web.orders["/x"] = [good(ranges=False) for _ in range(99)]
        with pytest.raises(InputError, match="support range requests"):
            fetch(f"{web.url}/x", wanted)
        with pytest.raises(InputError, match="404"):
            fetch(f"{web.url}/none", wanted)
