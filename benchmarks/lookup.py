"""Lookups of decisions: 88 million doc_ids (the pages of a large crawl), written, mapped and probed.

Run: .venv/bin/python -m benchmarks.lookup [--rows 88000000] [--processes 2]

Each process probes doc_ids in the order of a scan of the text: ascending batches, from one task's range of the crawl to
another's. Half of the probed doc_ids are in the table.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.timing import machine
from swallow_spark.corpus import lookup_file as lookup
from swallow_spark.tables import pack_doc_id

BATCH = 1000
FIRST = pack_doc_id(1, 0, 0)
STEP = 50_000  # bytes of a WARC between two pages


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, rows, 1 << 20):
        doc_ids = FIRST + STEP * np.arange(start, min(start + (1 << 20), rows))
        yield pa.RecordBatch.from_arrays([pa.array(doc_ids)], ["doc_id"])


def memory() -> dict[str, int]:
    """KiB of this process: RssAnon (its own), RssFile (mapped, shared), Pss (proportional)."""
    values = {}
    for name in ("status", "smaps_rollup"):
        for line in Path(f"/proc/self/{name}").read_text().splitlines():
            key, _, value = line.partition(":")
            if value.strip().endswith("kB"):
                values[key] = int(value.split()[0])
    return values


def probe(path: str, rows: int, seed: int, ready: "multiprocessing.synchronize.Barrier") -> tuple[float, int, int, int]:
    """Probes per CPU second, and MB of own, mapped and proportional memory."""
    table = lookup.open_lookup(path)
    rng = np.random.default_rng(seed)
    table.find(np.array([FIRST]))
    probes = hits = 0
    ready.wait()
    started = time.process_time()
    for stretch in rng.integers(0, rows - 2_000_000, 20):
        doc_ids = FIRST + STEP // 2 * np.arange(2 * stretch, 2 * stretch + 400_000)
        for start in range(0, len(doc_ids), BATCH):
            hits += int(table.find(doc_ids[start : start + BATCH])[0].sum())
        probes += len(doc_ids)
    seconds = time.process_time() - started
    assert 2 * hits == probes
    np.add.reduce(table.doc_ids)  # every page of it is mapped now
    ready.wait()
    found = memory()
    ready.wait()
    return probes / seconds, *(found[name] >> 10 for name in ("RssAnon", "RssFile", "Pss"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=88_000_000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lookup"
        started = time.process_time()
        lookup.write(path, batches(arguments.rows))
        written = time.process_time() - started
        size = sum(file.stat().st_size for file in path.iterdir())
        context = multiprocessing.get_context("spawn")
        with context.Manager() as manager, context.Pool(arguments.processes) as pool:
            ready = manager.Barrier(arguments.processes)
            work = [(str(path), arguments.rows, seed, ready) for seed in range(arguments.processes)]
            found = pool.starmap(probe, work, chunksize=1)
    print(f"{arguments.rows:,} doc_ids: {size / 1e6:,.0f} MB, written in {written:.1f} CPU s\n")
    print("| process | probes a CPU second | own memory, MB | mapped, MB | its part of what is shared, MB |")
    print("|---|---:|---:|---:|---:|")
    for number, (rate, own, mapped, part) in enumerate(found):
        print(f"| {number} | {rate:,.0f} | {own} | {mapped} | {part} |")
    print(f"\n{machine(('numpy', 'pyarrow'))}")


if __name__ == "__main__":
    main()
