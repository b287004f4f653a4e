"""Scores by models of the form of tokyotech-llm/edu-classifier, from the configuration to the table."""

import os
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fasttext as peer
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from runs import MakeRun

from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import Unit
from swallow_spark.kernels.classifiers import Preparation
from swallow_spark.stages.score import tasks as stage
from swallow_spark.stages.score.step import _ship_model
from swallow_spark.tables import SCORES

KINDS = ["売れた安い話題", "設定を開く方法", "手引きと解説書", "歴史学の研究論"]
WEIGHTS = "{__label__0 = 0, __label__1 = 1, __label__2 = 2, __label__3 = 3}"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """wiki.bin, llm_llama.bin, and the second one quantised."""
    directory, rng = tmp_path_factory.mktemp("released"), random.Random(5)
    lines = [f"__label__{i % 4} {''.join(rng.choices(KINDS[i % 4], k=80))}\n" for i in range(400)]
    (directory / "edu.txt").write_text("".join(lines))
    kinds = {"__label__0": "__label__neg", "__label__3": "__label__pos"}
    (directory / "wiki.txt").write_text("".join(kinds[x[:10]] + x[10:] for x in lines if x[:10] in kinds))
    settings: dict[str, Any] = {"minn": 2, "maxn": 3, "minCount": 5000, "bucket": 2000, "thread": 1, "verbose": 0}
    peer.train_supervised(str(directory / "wiki.txt"), dim=20, **settings).save_model(str(directory / "wiki.bin"))
    edu = peer.train_supervised(str(directory / "edu.txt"), dim=20, lr=0.5, **settings)
    edu.save_model(str(directory / "llm_llama.bin"))
    edu.quantize(str(directory / "edu.txt"), qnorm=True, verbose=0)
    edu.save_model(str(directory / "llm_llama.ftz"))
    return directory


loaded = cache(peer.load_model)


def expected(model: Path, text: str, weights: dict[str, float]) -> float:
    (labels,), (values,) = loaded(str(model)).predict([text.replace("\n", " ")], k=-1)
    return sum(weights.get(label, 0) * value for label, value in zip(labels, values, strict=True))


def counts_of_loads(spark: SparkSession) -> dict[int, tuple[int, int]]:
    """For each worker how many models it has opened, and how often it has had one already."""

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            found = stage._open.cache_info()
            yield pa.RecordBatch.from_pylist([{"worker": os.getpid(), "opened": found.misses, "had": found.hits}])

    rows = spark.range(4, numPartitions=4).mapInArrow(count, "worker long, opened long, had long").collect()
    return {row.worker: (row.opened, row.had) for row in rows}


def test_released_models_score_as_fasttext_does_and_are_loaded_once(
    spark: SparkSession, make_run: MakeRun, released: Path
) -> None:
    overrides = [
        f"classifiers={{wiki = {{path = '{released}/wiki.bin', weights = {{__label__pos = 1}}}}, "
        f"llama = {{path = '{released}/llm_llama.bin', weights = {WEIGHTS}}}, "
        f"small = {{path = '{released}/llm_llama.ftz', weights = {WEIGHTS}, newlines = 'nothing', nfkc = true}}}}",
        "subsets=[]",
    ]
    run = make_run([], overrides=overrides)
    rng = random.Random(6)
    texts = ["".join(rng.choices(KINDS[i % 4] + "\n", k=100)) for i in range(40)] + ["ﾌﾞﾝｼｮｳ\n研究論", ""]
    pages = spark.createDataFrame([(i + 1, text) for i, text in enumerate(texts)], "doc_id long, text string")
    accepted = lookups.ship(pages.where("doc_id != 3").select("doc_id"), run.corpus.root, "accepted", len(texts))
    models = {name: _ship_model(run, name) for name in run.config.classifiers}
    tables = {stage.table_of(name): SCORES for name in models}
    outputs = run.corpus.outputs(Unit("score", "crawl=c/0"), tables, {0: "c"})
    before = counts_of_loads(spark)
    written = stage.score(pages.repartition(4), accepted, models, outputs).collect()
    opened = {worker: counts[0] - before.get(worker, (0, 0))[0] for worker, counts in counts_of_loads(spark).items()}
    assert max(opened.values()) == len(models)  # by some tasks, each with several batches of pages
    assert set(opened.values()) <= {0, len(models)}

    scores: dict[str, dict[int, float]] = {name: {} for name in models}
    for row in written:
        table = pa.parquet.read_table(run.corpus.root.local_path(row["path"]), partitioning=None)
        scores[row["table"].partition("=")[2]] |= dict(
            zip(table["doc_id"].to_pylist(), table["score"].to_pylist(), strict=True)
        )
    edu = {f"__label__{value}": float(value) for value in range(4)}
    for i, text in enumerate(texts):
        if i + 1 == 3:
            assert all(3 not in found for found in scores.values())
            continue
        if not text:
            assert {found[i + 1] for found in scores.values()} == {0.0}
            continue
        assert scores["wiki"][i + 1] == pytest.approx(
            expected(released / "wiki.bin", text, {"__label__pos": 1}), abs=2e-5
        )
        assert scores["llama"][i + 1] == pytest.approx(expected(released / "llm_llama.bin", text, edu), abs=1e-4)
        prepared = Preparation("nothing", nfkc=True).apply(pa.array([text]))[0].as_py()
        assert scores["small"][i + 1] == pytest.approx(expected(released / "llm_llama.ftz", prepared, edu), abs=1e-4)
    assert len({round(value, 3) for value in scores["llama"].values()}) > 10
