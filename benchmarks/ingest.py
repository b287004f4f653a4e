"""From WARCs to Japanese pages, against warcio and Trafilatura; and the cost of pages that aren't Japanese.

Run: .venv/bin/pip install '.[bench]'; .venv/bin/python -m benchmarks.ingest WARC...

The reference follows Swallow Corpus v2's ingest, in one process like ours: warcio's records; HTML responses with status
200; `<html lang=ja>` or kana in the title; Trafilatura without comments and tables; a share of kana in the text. It
takes fewer pages than ours, which needs neither title nor attribute, so it does less work.

The second table reads a WARC of pages without any sign of Japanese, against bare FastWARC, which only inflates and
splits the records. MB are of the inflated record blocks.
"""

import io
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import fastwarc.warc
import trafilatura
import warcio.archiveiterator
import warcio.warcwriter

from benchmarks.timing import machine
from swallow_spark.kernels.html.page import Limits, Page, PassedOver, read_page
from swallow_spark.kernels.warc import warc

Work = Callable[[list[Path]], int]
ROUNDS = 3
FOREIGN_BYTES = 200 << 20
HTML_LANG = re.compile(rb"""<html\b[^>]*\blang\s*=\s*["']?\s*ja\b""", re.IGNORECASE)
TITLE = re.compile(rb"<title\b[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
KANA = re.compile("[ぁ-ゖァ-ヺ]")
MIN_KANA_FRACTION = 0.05


def ours(paths: list[Path]) -> int:
    """The number of pages taken."""
    taken = 0
    limits = Limits()
    for path in paths:
        with path.open("rb") as stream:
            for record in warc.read(stream):
                taken += isinstance(record, warc.Record) and isinstance(read_page(record, limits), Page)
    return taken


def reference(paths: list[Path]) -> int:
    """The number of pages taken."""
    taken = 0
    for path in paths:
        with path.open("rb") as stream:
            for record in warcio.archiveiterator.ArchiveIterator(stream):
                http = record.http_headers
                if record.rec_type != "response" or http is None or http.get_statuscode() != "200":
                    continue
                if "html" not in (http.get_header("Content-Type") or ""):
                    continue
                try:
                    html = record.content_stream().read()
                except (AttributeError, OSError):  # warcio cannot read br with brotli 1.2
                    continue
                if not says_japanese(html):
                    continue
                text = trafilatura.extract(html, include_comments=False, include_tables=False)
                taken += text is not None and len(KANA.findall(text)) > MIN_KANA_FRACTION * len(text)
    return taken


def says_japanese(html: bytes) -> bool:
    """Whether the page's attribute or its title says Japanese."""
    if HTML_LANG.search(html) is not None:
        return True
    if (title := TITLE.search(html)) is None:
        return False
    for codec in ("utf-8", "cp932", "euc_jp"):
        try:
            return KANA.search(title[1].decode(codec)) is not None
        except UnicodeDecodeError:
            continue
    return False


def write_foreign(paths: list[Path], target: Path) -> int:
    """Writes the records without any sign of Japanese repeatedly; returns the bytes of their blocks."""
    wanted: set[str] = set()
    size = 0
    for path in paths:
        with path.open("rb") as stream:
            for record in warc.read(stream):
                if isinstance(record, warc.Record) and read_page(record, Limits()) == PassedOver("no_sign_of_japanese"):
                    wanted.add(record.headers["warc-record-id"])
                    size += len(record.block)
    once = io.BytesIO()
    writer = warcio.warcwriter.WARCWriter(once, gzip=True)
    for path in paths:
        with path.open("rb") as stream:
            for record in warcio.archiveiterator.ArchiveIterator(stream, no_record_parse=True):
                if record.rec_headers.get_header("WARC-Record-ID") in wanted:
                    writer.write_record(record)
    times = max(1, FOREIGN_BYTES // max(1, size))
    with target.open("wb") as stream:
        for _ in range(times):
            stream.write(once.getvalue())
    return size * times


def bare_fastwarc(paths: list[Path]) -> int:
    """The number of records."""
    number = 0
    for path in paths:
        with path.open("rb") as stream:
            for _ in fastwarc.warc.ArchiveIterator(stream, parse_http=False):
                number += 1
    return number


def seconds(works: Sequence[Work], paths: list[Path], rounds: int) -> list[tuple[float, int]]:
    """(CPU seconds in the best of several rounds, result) of each. They take turns, file by file."""
    best = [(float("inf"), 0)] * len(works)
    for _ in range(rounds):
        found = [(0.0, 0)] * len(works)
        for path in paths:
            for number, work in enumerate(works):
                start = time.process_time()
                result = work([path])
                spent, sum_before = found[number]
                found[number] = spent + time.process_time() - start, sum_before + result
        best = [min(pair) for pair in zip(best, found, strict=True)]
    return best


def main() -> None:
    """Prints the tables."""
    paths = [Path(name) for name in sys.argv[1:]]
    records = bare_fastwarc(paths)
    ours(paths[:1])  # compiles
    (fast, taken), (slow, taken_by_reference) = seconds([ours, reference], paths, 1)
    gain = taken / fast * slow / max(1, taken_by_reference)
    print(
        f"| {records} records | Japanese pages | CPU s | records/s | pages/s | ours is faster by: records/s | pages/s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    print(f"| swallow-spark | {taken} | {fast:.1f} | {records / fast:,.0f} | {taken / fast:,.0f} | | |")
    print(
        f"| warcio and Trafilatura | {taken_by_reference} | {slow:.1f} | {records / slow:,.0f} "
        f"| {taken_by_reference / slow:,.0f} | {slow / fast:.1f} | {gain:.1f} |"
    )
    with tempfile.TemporaryDirectory() as directory:
        foreign = Path(directory) / "foreign.warc.gz"
        megabytes = write_foreign(paths, foreign) / 1e6
        (ours_foreign, _), (bare, number) = seconds([ours, bare_fastwarc], [foreign], ROUNDS)
    print(f"\n| {number} pages without a sign of Japanese | MB per CPU s | of bare FastWARC |\n|---|---:|---:|")
    print(f"| swallow-spark | {megabytes / ours_foreign:,.0f} | {bare / ours_foreign:.0%} |")
    print(f"| bare FastWARC | {megabytes / bare:,.0f} | 100% |")
    print(f"\n{machine(('fastwarc', 'warcio', 'trafilatura', 'selectolax'))}")


if __name__ == "__main__":
    main()
