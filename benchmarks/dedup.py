"""Dedup over synthetic sketches: time per document as a corpus grows, shuffle, memory and disk, and the result checked.

Run: .venv/bin/python -m benchmarks.dedup [--documents 100000 1000000 10000000] [--bands-per-pass 10] [--steps]

Sizes of groups of near-duplicates follow a power law; members share each bucket of their group with probability 1/2;
one bucket holds a tenth of all documents; there are no exact copies, which would be cheaper. The result is
compared with a direct computation in NumPy (policy `bucket`). CPU seconds include all processes.
"""

import argparse
import platform
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import __version__ as spark_version
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from benchmarks.watch import Peaks, Watch
from swallow_spark.corpus import lookups
from swallow_spark.corpus.read import scan_files
from swallow_spark.corpus.write import Kernel
from swallow_spark.files.storage import Root
from swallow_spark.session.session import open_session
from swallow_spark.stages.deduplicate.tasks import Settings, deduplicate
from swallow_spark.tables import SKETCHES, pack_doc_id

BANDS = 40
SKETCH_BYTES = 100
ROWS_PER_FILE = 1 << 18
ROWS_PER_PARTITION = 4 << 20
LARGEST_GROUP = 1000
FIRST_ID = pack_doc_id(1, 0, 0)


def mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64: keys that look like hashes."""
    z = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).view(np.int64)


def make_groups(documents: int, seed: int = 1) -> np.ndarray:
    """The group of each document, in random order of documents."""
    sizes = np.minimum(np.random.default_rng(seed).zipf(2.0, documents), LARGEST_GROUP)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), documents) + 1]
    groups = np.repeat(np.arange(len(sizes)), sizes)[:documents]
    return np.random.default_rng(seed).permutation(groups)


def make_keys(start: int, groups: np.ndarray, band: int) -> np.ndarray:
    """The band's keys of the documents from `start` on, whose groups are given."""
    documents = np.arange(start, start + len(groups), dtype=np.int64)
    own = mixed(documents * BANDS + band + (1 << 50))
    keys = np.where(own & 1 == 0, mixed(groups * BANDS + band), own)
    if band == 0:
        keys[mixed(documents + (1 << 52)) % 10 == 0] = 42
    return keys


def expected_witnesses(groups: np.ndarray) -> np.ndarray:
    """For each document, the first one that shares a bucket with it; -1 for kept ones."""
    own = np.arange(len(groups))
    witness = own.copy()
    for band in range(BANDS):
        keys = make_keys(0, groups, band)
        order = np.argsort(keys, kind="stable")
        starts = np.r_[True, keys[order][1:] != keys[order][:-1]]
        firsts = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
        witness[order] = np.minimum(witness[order], firsts)
    return np.where(witness == own, -1, witness)


def write_sketches(directory: Path, groups: np.ndarray) -> None:
    directory.mkdir()
    for start in range(0, len(groups), ROWS_PER_FILE):
        part = groups[start : start + ROWS_PER_FILE]
        numbers = np.arange(start, start + len(part))
        keys = np.stack([make_keys(start, part, band) for band in range(BANDS)], axis=1)
        words = mixed(numbers[:, None] * 13 + np.arange(13) + (1 << 54))
        bits = np.ascontiguousarray(words.view(np.uint8)[:, :SKETCH_BYTES])
        sketch = pa.FixedSizeBinaryArray.from_buffers(pa.binary(SKETCH_BYTES), len(part), [None, pa.py_buffer(bits)])
        columns = [
            pa.array(FIRST_ID + numbers),
            pa.FixedSizeListArray.from_arrays(pa.array(keys.ravel()), BANDS).cast(pa.list_(pa.int64())),
            sketch.cast(pa.binary()),
            pa.array(mixed(numbers + (1 << 53))),
        ]
        pq.write_table(pa.Table.from_arrays(columns, schema=SKETCHES), directory / f"{start:010}.parquet")


def shuffled(spark: SparkSession) -> int:
    """Bytes written by all exchanges of the session, by Spark's metrics."""
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    return sum(executors.apply(at).totalShuffleWrite() for at in range(executors.size()))


Rows = list[dict[str, object]]


def measure(documents: int, policy: str, bands_per_pass: int, memory: str, directory: str | None) -> tuple[Rows, Rows]:
    """Tables with one row for the size, and one for each step. Runs in a separate process with a new JVM."""
    scratch = Path(tempfile.mkdtemp(prefix="swallow-spark-dedup-", dir=directory))
    local = scratch / "local"
    settings = {"spark.driver.memory": memory, "spark.local.dir": str(local)}
    spark = open_session("benchmark dedup", settings=settings)
    try:
        return run(spark, documents, policy, bands_per_pass, scratch, local)
    finally:
        spark.stop()
        shutil.rmtree(scratch)


def run(
    spark: SparkSession, documents: int, policy: str, bands_per_pass: int, scratch: Path, local: Path
) -> tuple[Rows, Rows]:
    groups = make_groups(documents)
    write_sketches(scratch / "sketches", groups)
    del groups
    root = Root(str(scratch / "corpus"))
    exchanged = [shuffled(spark)]
    with Watch(local) as watch:

        def boundary(name: str, df: DataFrame, by: Kernel | None = None) -> DataFrame:
            df = df.mapInArrow(by.work, from_arrow_schema(by.schema)) if by else df
            path = str(scratch / "boundaries" / name)
            watch.step(name)
            df.write.parquet(path)
            exchanged.append(shuffled(spark))
            return spark.read.parquet(path)

        def ship(df: DataFrame) -> lookups.Lookups:
            return lookups.ship(df, root, "lookup", documents)

        sketches = spark.read.parquet(str(scratch / "sketches"))
        partitions = max(2, -(-documents * bands_per_pass // ROWS_PER_PARTITION))
        settings = Settings(policy, "oldest", None, BANDS, bands_per_pass, partitions, documents)
        files = {path.name: path.stat().st_size for path in (scratch / "sketches").glob("*.parquet")}
        scan = scan_files(spark, Root(str(scratch / "sketches")), files, SKETCHES)
        lengths = sketches.selectExpr("doc_id", "1 as num_chars")
        found = deduplicate(sketches.select, scan.select, lengths, settings, boundary, ship)
        boundary("duplicates", found.duplicates)
        boundary("groups", found.groups)
    keys = sum(
        after - before
        for step, before, after in zip(watch.steps, exchanged, exchanged[1:], strict=False)
        if step.name.startswith("edges")
    )
    steps = [
        {
            "step": step.name,
            "seconds": f"{step.seconds:.0f}",
            "CPU s": f"{step.cpu:.0f}",
            "shuffle bytes a document": f"{(after - before) / documents:.1f}",
            **memory(step.peaks),
        }
        for step, before, after in zip(watch.steps, exchanged, exchanged[1:], strict=False)
    ]
    seconds, cpu = (sum(getattr(step, name) for step in watch.steps) for name in ("seconds", "cpu"))
    peaks = Peaks()
    for step in watch.steps:
        peaks.raise_to(step.peaks)
    size: dict[str, object] = {
        "documents": f"{documents:,}",
        "policy": policy,
        "rounds": found.rounds,
        "dropped": f"{dropped(scratch):,}",
        "equal to NumPy": agrees(scratch, documents) if policy == "bucket" else "not compared",
        "seconds": f"{seconds:.0f}",
        "CPU s": f"{cpu:.0f}",
        "CPU µs a document": f"{cpu / documents * 1e6:.0f}",
        "shuffle bytes a document": f"{(exchanged[-1] - exchanged[0]) / documents:.0f}",
        "of keys": f"{keys / documents:.0f}",
        **memory(peaks),
    }
    return [size], steps


def memory(peaks: Peaks) -> dict[str, str]:
    names = {"jvm": "JVM MB", "worker": "largest worker MB", "all": "all MB", "disk": "shuffle's disk MB"}
    return {shown: f"{getattr(peaks, name) / 1e6:.0f}" for name, shown in names.items()}


def dropped(scratch: Path) -> int:
    return sum(pq.read_metadata(file).num_rows for file in (scratch / "boundaries/duplicates").glob("*.parquet"))


def agrees(scratch: Path, documents: int) -> str:
    found = pq.read_table(scratch / "boundaries/duplicates", columns=["doc_id", "witness"])
    witness = np.full(documents, -1, np.int64)
    witness[found["doc_id"].to_numpy() - FIRST_ID] = found["witness"].to_numpy() - FIRST_ID
    return "yes" if np.array_equal(witness, expected_witnesses(make_groups(documents))) else "NO"


def show(rows: Rows) -> None:
    print("| " + " | ".join(rows[0]) + " |\n|" + "---:|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--policy", choices=["bucket", "greedy", "component"], default="bucket")
    parser.add_argument("--bands-per-pass", type=int, default=10)
    parser.add_argument("--memory", default="4g", help="of the JVM")
    parser.add_argument("--steps", action="store_true", help="also show each step")
    parser.add_argument("--scratch", help="a directory for sketches, shuffles and results")
    arguments = parser.parse_args()
    print(f"Spark {spark_version}, Python {platform.python_version()}", flush=True)
    for documents in arguments.documents:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            work = (documents, arguments.policy, arguments.bands_per_pass, arguments.memory, arguments.scratch)
            size, steps = alone.submit(measure, *work).result()
        for table in (size, steps) if arguments.steps else (size,):
            print()
            show(table)


if __name__ == "__main__":
    main()
