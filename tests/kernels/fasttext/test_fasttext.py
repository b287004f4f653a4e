"""The scorer against fastText itself, against a naive reference, and against damaged files."""

import random
import struct
from pathlib import Path
from typing import Any

import fasttext as peer
import naive_fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import DEMO_TEXTS, MODELS

from swallow_spark.errors import ModelError
from swallow_spark.kernels.classifiers import Preparation
from swallow_spark.kernels.fasttext import fasttext
from swallow_spark.kernels.fasttext.features import _append_rows

EDGE_CASES = [
    "春春春 本文1",
    "",
    " ",
    "　",
    "春　夏",
    "春\n夏",
    "\n",
    "\r\n\t\v\f",
    "a\0b",
    "前 </s> 後 春春春",
    "</s>",
    "</s>x",
    "__label__0 春",
    "__label__unknown 春",
    "x__label__0",
    "é😀ｶﾅ <b>",
    "< > <>",
    "𠮷野家" * 50,
    "春" * 500,
    "a b c " * 400,
    "漢" + "字" * 1000,
    "春夏a" * 200,
    "本文 " * 700,
    "é" * 255 + "𠮷" * 300,
    *("春" * length + " 夏" for length in range(505, 516)),
]
CHARACTERS = "春夏秋冬東西南北 　abcé😀<>"
PIECES = [*CHARACTERS, "\n", "\0", "本", "文", "1", " </s>", "__label__", "__label__0", "春春春"]
VARIANTS: dict[str, dict[str, Any]] = {
    "characters": {"minn": 2, "maxn": 3},
    "characters, no vocabulary": {"minn": 2, "maxn": 3, "minCount": 5000},
    "one character": {"minn": 1, "maxn": 2},
    "words": {"minn": 0, "maxn": 0},
    "word n-grams": {"minn": 0, "maxn": 0, "wordNgrams": 3},
    "both": {"minn": 1, "maxn": 4, "wordNgrams": 2},
    "more labels than dimensions": {"minn": 2, "maxn": 3, "dim": 2},
    "hierarchical softmax": {"minn": 2, "maxn": 3, "loss": "hs"},
    "hierarchical softmax of words, not multiplied out": {"minn": 0, "maxn": 0, "loss": "hs", "dim": 2},
    "one-vs-all": {"minn": 2, "maxn": 3, "loss": "ova"},
    "one-vs-all, word n-grams": {"minn": 1, "maxn": 4, "wordNgrams": 2, "loss": "ova"},
    "negative sampling": {"minn": 2, "maxn": 3, "loss": "ns"},
}
QUANTISED: dict[str, dict[str, Any]] = {
    "plain": {},
    "norms": {"qnorm": True, "dsub": 4},
    "pruned": {"qnorm": True, "cutoff": 400, "retrain": True, "thread": 1, "epoch": 1},
    "output too": {"qout": True},
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(7)
    path = tmp_path_factory.mktemp("examples") / "examples.txt"
    lines = []
    for i in range(400):
        noise = "".join(rng.choice(CHARACTERS) for _ in range(30))
        lines.append(f"__label__{i % 4} {'春夏秋冬'[i % 4] * 3} 本文{i % 7} {noise}\n")
    path.write_text("".join(lines))
    return path


def train(examples: Path, **options: Any) -> Any:
    defaults = {"dim": 9, "bucket": 2000, "thread": 1, "epoch": 5, "lr": 0.5, "verbose": 0}
    return peer.train_supervised(str(examples), **(defaults | options))


def peer_probabilities(path: Path, labels: list[str], texts: list[str]) -> np.ndarray:
    model = peer.load_model(str(path))
    result = np.zeros((len(texts), len(labels)))
    for row, text in zip(result, texts, strict=True):
        for label, value in zip(*(part[0] for part in model.predict([text.replace("\n", " ")], k=-1)), strict=True):
            row[labels.index(label)] = value
    return result


def assert_equals_peer(path: Path, texts: list[str] = EDGE_CASES) -> None:
    model = fasttext.load(path)
    assert model.labels == peer.load_model(str(path)).get_labels()
    got = model.probabilities(pa.array(texts))
    assert got.dtype == np.float32
    assert got.shape == (len(texts), len(model.labels))
    np.testing.assert_allclose(got, peer_probabilities(path, model.labels, texts), rtol=0, atol=1e-5)
    shared = path.with_name("shared")
    model.share(shared)
    again = fasttext.open_shared(shared)
    assert (again.labels, again.one_label_each) == (model.labels, model.one_label_each)
    assert (again.probabilities(pa.array(texts)) == got).all()


def test_a_shared_table_that_is_damaged_is_refused(examples: Path, tmp_path: Path) -> None:
    train(examples, minn=2, maxn=3).save_model(str(tmp_path / "model.bin"))
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    fasttext.load(tmp_path / "model.bin").share(whole)
    data = whole.read_bytes()
    zeroed = data[: len(data) // 2] + bytes(len(data) // 8) + data[len(data) // 2 + len(data) // 8 :]
    for wrong in (b"", data[:-100], data[: len(data) // 2], zeroed, b"PAR1" + data):
        damaged.write_bytes(wrong)
        with pytest.raises(ModelError, match="damaged"):
            fasttext.open_shared(damaged)


@pytest.mark.parametrize("variant", VARIANTS)
def test_dense_models_equal_fasttext(variant: str, examples: Path, tmp_path: Path) -> None:
    train(examples, **VARIANTS[variant]).save_model(str(tmp_path / "model.bin"))
    assert_equals_peer(tmp_path / "model.bin")


@pytest.mark.parametrize("variant", ["characters", "both", "one-vs-all"])
@pytest.mark.parametrize("quantised", ["plain", "norms", "pruned"])
def test_quantised_models_equal_fasttext(variant: str, quantised: str, examples: Path, tmp_path: Path) -> None:
    model = train(examples, **VARIANTS[variant])
    model.quantize(str(examples), verbose=0, **QUANTISED[quantised])
    model.save_model(str(tmp_path / "model.ftz"))
    assert_equals_peer(tmp_path / "model.ftz")


def test_quantised_output_equals_fasttext(tmp_path: Path) -> None:
    examples = tmp_path / "examples.txt"
    examples.write_text("".join(f"__label__{i % 300} 本文{i % 300}\n" for i in range(900)))
    model = train(examples, minn=1, maxn=2)
    model.quantize(str(examples), qout=True, verbose=0)
    model.save_model(str(tmp_path / "model.ftz"))
    assert_equals_peer(tmp_path / "model.ftz")


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples of 60 labels, some of equal and some of very different counts."""
    rng = random.Random(11)
    path = tmp_path_factory.mktemp("skewed") / "examples.txt"
    lines = [
        f"__label__{label} 本文{label}{rng.choice(CHARACTERS)}\n"
        for label in range(60)
        for _ in range(1 + 1500 // 2**label)
    ]
    rng.shuffle(lines)
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("dim", [8, 80])
@pytest.mark.parametrize("loss", ["softmax", "hs", "ova"])
def test_many_labels_equal_fasttext(loss: str, dim: int, skewed: Path, tmp_path: Path) -> None:
    train(skewed, loss=loss, minn=2, maxn=3, dim=dim, lr=1.0, epoch=20).save_model(str(tmp_path / "model.bin"))
    assert_equals_peer(tmp_path / "model.bin", [*EDGE_CASES, *(f"本文{label}" for label in range(60))])


@pytest.mark.parametrize("loss", ["softmax", "hs"])
def test_hundreds_of_labels_equal_fasttext(loss: str, tmp_path: Path) -> None:
    examples = tmp_path / "examples.txt"
    examples.write_text("".join(f"__label__{i % 300} 本文{i % 300}番{'春夏秋冬'[i % 4]}\n" for i in range(3000)))
    model = train(examples, loss=loss, minn=2, maxn=3, dim=8, lr=1.0, epoch=10)
    model.save_model(str(tmp_path / "model.bin"))
    assert len(model.get_labels()) == 300
    # For long repetitions fastText's single-precision sum is inexact: along nine branches by more than 1e-5.
    short = [text for text in EDGE_CASES if len(text) < 1000]
    assert_equals_peer(tmp_path / "model.bin", [*short, *(f"本文{label}番" for label in range(300))])


@pytest.mark.parametrize("loss", ["softmax", "hs", "ova"])
@pytest.mark.parametrize("labels", [1, 2, 3])
def test_few_labels_equal_fasttext(loss: str, labels: int, tmp_path: Path) -> None:
    examples = tmp_path / "examples.txt"
    examples.write_text("".join(f"__label__{i % labels} 本文{i % labels} 春夏{i}\n" for i in range(60)))
    train(examples, loss=loss, minn=2, maxn=3).save_model(str(tmp_path / "model.bin"))
    assert_equals_peer(tmp_path / "model.bin")


def real_texts() -> list[str]:
    texts = "\n".join(
        text for task in ("wiki", "edu") for text in pq.read_table(DEMO_TEXTS / f"{task}.parquet")["text"].to_pylist()
    )
    return [texts[at : at + 1500] for at in range(0, 1_500_000, 1500)]


@pytest.mark.parametrize("loss", ["hs", "ova"])
def test_a_thousand_real_texts_equal_fasttext_by_other_losses(loss: str, tmp_path: Path) -> None:
    texts = real_texts()
    examples = tmp_path / "examples.txt"
    lines = (f"__label__{i % 5} {text}".replace("\n", " ") for i, text in enumerate(texts[:250]))
    examples.write_text("\n".join(lines))
    train(examples, loss=loss, minn=2, maxn=3, minCount=5000, dim=16, bucket=20_000).save_model(str(tmp_path / "m.bin"))
    model = fasttext.load(tmp_path / "m.bin")
    got = model.probabilities(pa.array(texts))
    np.testing.assert_allclose(got, peer_probabilities(tmp_path / "m.bin", model.labels, texts), rtol=0, atol=1e-5)
    assert model.one_label_each == (loss == "hs")


@pytest.fixture(scope="module")
def small(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "model.bin"
    train(examples, minn=1, maxn=3, wordNgrams=2, dim=4, bucket=300).save_model(str(path))
    return path


@pytest.fixture(scope="module")
def trigrams(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with Swallow's features and with words."""
    path = tmp_path_factory.mktemp("trigrams") / "model.bin"
    train(examples, minn=2, maxn=3, dim=4, bucket=300).save_model(str(path))
    return path


@pytest.mark.parametrize("name", ["small", "trigrams"])
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), max_size=8))
def test_any_text_equals_the_naive_reference(name: str, request: pytest.FixtureRequest, texts: list[str]) -> None:
    path = request.getfixturevalue(name)
    minn, maxn, word_ngrams = (1, 3, 2) if name == "small" else (2, 3, 1)
    whole = peer.load_model(str(path))
    rows, output = whole.get_input_matrix().astype(float), whole.get_output_matrix().astype(float)
    model = fasttext.load(path)
    got = model.probabilities(pa.array(texts, pa.string()))
    for text, probabilities in zip(texts, got, strict=True):
        found = naive_fasttext.features(
            text, whole.get_words(), whole.get_labels(), buckets=300, minn=minn, maxn=maxn, word_ngrams=word_ngrams
        )
        logits = output @ rows[found].mean(axis=0)
        exponentials = np.exp(logits - logits.max())
        np.testing.assert_allclose(probabilities, exponentials / exponentials.sum() + 1e-5, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["demo-wiki", "demo-edu"])
def test_a_thousand_real_texts_equal_fasttext(name: str) -> None:
    documents = real_texts()
    path = MODELS / f"{name}.ftz"
    model = fasttext.load(path)
    got = model.probabilities(pa.array(documents))
    np.testing.assert_allclose(got, peer_probabilities(path, model.labels, documents), rtol=0, atol=1e-5)


@pytest.mark.parametrize("buckets", [1, 2, 300, 2_000_000, (1 << 28) - 57, 1 << 28])
def test_rows_are_remainders_exactly(buckets: int) -> None:
    rng = np.random.default_rng(buckets)
    multiples = np.arange(0, 1 << 32, max(buckets, 1 << 20), np.uint64) // buckets * buckets
    near = np.concatenate([multiples, multiples + np.uint64(buckets - 1), rng.integers(0, 1 << 32, 10_000, np.uint64)])
    hashes = np.append(near, np.array([0, (1 << 32) - 1], np.uint64)).astype(np.uint32)
    numbers = np.zeros(len(hashes), np.int32)
    count = _append_rows(hashes, len(hashes), buckets, np.zeros(0, np.int32), 7, numbers, 0)
    assert count == len(hashes)
    assert (numbers - 7 == hashes.astype(np.int64) % buckets).all()


def test_in_a_long_repetition_fasttexts_own_rounding_is_what_differs(small: Path) -> None:
    """fastText adds 180,000 rows in single precision, we in double: by the exact sum the difference is its error."""
    text = "漢" * 60_000
    whole = peer.load_model(str(small))
    rows, output = whole.get_input_matrix().astype(float), whole.get_output_matrix().astype(float)
    found = naive_fasttext.features(
        text, whole.get_words(), whole.get_labels(), buckets=300, minn=1, maxn=3, word_ngrams=2
    )
    exponentials = np.exp(output @ rows[found].mean(axis=0))
    exact = exponentials / exponentials.sum() + 1e-5
    model = fasttext.load(small)
    np.testing.assert_allclose(model.probabilities(pa.array([text]))[0], exact, rtol=0, atol=1e-6)
    np.testing.assert_allclose(peer_probabilities(small, model.labels, [text])[0], exact, rtol=0, atol=5e-3)


def test_slices_large_strings_nulls_and_batches_give_the_same(small: Path) -> None:
    model = fasttext.load(small)
    whole = model.probabilities(pa.array(EDGE_CASES))
    padded = pa.array(["x", "夏", *EDGE_CASES, "y"])
    assert (model.probabilities(padded.slice(2, len(EDGE_CASES))) == whole).all()
    assert (model.probabilities(pa.array(EDGE_CASES, pa.large_string())) == whole).all()
    assert (np.concatenate([model.probabilities(pa.array([text])) for text in EDGE_CASES]) == whole).all()
    assert (model.probabilities(pa.array([None, ""])) == whole[1]).all()
    assert model.probabilities(pa.array([], pa.string())).shape == (0, 4)


def test_texts_are_prepared_as_the_model_wants_them() -> None:
    texts = pa.array(["ＡＢ\nｶﾞ　夏", None])
    assert Preparation().apply(texts) == texts
    assert Preparation("nothing").apply(texts).to_pylist() == ["ＡＢｶﾞ　夏", None]
    assert Preparation(nfkc=True).apply(texts).to_pylist() == ["AB\nガ 夏", None]
    assert Preparation("nothing", nfkc=True, lower_case=True).apply(texts).to_pylist() == ["abガ 夏", None]


def test_a_text_without_features_scores_zero(examples: Path, tmp_path: Path) -> None:
    train(examples, minn=2, maxn=3, minCount=5000).save_model(str(tmp_path / "model.bin"))
    model = fasttext.load(tmp_path / "model.bin")
    assert (model.probabilities(pa.array(["", "</s> 春", "__label__0"])) == 0).all()


def test_expected_score_weighs_probabilities_without_the_artefact(small: Path) -> None:
    model = fasttext.load(small)
    probabilities = model.probabilities(pa.array(EDGE_CASES))
    weights = {f"__label__{i}": float(i) for i in range(4)}
    score = model.expected_score(probabilities, weights)
    column = {label: model.labels.index(label) for label in weights}
    naive = [
        sum(weights[label] * (row[column[label]] - 1e-5) for label in weights) for row in probabilities.astype(float)
    ]
    np.testing.assert_allclose(score, naive, rtol=0, atol=1e-12)
    assert score.dtype == np.float64
    assert score.min() >= 0
    assert score.max() <= 3
    everything = model.expected_score(probabilities, dict.fromkeys(model.labels, 1.0))
    np.testing.assert_allclose(everything, 1.0, rtol=0, atol=1e-6)


@pytest.mark.parametrize("loss", ["hs", "ova"])
def test_scores_of_labels_that_exclude_each_other_stay_within_the_weights(
    loss: str, examples: Path, tmp_path: Path
) -> None:
    train(examples, loss=loss, minn=2, maxn=3, lr=1.0, epoch=50).save_model(str(tmp_path / "model.bin"))
    model = fasttext.load(tmp_path / "model.bin")
    probabilities = model.probabilities(pa.array([kind * 20 for kind in "春夏秋冬"]))
    score = model.expected_score(probabilities, dict.fromkeys(model.labels, 2.0))
    if loss == "hs":
        assert score.max() == 2.0  # fastText's own 1e-5 for each branch would lead above it
    else:
        np.testing.assert_allclose(score, 2 * (probabilities - 1e-5).sum(axis=1), rtol=0, atol=1e-5)


def test_an_unknown_label_is_an_error_that_lists_the_labels(small: Path) -> None:
    model = fasttext.load(small)
    with pytest.raises(ModelError, match=r"no label __label__pos; its labels are .*__label__3"):
        model.expected_score(np.zeros((1, 4), np.float32), {"__label__pos": 1.0, "__label__0": 1.0})


@pytest.mark.parametrize("quantised", [False, True])
def test_every_cut_file_and_every_longer_one_is_refused(quantised: bool, examples: Path, tmp_path: Path) -> None:
    model = train(examples, minn=2, maxn=3, dim=4, bucket=300)
    path = tmp_path / ("model.ftz" if quantised else "model.bin")
    if quantised:
        model.quantize(str(examples), cutoff=280, qnorm=True, verbose=0)
    model.save_model(str(path))
    contents = path.read_bytes()
    broken = tmp_path / "broken.ftz"
    lengths = {*range(0, 600, 13), *range(0, len(contents), max(1, len(contents) // 150)), len(contents) - 1}
    for length in sorted(lengths):
        broken.write_bytes(contents[:length])
        with pytest.raises(ModelError, match=r"broken\.ftz"):
            fasttext.load(broken)
    broken.write_bytes(contents + b"\0")
    with pytest.raises(ModelError, match="1 bytes too many"):
        fasttext.load(broken)


def test_damaged_bytes_never_crash(examples: Path, tmp_path: Path) -> None:
    model = train(examples, minn=2, maxn=3, dim=4, bucket=300)
    model.quantize(str(examples), cutoff=280, qnorm=True, verbose=0)
    model.save_model(str(tmp_path / "model.ftz"))
    contents = (tmp_path / "model.ftz").read_bytes()
    rng = random.Random(3)
    refused = 0
    for offset in [*range(64), *(rng.randrange(len(contents)) for _ in range(300))]:
        damaged = bytearray(contents)
        damaged[offset] ^= 0xFF
        (tmp_path / "damaged.ftz").write_bytes(damaged)
        try:
            damaged_model = fasttext.load(tmp_path / "damaged.ftz")
        except ModelError:
            refused += 1
            continue
        damaged_model.probabilities(pa.array(["春春春 本文1"]))
    assert refused > 40


def test_what_is_no_classifier_is_refused(tmp_path: Path, examples: Path, small: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.bin: no such model file"):
        fasttext.load(tmp_path / "absent.bin")
    with pytest.raises(ModelError, match="no such model file"):
        fasttext.load(tmp_path)
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"empty\.bin"):
        fasttext.load(tmp_path / "empty.bin")
    (tmp_path / "text.bin").write_text("春は曙。" * 100)
    with pytest.raises(ModelError, match="magic number"):
        fasttext.load(tmp_path / "text.bin")
    vectors = peer.train_unsupervised(str(examples), dim=4, bucket=300, epoch=1, thread=1, verbose=0)
    vectors.save_model(str(tmp_path / "vectors.bin"))
    with pytest.raises(ModelError, match="word vectors, not a classifier"):
        fasttext.load(tmp_path / "vectors.bin")
    contents = bytearray(small.read_bytes())
    contents[-4:] = struct.pack("<f", float("nan"))
    (tmp_path / "nan.bin").write_bytes(contents)
    with pytest.raises(ModelError, match="not finite"):
        fasttext.load(tmp_path / "nan.bin")
