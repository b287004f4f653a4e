"""The cuts of two bands over millions of scores, and exact ranks: against sorting in Spark.

Run: .venv/bin/python -m benchmarks.selection [--millions 10]. Wall seconds, the best of two rounds, on all cores of the
machine, after a first round that isn't counted. A third of the scores are one and the same.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from benchmarks.timing import machine
from swallow_spark.session import open_session
from swallow_spark.stages import cuts
from swallow_spark.tables import SCORES

_ROUNDS = 3
_ROWS_PER_FILE = 1_000_000


def write_scores(directory: Path, number: int) -> None:
    """Files of scores: a third of them 0.5, the others anywhere in 0 to 1; doc_ids as of 1,000 input files."""
    rng = np.random.default_rng(1)
    for first in range(0, number, _ROWS_PER_FILE):
        rows = min(_ROWS_PER_FILE, number - first)
        scores = np.where(rng.random(rows) < 1 / 3, 0.5, rng.random(rows))
        doc_ids = (1 << 53) | np.sort(rng.integers(0, 1000 << 32, rows)) + (first << 20)
        pq.write_table(pa.table([doc_ids, scores], schema=SCORES), directory / f"{first}.parquet")


def by_cuts(rows: DataFrame, targets: list[int]) -> list[tuple[float, int]]:
    return [(cut.score, cut.doc_id or 0) for cut in cuts.cuts_after(rows, targets) if cut]


def by_sorting(rows: DataFrame, targets: list[int]) -> list[tuple[float, int]]:
    """A sort by Spark, of which the rows of these numbers are taken: all rows in one partition."""
    order = Window.orderBy(F.col("score").desc(), "doc_id")
    numbered = rows.select("doc_id", "score", F.row_number().over(order).alias("number"))
    found = numbered.where(F.col("number").isin(targets)).orderBy("number").collect()
    return [(row.score, row.doc_id) for row in found]


def by_window(rows: DataFrame) -> DataFrame:
    """Ranks as SQL has them: all rows in one partition."""
    return rows.select("doc_id", F.rank().over(Window.orderBy(F.col("score").desc())).cast("long").alias("rank"))


def seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for number in range(_ROUNDS):
        start = time.perf_counter()
        work()
        if number:
            best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, default=10)
    number = parser.parse_args().millions * 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        write_scores(Path(directory), number)
        spark = open_session("benchmarks.selection", settings={"spark.driver.memory": "2g"})
        rows = spark.read.parquet(directory)
        targets = [cuts.num_above(Fraction(percent, 100), number) for percent in (10, 30)]
        assert by_cuts(rows, targets) == by_sorting(rows, targets)
        check = F.sum(F.col("rank") * (F.xxhash64("doc_id") % 1000))
        assert cuts.ranks(rows).agg(check).collect() == by_window(rows).agg(check).collect()
        contestants = {
            "cuts of top10 and top10-30": lambda: by_cuts(rows, targets),
            "cuts by SQL's row_number": lambda: by_sorting(rows, targets),
            "ranks of all rows": lambda: cuts.ranks(rows).agg(check).collect(),
            "ranks by SQL's rank": lambda: by_window(rows).agg(check).collect(),
        }
        print(f"{number:,} scores, a third of them equal (equal results)\n\n| | seconds |\n|---|---:|")
        for name, work in contestants.items():
            print(f"| {name} | {seconds(work):.1f} |")
        print(f"\n{machine(('pyspark', 'numba', 'numpy')).replace('One thread of', 'All cores of')}")
        spark.stop()


if __name__ == "__main__":
    main()
