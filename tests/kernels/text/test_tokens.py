"""Token counts against the packages' own encodings, without special tokens."""

from pathlib import Path

import pyarrow as pa
import pytest
import quicktok
import tokenizers

from swallow_spark.errors import ModelError
from swallow_spark.kernels.text import tokens

TEXTS = ["日本語の文章です。", "", "<|endoftext|></s>[CLS]", "a" * 5_000, "改行\nと\u3000空白 😀"] * 120


def test_encodings_of_quicktok() -> None:
    for name in ("o200k_base", "llama3", "qwen3"):
        encoding = quicktok.get_encoding(name)
        expected = [len(encoding.encode_ordinary(text)) for text in TEXTS]
        counts = tokens.load(None, name)(pa.array(TEXTS))
        assert (counts.tolist(), counts.dtype) == (expected, "int32")
        assert counts[2] > 3, "what looks like a special token is text"
    with pytest.raises(ModelError, match="has no such encoding"):
        tokens.load(None, "no_such")


@pytest.fixture
def tokenizer_json(tmp_path: Path) -> Path:
    """Characters are tokens; by default <s> is put before a text, and long texts are truncated."""
    vocabulary = {c: i for i, c in enumerate(["<s>", "[UNK]", "</s>", *"日本語の文章です。a"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, "[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex("."), "isolated")
    made.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made.add_special_tokens(["<s>", "</s>"])
    made.enable_truncation(5)
    made.enable_padding(length=9)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


def test_tokenizer_json(tokenizer_json: Path) -> None:
    counts = tokens.load(tokenizer_json, None)(pa.array(["日本語の文章です。", "", "a</s>"]))
    assert counts.tolist() == [9, 0, 5]
    (tokenizer_json.parent / "broken.json").write_text("{}")
    with pytest.raises(ModelError, match=r"broken\.json: can't read this tokenizer"):
        tokens.load(tokenizer_json.parent / "broken.json", None)


def test_versions(tokenizer_json: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tokens.versions(None, None) == {}
    assert set(tokens.versions(tokenizer_json, None)) == {"tokens", "tokenizers"}

    def missing(name: str) -> str:
        raise tokens.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(tokens.metadata, "version", missing)
    with pytest.raises(ModelError, match="needs the package quicktok-v1: pip install quicktok-v1"):
        tokens.versions(None, "llama3")
