"""The cuts of two top-k bands over millions of scores, and exact ranks, against sorting in Spark.

Run: .venv/bin/python -m benchmarks.selection [--millions 10] [--rounds 2] [--cuts-alone]. CPU seconds of all processes
in the best round, after a warm-up round on few rows. Half of the scores are equal, and one cut goes through them. The
JVM, which holds driver and tasks, has 1 GiB. Linux only: it reads /proc.
"""

import argparse
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from benchmarks.timing import machine
from benchmarks.watch import Step, Watch
from swallow_spark.kernels.order.cuts import Bin, Range
from swallow_spark.session.session import open_session
from swallow_spark.stages.select import cuts
from swallow_spark.tables import SCORES

_ROWS_PER_FILE = 1_000_000


def write_scores(directory: Path, number: int) -> None:
    """Files of scores: half of them 0.5, the others uniform in 0 to 1; doc_ids of 1,000 input files."""
    rng = np.random.default_rng(1)
    for first in range(0, number, _ROWS_PER_FILE):
        rows = min(_ROWS_PER_FILE, number - first)
        scores = np.where(rng.random(rows) < 1 / 2, 0.5, rng.random(rows))
        doc_ids = (1 << 53) | np.sort(rng.integers(0, 1000 << 32, rows)) + (first << 20)
        pq.write_table(pa.table([doc_ids, scores], schema=SCORES), directory / f"{first}.parquet")


class Passes:
    """Counts the passes over the rows, and the bins of each that reach the driver."""

    def __init__(self) -> None:
        self.bins: list[int] = []
        self._count = cuts._count

    def __call__(self, rows: DataFrame, ranges: list[Range], bins: int) -> list[list[Bin]]:
        found = self._count(rows, ranges, bins)
        self.bins.append(sum(map(len, found)))
        return found


PASSES: Final = Passes()


def by_cuts(rows: DataFrame, targets: list[int]) -> list[tuple[float, int]]:
    PASSES.bins.clear()
    with patch.object(cuts, "_count", PASSES):
        return [(cut.score, cut.doc_id or 0) for cut in cuts.cuts_after(rows, targets) if cut]


def by_sorting(rows: DataFrame, targets: list[int]) -> list[tuple[float, int]]:
    """A sort by Spark, from which the rows with these numbers are taken: all rows in one partition."""
    order = Window.orderBy(F.col("score").desc(), "doc_id")
    numbered = rows.select("doc_id", "score", F.row_number().over(order).alias("number"))
    found = numbered.where(F.col("number").isin(targets)).orderBy("number").collect()
    return [(row.score, row.doc_id) for row in found]


def by_window(rows: DataFrame) -> DataFrame:
    """Ranks as SQL has them: all rows in one partition."""
    return rows.select("doc_id", F.rank().over(Window.orderBy(F.col("score").desc())).cast("long").alias("rank"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cuts-alone", action="store_true", help="no ranks, and nothing to compare with")
    given = parser.parse_args()
    number = given.millions * 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        write_scores(Path(directory), number)
        spark = open_session("benchmarks.selection", settings={"spark.driver.memory": "1g"})
        rows = spark.read.parquet(directory)
        targets = [cuts.num_above(Fraction(percent, 100), number) for percent in (10, 30)]
        contestants: dict[str, Callable[[], object]] = {"cuts of top10 and top10-30": lambda: by_cuts(rows, targets)}
        if not given.cuts_alone:
            check = F.sum(F.col("rank") * (F.xxhash64("doc_id") % 1000))
            assert by_cuts(rows, targets) == by_sorting(rows, targets)
            assert cuts.ranks(rows).agg(check).collect() == by_window(rows).agg(check).collect()
            contestants |= {
                "cuts by SQL's row_number": lambda: by_sorting(rows, targets),
                "ranks of all rows": lambda: cuts.ranks(rows).agg(check).collect(),
                "ranks by SQL's rank": lambda: by_window(rows).agg(check).collect(),
            }
        by_cuts(rows.limit(1000), [100])
        best: dict[str, Step] = {}
        with Watch() as watch:
            for _ in range(given.rounds):
                for name, work in contestants.items():
                    watch.step(name)
                    work()
        for step in watch.steps:
            best[step.name] = min(best.get(step.name, step), step, key=lambda one: one.cpu)
        print(f"{number:,} scores, half of them equal\n")
        print("| | CPU seconds | JVM, MB | a Python worker, MB |\n|---|---:|---:|---:|")
        for name, step in best.items():
            print(f"| {name} | {step.cpu:.0f} | {step.peaks.jvm / 1e6:,.0f} | {step.peaks.worker / 1e6:,.0f} |")
        print(f"\n{len(PASSES.bins)} passes; bins that reach the driver: {', '.join(map(str, PASSES.bins))}.")
        print(f"\n{machine(('pyspark', 'numba', 'numpy')).replace('One thread of', 'On')}")
        spark.stop()


if __name__ == "__main__":
    main()
