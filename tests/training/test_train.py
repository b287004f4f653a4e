import hashlib
import json
from pathlib import Path
from typing import Any

import fasttext as peer
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import DEMO_TEXTS, MODELS

from swallow_spark.config.load import load
from swallow_spark.config.training import Training
from swallow_spark.errors import ConfigError, InputError, ModelError, UsageError
from swallow_spark.kernels.fasttext import fasttext
from swallow_spark.training.evaluate import calibration, evaluate
from swallow_spark.training.examples import EDU
from swallow_spark.training.train import train as train_model

KINDS = ["売れた安い話題", "設定を開く方法", "手引きと解説書", "歴史学の研究論"]
SMALL: dict[str, Any] = {"buckets": 2000, "kept_buckets": 500, "epochs": 40, "dim": 4}


def train(task: str, inputs: list[Path], output: Path, demonstration: bool = False, **settings: Any) -> dict[str, Any]:
    return train_model(task, inputs, output, Training(**settings), demonstration=demonstration)


def sentences(kind: int, number: int) -> str:
    rng = np.random.default_rng([kind, number])
    return "。\n".join("".join(rng.choice(list(KINDS[kind]), 20)) for _ in range(4))


@pytest.fixture(scope="module")
def edu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "edu.parquet"
    rows = [
        {"text": sentences(kind, i), "score": kind, "source": f"made up: {i}", "license": "CC0-1.0"}
        for i in range(60)
        for kind in range(4)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_training_learns_and_describes_itself(edu: Path, tmp_path: Path) -> None:
    summary = train("edu", [edu], tmp_path / "new" / "edu.bin", demonstration=True, **SMALL)
    model = tmp_path / "new" / "edu.bin"
    assert summary["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert sum(summary["examples"].values()) + summary["metrics"]["documents"] == 240
    assert summary["metrics"]["accuracy_4"] == 1.0
    assert summary["metrics"]["rmse"] < 0.2
    assert sorted(fasttext.load(model).labels) == EDU.labels
    card = json.loads((tmp_path / "new" / "edu.bin.card.json").read_text())
    assert card["sources"] == {"made up": 240}
    assert card["licenses"] == {"CC0-1.0": 240}
    assert card["metrics"] == summary["metrics"]
    assert "demonstration model" in (tmp_path / "new" / "edu.bin.card.md").read_text()
    assert sorted(path.name for path in model.parent.iterdir()) == ["edu.bin", "edu.bin.card.json", "edu.bin.card.md"]


@pytest.mark.parametrize("suffix", ["bin", "ftz"])
def test_the_same_examples_give_the_same_bytes(suffix: str, edu: Path, tmp_path: Path) -> None:
    table = pq.read_table(edu)
    pq.write_table(table.slice(100), tmp_path / "b.parquet")
    pq.write_table(table.slice(0, 100), tmp_path / "c.parquet")
    train("edu", [edu], tmp_path / "one" / f"m.{suffix}", **SMALL)
    train("edu", [tmp_path / "b.parquet", tmp_path / "c.parquet"], tmp_path / "two" / f"m.{suffix}", **SMALL)
    for name in (f"m.{suffix}", f"m.{suffix}.card.json", f"m.{suffix}.card.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_labels_in_a_text_do_not_label_it(tmp_path: Path) -> None:
    rows = [{"text": f"__label__negative {KINDS[3]}{i} </s> {KINDS[0]}", "label": "positive"} for i in range(50)] + [
        {"text": f"__label__positive {KINDS[0]}{i} __label__other", "label": "negative"} for i in range(50)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    train("wiki", [tmp_path / "a.parquet"], tmp_path / "m.bin", held_out_fraction=0, **SMALL)
    model = fasttext.load(tmp_path / "m.bin")
    assert sorted(model.labels) == ["__label__negative", "__label__positive"]
    score = model.expected_score(model.probabilities(pa.array([KINDS[3], KINDS[0]])), {"__label__positive": 1})
    assert score[0] > 0.9
    assert score[1] < 0.1


def test_evaluate_measures_what_swallow_measured(edu: Path, tmp_path: Path) -> None:
    train("edu", [edu], tmp_path / "m.ftz", **SMALL)
    # Labels moved by one for every third document, so that the measures are not those of a perfect model.
    table = pq.read_table(edu)
    true = np.array([min(3, score + (i % 3 == 0)) for i, score in enumerate(table["score"].to_pylist())])
    pq.write_table(pa.table({"text": table["text"], "score": true}), tmp_path / "moved.parquet")
    result = evaluate("edu", tmp_path / "m.ftz", [tmp_path / "moved.parquet"])
    whole = peer.load_model(str(tmp_path / "m.ftz"))
    predicted, expected = [], []
    for text in table["text"].to_pylist():
        labels, values = (part[0] for part in whole.predict([text.replace("\n", " ")], k=-1))
        scores = [int(label.removeprefix("__label__")) for label in labels]
        predicted.append(scores[0])
        expected.append(sum(score * value for score, value in zip(scores, values, strict=True)))
    difference = np.array(expected) - true
    assert result["documents"] == 240
    assert result["accuracy"] == result["accuracy_4"] == pytest.approx((np.array(predicted) == true).mean())
    assert result["accuracy_4"] < 0.9
    assert result["rmse"] == pytest.approx(np.sqrt((difference**2).mean()), abs=1e-4)
    assert result["mae"] == pytest.approx(np.abs(difference).mean(), abs=1e-4)
    assert result["accuracy_2"] == pytest.approx(((np.array(expected) >= 1.5) == (true >= 1.5)).mean())
    confusion = [[int(((true == t) & (np.array(predicted) == p)).sum()) for p in range(4)] for t in range(4)]
    assert result["confusion"] == confusion


def test_released_label_names_are_understood_and_others_refused(edu: Path, tmp_path: Path) -> None:
    for name, labels in {
        "released": ("__label__neg", "__label__pos"),
        "reversed": ("__label__positive", "__label__negative"),
        "other": ("__label__ja", "__label__en"),
    }.items():
        (tmp_path / "lines.txt").write_text("".join(f"{labels[i % 2]} {KINDS[i % 2 * 3]}{i}\n" for i in range(100)))
        peer.train_supervised(
            str(tmp_path / "lines.txt"), dim=4, bucket=2000, minn=2, maxn=3, epoch=40, lr=0.5, thread=1, verbose=0
        ).save_model(str(tmp_path / f"{name}.bin"))
    pq.write_table(
        pa.table({"text": [KINDS[0], KINDS[3]], "label": ["negative", "positive"]}), tmp_path / "wiki.parquet"
    )
    assert evaluate("wiki", tmp_path / "released.bin", [tmp_path / "wiki.parquet"])["accuracy"] == 1.0
    assert evaluate("wiki", tmp_path / "reversed.bin", [tmp_path / "wiki.parquet"])["accuracy"] == 0.0
    with pytest.raises(ModelError, match=r"not a model for the task wiki: its labels are .*__label__en"):
        evaluate("wiki", tmp_path / "other.bin", [tmp_path / "wiki.parquet"])
    with pytest.raises(ModelError, match="not a model for the task edu"):
        evaluate("edu", tmp_path / "released.bin", [edu])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learning_rate=nan", "training.learning_rate"),
        ("epochs=0", "training.epochs"),
        ("buckets=100", "training.buckets"),
        ("minn=4", r"minn \(4\) is above maxn \(3\)"),
        ("held_out_fraction=1.0", "training.held_out_fraction"),
        ("kept_buckets=100", "kept_buckets: must be 0"),
        ("epoch=3", "did you mean epochs"),
    ],
)
def test_impossible_parameters_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load("demo", [f"training.{override}"])


def test_classes_are_balanced_where_asked(edu: Path, tmp_path: Path) -> None:
    table = pq.read_table(edu).to_pylist()
    few = [row for i, row in enumerate(table) if row["score"] or i % 3 == 0]
    pq.write_table(pa.Table.from_pylist(few), tmp_path / "few.parquet")
    counts = {
        balanced: train("edu", [tmp_path / "few.parquet"], tmp_path / "m.bin", balanced=balanced, **SMALL)["examples"]
        for balanced in (False, True)
    }
    assert min(counts[False].values()) < max(counts[False].values())
    assert set(counts[True].values()) == {min(counts[False].values())}


def test_autotune_finds_parameters_and_says_which(edu: Path, tmp_path: Path) -> None:
    summary = train("edu", [edu], tmp_path / "m.bin", autotune_seconds=3, buckets=2000, epochs=1, learning_rate=0.01)
    assert summary["parameters"]["epochs"] != 1
    assert summary["parameters"]["learning_rate"] != 0.01
    assert (summary["parameters"]["minn"], summary["parameters"]["maxn"]) == (2, 3)
    assert fasttext.load(tmp_path / "m.bin").probabilities(pa.array(["本文"])).shape == (1, 4)


def test_labels_of_an_llm_are_examples_where_they_have_a_score(edu: Path, tmp_path: Path) -> None:
    rows = [row | {"outcome": "scored", "model": "m", "prompt": "p-1"} for row in pq.read_table(edu).to_pylist()] + [
        {"text": "拒否", "score": None, "outcome": "refused", "model": "m", "prompt": "p-1"}
    ] * 3
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "labels.parquet")
    summary = train("edu", [tmp_path / "labels.parquet"], tmp_path / "m.bin", **SMALL)
    assert sum(summary["examples"].values()) + sum(summary["held_out_examples"].values()) == 240
    card = (tmp_path / "m.bin.card.md").read_text()
    assert "| m, prompt p-1 | 240 |" in card
    assert "| share |" in card


def test_calibration_compares_confidence_with_accuracy() -> None:
    confidence = np.array([0.55, 0.55, 0.95, 0.95, 0.95, 0.95], np.float32) + np.float32(1e-5)
    found = calibration(confidence, np.array([True, False, True, True, True, False]))
    assert [(row["documents"], row["accuracy"]) for row in found["bins"]] == [(2, 0.5), (4, 0.75)]
    assert found["expected_error"] == pytest.approx((2 * 0.05 + 4 * 0.2) / 6, abs=1e-6)


def test_other_wrong_uses(edu: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.bin"):
        train("edu", [edu], tmp_path / "model")
    pq.write_table(pq.read_table(edu).slice(0, 1), tmp_path / "one.parquet")
    with pytest.raises(InputError, match="no training example of score 1, 2, 3"):
        train("edu", [tmp_path / "one.parquet"], tmp_path / "m.bin", held_out_fraction=0)


def test_a_diverged_model_is_never_written(edu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Diverged:
        def get_input_matrix(self) -> np.ndarray:
            return np.array([[0.0, np.nan]])

        def get_output_matrix(self) -> np.ndarray:
            return np.zeros((4, 2))

    monkeypatch.setattr(peer, "train_supervised", lambda *_, **__: Diverged())
    with pytest.raises(ModelError, match="lower learning rate"):
        train("edu", [edu], tmp_path / "m.bin", **SMALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", ["wiki", "edu"])
def test_demonstration_models_are_what_their_cards_say(task: str) -> None:
    model = MODELS / f"demo-{task}.ftz"
    card = json.loads(model.with_name(f"{model.name}.card.json").read_text())
    assert card["demonstration"]
    assert card["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert model.stat().st_size < 500_000
    assert evaluate(task, model, [DEMO_TEXTS / f"{task}.parquet"])["accuracy"] > 0.95


def test_a_demonstration_model_is_reproduced(tmp_path: Path) -> None:
    """By the documented call. Other processors may round otherwise, so the bytes are compared through the scores."""
    examples = DEMO_TEXTS / "wiki.parquet"
    train("wiki", [examples], tmp_path / "demo-wiki.ftz")
    texts = pq.read_table(examples)["text"].combine_chunks()
    again, shipped = (
        fasttext.load(tmp_path / "demo-wiki.ftz"),
        fasttext.load(MODELS / "demo-wiki.ftz"),
    )
    assert again.labels == shipped.labels
    np.testing.assert_allclose(again.probabilities(texts), shipped.probabilities(texts), rtol=0, atol=1e-3)
