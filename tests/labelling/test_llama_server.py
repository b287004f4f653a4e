"""Labelling against a real server: llama.cpp's, in this process, with a model of random weights made on the spot: no
network is needed.

xllamacpp is installed on Linux alone, so elsewhere these tests are skipped; on Linux it is an error if it is missing.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_llama import write_model

from swallow_spark.config.label import Label
from swallow_spark.config.training import Training
from swallow_spark.labelling.answers import GRAMMAR, parse_score
from swallow_spark.labelling.endpoint import Endpoint
from swallow_spark.labelling.label import label
from swallow_spark.training.train import train

if sys.platform != "linux":
    pytest.skip("xllamacpp is installed on Linux alone", allow_module_level=True)
import xllamacpp


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("model") / "random.gguf"
    write_model(path)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx, parameters.n_parallel, parameters.warmup, parameters.port = 16384, 2, False, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


def run(url: str, texts: Path, output: Path, **settings: Any) -> dict[str, Any]:
    section = Label(concurrency=2, **settings)
    return label(texts, output, Endpoint(url, "TEST_KEY", 60, 2), None, section, lambda _: None)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    lines = [{"text": f"{i}番目の{'研究論文旅行案内'[i % 8] * 20}。" * 3} for i in range(60)]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def test_labels_of_a_real_server_train_a_classifier(url: str, texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.parquet"
    settings: dict[str, Any] = {"constraint": "choice", "temperature": 1.0, "max_answer_tokens": 40}
    summary = run(url, texts, output, **settings)
    assert summary["labelled"] == 60
    assert summary["unparsable"] == summary["failed"] == summary["refused"] == 0
    assert summary["tokens"] > 60 * 300  # as the server counts them
    assert sum(entry["documents"] for entry in summary["scores"].values()) == 60
    rows = pq.read_table(output).to_pylist()
    assert all(row["answer"] == f"Educational score: {row['score']}" for row in rows)
    assert run(url, texts, output, **settings)["requests"] == 0
    others = tmp_path / "others.jsonl"  # for the scores that random weights don't give
    others.write_text("".join(json.dumps({"text": f"{score}点", "score": score}) + "\n" for score in range(4)))
    section = Training(held_out_fraction=0, epochs=1, dim=4, buckets=1000)
    trained = train("edu", [output, others], tmp_path / "edu.bin", section)
    assert sum(trained["examples"].values()) == 64


@pytest.mark.parametrize(("constraint", "used"), [("auto", "grammar"), ("json_schema", "json_schema")])
def test_the_server_takes_our_grammar_and_our_schema(
    constraint: str, used: str, url: str, texts: Path, tmp_path: Path
) -> None:
    """A model of random weights babbles as long as it may: the longest answer of the form still has its score."""
    summary = run(url, texts, tmp_path / "labels.jsonl", constraint=constraint, max_requests=1, max_answer_tokens=2500)
    assert summary["constraint"] == used
    (row,) = (json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines())
    assert row["outcome"] == "scored"
    assert row["answer"].startswith("{") == (constraint == "json_schema")


def test_a_text_beyond_the_context_is_one_failure(url: str, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "長" * 9000}) + "\n")
    summary = run(url, tmp_path / "texts.jsonl", tmp_path / "labels.jsonl", max_chars=9000)
    assert summary["failed"] == 1
    assert "context" in (tmp_path / "labels.jsonl").read_text()


def test_what_the_grammar_allows_is_what_the_parser_takes() -> None:
    assert GRAMMAR.splitlines()[0].endswith('"Educational score: " [0-3]')
    assert parse_score("基準1は満たす。\n\n満たさない。\nEducational score: 1") == 1
