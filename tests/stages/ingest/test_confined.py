"""Pages read in a child process: the same results, and what ends the child costs one page."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from places import DEMO_WARCS

from swallow_spark.kernels.html.page import Failure, Limits, Page, PassedOver, read_page
from swallow_spark.kernels.warc.warc import Record, read
from swallow_spark.stages.ingest import confined
from swallow_spark.stages.ingest.confined import MEMORY_BYTES, ConfinedReader

CRASH, HANG = (f"<!--swallow-spark-test:{what}-->" for what in ("crash", "hang"))


def record(marker: str = "") -> Record:
    html = f"<html><title>猫</title><body>{marker}<p>{'吾輩は猫である。名前はまだ無い。' * 9}</p></body></html>"
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html.encode()
    return Record(0, len(block), {"warc-type": "response"}, block)


def test_same_results_as_in_process() -> None:
    with DEMO_WARCS[0].open("rb") as stream, ConfinedReader(Limits()) as reader:
        for found in [item for item in read(stream) if isinstance(item, Record)][:150]:
            assert reader.read_page(found) == read_page(found, Limits())


def test_limits_hold_in_the_child() -> None:
    with ConfinedReader(Limits(max_html_bytes=100)) as reader:
        assert reader.read_page(record())[0] == "too_large"


def test_a_page_that_ends_the_child_costs_that_page_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWALLOW_SPARK_TEST_HOSTILE", "1")
    with ConfinedReader(Limits(max_seconds_per_page=0.5)) as reader:
        results = [reader.read_page(record(marker)) for marker in ("", CRASH, "", HANG, CRASH, "")]
    page = read_page(record(), Limits())
    assert isinstance(page, Page)
    crashed = Failure("crashed", "parsing ended the process (signal SIGSEGV)")
    timed_out = Failure("timed_out", "parsing took more than 0.5 CPU seconds")
    lengths = [r.record_length for r in results if isinstance(r, Page)]
    assert lengths == [page.record_length] * 3
    assert [r for r in results if isinstance(r, Failure)] == [crashed, timed_out, crashed]


def test_markers_are_comments_where_no_test_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWALLOW_SPARK_TEST_HOSTILE", raising=False)
    with ConfinedReader(Limits()) as reader:
        for marker in (CRASH, HANG):
            assert reader.read_page(record(marker)) == read_page(record(marker), Limits())


@pytest.mark.parametrize(
    ("hostile", "expected"), [("pass", signal.SIGPROF), ("page._obey = lambda body: time.sleep(60)", signal.SIGALRM)]
)
def test_watchdog_ends_the_process_that_hangs(hostile: str, expected: signal.Signals) -> None:
    program = (
        "import time; from swallow_spark.kernels.html import page; "
        "from swallow_spark.kernels.warc.records import Record; "
        f"{hostile}; page.ELAPSED_FACTOR = 20 if 'pass' in {hostile!r} else 0.5; "
        f"html = b'HTTP/1.1 200 OK\\r\\n\\r\\n<html lang=ja>{HANG}'; "
        "page.read_page(Record(0, 1, {'warc-type': 'response'}, html), page.Limits(max_seconds_per_page=0.3))"
    )
    environment = {**os.environ, "SWALLOW_SPARK_TEST_HOSTILE": "1"}
    assert subprocess.run([sys.executable, "-c", program], env=environment, timeout=60).returncode == -expected


def test_watchdog_is_off_between_pages() -> None:
    assert isinstance(read_page(record(), Limits()), Page)
    assert signal.getitimer(signal.ITIMER_REAL) == signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_page_that_eats_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it has left behind: the next one has a child of its own."""
    hostile = (
        "from swallow_spark.stages.ingest import confined; confined.MEMORY_BYTES = 64 << 20; left = []; "
        "confined.read_page = lambda record, limits: left.append(bytearray(record.offset)) or "
        "confined.PassedOver(f'{len(left)}'); confined.serve()"
    )
    monkeypatch.setattr(confined, "_PROGRAM", hostile)
    monkeypatch.setattr(confined, "MEMORY_BYTES", 64 << 20)
    with ConfinedReader(Limits()) as reader:
        sizes = (1 << 20, 1 << 20, 1 << 30, 1 << 20)
        answers = [reader.read_page(Record(size, 0, {"warc-type": "response"}, b"")) for size in sizes]
    failure = Failure("crashed", "parsing took more than 64 MiB of memory")
    assert answers == [PassedOver("2"), PassedOver("3"), failure, PassedOver("2")]  # 1: the warm-up


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_small_page_takes_little_of_the_memory_that_pages_may_take(
    coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With more of it, so that what an allocator reserves at once is not refused but seen.
    more = (
        "from swallow_spark.stages.ingest import confined; "
        f"confined.MEMORY_BYTES = {4 * MEMORY_BYTES}; confined.serve()"
    )
    monkeypatch.setattr(confined, "_PROGRAM", more)
    plain = record()
    _, html = plain.block.split(b"\r\n\r\n", 1)
    packed = pa.compress(html, {"br": "brotli"}.get(coding, coding), asbytes=True)
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: {coding}\r\n\r\n".encode() + packed
    page = Record(0, len(block), plain.headers, block)
    with ConfinedReader(Limits()) as reader:
        assert isinstance(reader.read_page(plain), Page)
        sizes = []
        for _ in range(2):
            assert reader._child
            pages = int(Path(f"/proc/{reader._child.pid}/statm").read_text().split()[0])
            sizes.append(pages * os.sysconf("SC_PAGE_SIZE"))
            assert isinstance(reader.read_page(page), Page)
    assert sizes[1] - sizes[0] < MEMORY_BYTES // 8


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_worker_whose_own_limit_leaves_pages_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which page is a failure may not depend on how much memory a cluster gives."""
    refused = "import resource; resource.setrlimit = lambda *_: int('not for others than root'); "
    monkeypatch.setattr(confined, "_PROGRAM", refused + confined._PROGRAM)
    with ConfinedReader(Limits()) as reader, pytest.raises(MemoryError, match=r"pyspark\.memory"):
        reader.read_page(record())


def test_a_child_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with ConfinedReader(Limits()) as reader, pytest.raises(RuntimeError, match="did not start"):
        reader.read_page(record())


def test_passed_over() -> None:
    with ConfinedReader(Limits()) as reader:
        assert reader.read_page(Record(0, 0, {"warc-type": "request"}, b"")) == PassedOver("not_a_response")


NONSENSE = (
    b"\xff" * 16,  # sizes beyond all memory
    (2).to_bytes(8, "little") + bytes(8) + b"[]",
    (8).to_bytes(8, "little") + bytes(8) + b'["Shell"]',
    (10).to_bytes(8, "little") + bytes(8) + b'["Failure"',
    (200_000).to_bytes(8, "little") + bytes(8) + b"[" * 200_000,
)


def test_a_child_that_answers_nonsense_costs_that_page_only(tmp_path: Path) -> None:
    nonsense = tmp_path / "answer"
    with ConfinedReader(Limits()) as reader:
        assert isinstance(reader.read_page(record()), Page)
        for answer in NONSENSE:
            nonsense.write_bytes(answer)
            child = reader._child
            assert child
            assert child.stdout
            child.stdout.close()
            child.stdout = nonsense.open("rb")
            assert reader.read_page(record()) == Failure("crashed", "parsing ended the process (signal SIGKILL)"), (
                answer
            )
            assert isinstance(reader.read_page(record()), Page)
