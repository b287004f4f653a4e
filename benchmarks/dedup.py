"""Dedup over synthetic sketches: time per document as a corpus grows, shuffle, memory, and the result checked.

    python benchmarks/dedup.py [--documents 100000 1000000] [--memory 6g]

Groups of near-duplicates have sizes after a power law; members share each bucket of their group with probability 1/2;
one bucket holds a tenth of all documents. The result is compared with a direct computation in NumPy.
"""

import argparse
import os
import platform
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import __version__ as spark_version
from pyspark.sql import DataFrame, SparkSession

from swallow_spark import lookups
from swallow_spark.session import open_session
from swallow_spark.stages.deduplicate import Settings, deduplicate
from swallow_spark.storage import Root
from swallow_spark.tables import SKETCHES, pack_doc_id

BANDS = 40
ROWS_PER_FILE = 1 << 18
ROWS_PER_PARTITION = 4 << 20


def mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64: keys that look like hashes."""
    z = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).view(np.int64)


def make_keys(start: int, stop: int, groups: np.ndarray) -> np.ndarray:
    """Band keys of documents start..stop-1: int64 (stop - start, BANDS)."""
    documents = np.arange(start, stop, dtype=np.int64)[:, None]
    bands = np.arange(BANDS, dtype=np.int64)
    own = mixed(documents * BANDS + bands + (1 << 50))
    shared = mixed(groups[start:stop, None] * BANDS + bands)
    keys = np.where(own & 1 == 0, shared, own)
    hot = mixed(np.arange(start, stop) + (1 << 52)) % 10 == 0
    keys[hot, 0] = 42
    return keys


def make_groups(documents: int, seed: int = 1) -> np.ndarray:
    """The group of each document, in random order of documents; half of them are alone."""
    sizes = np.minimum(np.random.default_rng(seed).zipf(2.0, documents), 1000)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), documents) + 1]
    groups = np.repeat(np.arange(len(sizes)), sizes)[:documents]
    return np.random.default_rng(seed).permutation(groups)


def expected_witnesses(groups: np.ndarray) -> np.ndarray:
    """For each document the first that shares any bucket, -1 for kept ones."""
    keys = make_keys(0, len(groups), groups)
    witness = np.arange(len(groups))
    for band in range(BANDS):
        _, first, inverse = np.unique(keys[:, band], return_index=True, return_inverse=True)
        witness = np.minimum(witness, first[inverse])
    return np.where(witness == np.arange(len(groups)), -1, witness)


def write_sketches(directory: Path, groups: np.ndarray) -> None:
    directory.mkdir()
    for start in range(0, len(groups), ROWS_PER_FILE):
        stop = min(start + ROWS_PER_FILE, len(groups))
        keys = make_keys(start, stop, groups)
        doc_ids = pack_doc_id(1, 0, 0) + np.arange(start, stop)
        sketches = keys[:, 1:13].copy().view(np.uint8)
        columns = [
            pa.array(doc_ids),
            pa.FixedSizeListArray.from_arrays(pa.array(keys.ravel()), BANDS).cast(pa.list_(pa.int64())),
            pa.FixedSizeBinaryArray.from_buffers(pa.binary(96), stop - start, [None, pa.py_buffer(sketches)]).cast(
                pa.binary()
            ),
            pa.array(mixed(np.arange(start, stop) + (1 << 53))),
        ]
        pq.write_table(pa.Table.from_arrays(columns, schema=SKETCHES), directory / f"{start:010}.parquet")


def cpu_seconds() -> float:
    """Of this process and all that it started, the JVM and its Python workers included, as far as they have ended or
    are still there."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    total = own.ru_utime + own.ru_stime
    ticks = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks[int(stat.parent.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    family = {os.getpid()}
    while True:
        more = {pid for pid, (parent, _) in ticks.items() if parent in family} - family
        if not more:
            break
        family |= more
    return total + sum(ticks[pid][1] for pid in family if pid != os.getpid()) / 100


def run(spark: SparkSession, documents: int, policy: str, scratch: Path) -> dict[str, object]:
    groups = make_groups(documents)
    write_sketches(scratch / "sketches", groups)
    root = Root(str(scratch / "corpus"))
    frames = iter(range(10**6))

    def boundary(name: str, df: DataFrame) -> DataFrame:
        path = str(scratch / f"{name}-{next(frames)}")
        df.write.parquet(path)
        return spark.read.parquet(path)

    started, cpu = time.monotonic(), cpu_seconds()
    sketches = spark.read.parquet(str(scratch / "sketches"))
    settings = Settings(policy, "oldest", None, BANDS, 10, max(2, -(-documents * 10 // ROWS_PER_PARTITION)))
    lengths = sketches.selectExpr("doc_id", "1 as num_chars")
    duplicates, kept, rounds = deduplicate(
        sketches, lengths, settings, boundary, lambda df: lookups.ship(df, root, "lookup", documents)
    )
    duplicates.write.parquet(str(scratch / "duplicates"))
    kept.write.parquet(str(scratch / "groups"))
    seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu
    found = pq.read_table(scratch / "duplicates", columns=["doc_id", "witness"])
    base = pack_doc_id(1, 0, 0)
    witness = np.full(documents, -1, np.int64)
    witness[found["doc_id"].to_numpy() - base] = found["witness"].to_numpy() - base
    compared = policy == "bucket" and documents <= 2_000_000
    same = str(bool(np.array_equal(witness, expected_witnesses(groups)))) if compared else "not compared"
    return {
        "documents": f"{documents:,}",
        "policy": policy,
        "rounds": rounds,
        "dropped": f"{found.num_rows:,}",
        "seconds": f"{seconds:.0f}",
        "CPU s": f"{cpu:.0f}",
        "CPU µs a document": f"{cpu / documents * 1e6:.0f}",
        "equal to NumPy": same,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--policy", choices=["bucket", "greedy", "component"], default="bucket")
    parser.add_argument("--memory", default="4g", help="of the JVM")
    arguments = parser.parse_args()
    spark = open_session("benchmark dedup", settings={"spark.driver.memory": arguments.memory})
    print(f"Spark {spark_version}, Python {platform.python_version()}, {spark.sparkContext.defaultParallelism} cores\n")
    header: list[str] = []
    for documents in arguments.documents:
        scratch = Path(tempfile.mkdtemp(prefix="swallow-spark-dedup-"))
        try:
            row = run(spark, documents, arguments.policy, scratch)
        finally:
            shutil.rmtree(scratch)
        if not header:
            header = list(row)
            print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
        print("| " + " | ".join(map(str, row.values())) + " |", flush=True)


if __name__ == "__main__":
    main()
