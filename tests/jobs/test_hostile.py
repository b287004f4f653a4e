"""Pages that crash and hang the parser, and eat memory, in a whole run: they are failures, and every other page comes
out."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from swallow_spark.corpus.corpus import Corpus

NUM_GOOD = 12


def member(number: int, marker: str = "") -> bytes:
    text = f"第{number}回。" + "吾輩は猫である。名前はまだ無い。" * 9
    html = f"<html><title>猫</title><body>{marker and f'<!--swallow-spark-test:{marker}-->'}<p>{text}</p></body></html>"
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html.encode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://example.jp/{number}\r\n"
    head += f"WARC-Date: 2025-08-12T00:00:00Z\r\nContent-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
    return gzip.compress(head.encode() + block + b"\r\n\r\n")


@pytest.fixture
def warc(tmp_path: Path) -> tuple[Path, dict[str, int]]:
    """A WARC of good pages with three hostile ones among them, and where these are."""
    offsets, data = {}, b""
    for number in range(NUM_GOOD):
        marker = {4: "crash", 6: "eat", 8: "hang"}.get(number, "")
        if marker:
            offsets[marker] = len(data)
            data += member(number, marker)
        data += member(number)
    path = tmp_path / "hostile.warc.gz"
    path.write_bytes(data)
    return path, offsets


def test_hostile_pages_cost_themselves_only(warc: tuple[Path, dict[str, int]], tmp_path: Path) -> None:
    path, offsets = warc
    corpus = tmp_path / "corpus"
    command = [sys.executable, "-m", "swallow_spark.cli", "ingest", "--corpus", str(corpus), "--crawl", "hostile"]
    command += ["--master", "local[1,4]", "--set", "ingest.max_seconds_per_page=2", "--json", str(path)]
    run = subprocess.run(
        command,
        env={**os.environ, "SWALLOW_SPARK_TEST_HOSTILE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    summary = json.loads(run.stdout)
    assert (summary["records"], summary["pages"]) == (NUM_GOOD + 3, NUM_GOOD)
    assert summary["failures"] == {"crashed": 2, "timed_out": 1}
    files = Corpus.open(str(corpus)).manifests("ingest")[0].files
    rows = {
        table: [row for file in files if file.table == table for row in pq.read_table(corpus / file.path).to_pylist()]
        for table in ("pages", "failures")
    }
    assert sorted(row["url"] for row in rows["pages"]) == sorted(f"https://example.jp/{n}" for n in range(NUM_GOOD))
    failures = {(row["offset"], row["scope"], row["reason"]) for row in rows["failures"]}
    reasons = {"crash": "crashed", "eat": "crashed", "hang": "timed_out"}
    assert failures == {(offsets[what], "record", reason) for what, reason in reasons.items()}
