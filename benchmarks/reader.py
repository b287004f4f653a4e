"""Speed of reading WARCs against bare FastWARC: MB/s of record blocks, on one core.

    python benchmarks/reader.py [WARC.gz ...]         # default: the demo's files
    python benchmarks/reader.py --pages-not-japanese  # only pages that the prefilter rejects

FastWARC comes with the extra `dev`. The readers take turns over the same bytes in memory; figures are CPU seconds of
the best round.
"""

import argparse
import io
import resource
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from fastwarc.warc import ArchiveIterator

from swallow_spark.kernels.html import page
from swallow_spark.kernels.warc import warc

LIMITS = page.Limits()
DEMO = sorted((Path(__file__).parents[1] / "demo" / "pages").glob("*.warc.gz"))


def bare_fastwarc(data: bytes) -> int:
    return sum(record.content_length for record in ArchiveIterator(io.BytesIO(data), parse_http=False))


def records(data: bytes) -> int:
    return sum(item.block_bytes for item in warc.read(io.BytesIO(data)) if isinstance(item, warc.Record))


def pages(data: bytes) -> int:
    total = 0
    for item in warc.read(io.BytesIO(data)):
        if isinstance(item, warc.Record):
            total += item.block_bytes
            page.read_page(item, LIMITS)
    return total


def not_japanese(data: bytes) -> bytes:
    """The members whose pages the prefilter rejects."""
    passed_over = page.PassedOver("no_sign_of_japanese")
    items = [item for item in warc.read(io.BytesIO(data)) if isinstance(item, warc.Record)]
    kept = [item for item in items if page.read_page(item, LIMITS) == passed_over]
    return b"".join(data[item.offset : item.offset + item.length] for item in kept)


def megabytes_per_second(reader: Callable[[bytes], int], data: bytes) -> float:
    start = time.process_time()
    return reader(data) / 1e6 / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=DEMO)
    parser.add_argument("--pages-not-japanese", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = b"".join(path.read_bytes() for path in arguments.files)
    if arguments.pages_not_japanese:
        data = not_japanese(data)
    readers = {
        f"FastWARC {version('fastwarc')}, iteration alone": bare_fastwarc,
        "warc.read": records,
        "warc.read and page.read_page": pages,
    }
    best = dict.fromkeys(readers, 0.0)
    for _ in range(arguments.rounds):
        for name, reader in readers.items():
            best[name] = max(best[name], megabytes_per_second(reader, data))
    peer = next(iter(best.values()))
    print("| reader | MB/s | of FastWARC |\n|---|---:|---:|")
    for name, speed in best.items():
        print(f"| {name} | {speed:.0f} | {speed / peer:.2f} |")
    print(f"\n{len(data) / 1e6:.1f} MB compressed; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main()
