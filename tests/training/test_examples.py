import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swallow_spark.errors import InputError, UsageError
from swallow_spark.training.examples import EDU, WIKI, find_task, prepare_text, read_examples


def test_parquet_and_jsonl_give_the_same_examples(tmp_path: Path) -> None:
    rows = [
        {"text": f"本文{i}\n二行目" + "長" * 100_000 * (i == 3), "score": i % 4, "source": f"s: {i}"} for i in range(8)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    with pa.CompressedOutputStream(str(tmp_path / "a.jsonl.zst"), "zstd") as file:
        file.write(lines)
    expected = read_examples(EDU, [tmp_path / "a.parquet"])
    assert expected.classes.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert expected.texts.to_pylist() == [row["text"] for row in rows]
    assert expected.sources[7] == "s: 7"
    assert expected.licenses == ["unknown"] * 8
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst"):
        found = read_examples(EDU, [tmp_path / name])
        assert found.texts.equals(expected.texts)
        assert found.classes.tolist() == expected.classes.tolist()
    assert len(read_examples(EDU, [tmp_path / "a.jsonl", tmp_path / "a.parquet"])) == 16


def test_columns_that_are_not_used_may_have_any_types(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": "あ", "label": "positive", "id": 1, "source": "2024-01-01", "meta": {"a": [1]}},
        {"text": "い", "label": "negative", "id": "a-2", "source": "2024-01-02", "meta": "none"},
        {"text": "う", "label": "negative", "id": None, "source": 3, "license": None},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_examples(WIKI, [tmp_path / "a.jsonl"])
    assert found.texts.to_pylist() == ["あ", "い", "う"]
    assert found.sources == ["2024-01-01", "2024-01-02", "3"]
    assert found.licenses == ["unknown"] * 3
    (tmp_path / "parts").mkdir()
    for number, row in enumerate(rows):
        used = {name: [row[name]] for name in ("text", "label", "id")}
        pq.write_table(pa.table(used), tmp_path / f"parts/{number}.parquet")
    assert read_examples(WIKI, [tmp_path / "parts"]).texts.to_pylist() == ["あ", "い", "う"]


def test_scores_of_several_types(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": "x", "score": s}) + "\n" for s in (2, 2.0, "2")))
    assert read_examples(EDU, [tmp_path / "a.jsonl"]).classes.tolist() == [2, 2, 2]
    (tmp_path / "a.jsonl").write_text('{"text": "x", "score": true}\n')
    with pytest.raises(InputError, match="holds True"):
        read_examples(EDU, [tmp_path / "a.jsonl"])


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.string_view()], ids=str)
def test_text_that_is_not_marked_as_such(kind: pa.DataType, tmp_path: Path) -> None:
    texts, labels = pa.array(["あ", "い"]).cast(kind), pa.array(["positive", "negative"]).cast(kind)
    for columns in (
        {"text": texts, "label": labels},
        {"text": texts, "label": labels.cast(pa.binary()).dictionary_encode()},
    ):
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        found = read_examples(WIKI, [tmp_path / "a.parquet"])
        assert found.texts.to_pylist() == ["あ", "い"]
        assert found.classes.tolist() == [1, 0]
    pq.write_table(pa.table({"text": pa.array([b"\xff"]), "label": ["positive"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="can't read"):
        read_examples(WIKI, [tmp_path / "a.parquet"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": ["a"], "score": [1]}, "no column 'label'; it has text, score"),
        ({"body": ["a"], "label": ["positive"]}, "no column 'text'"),
        ({"text": ["a"], "label": ["good"]}, "holds good; allowed: negative, positive"),
        ({"text": ["a", None], "label": ["positive", "negative"]}, "column 'text' holds nulls"),
        ({"text": [1], "label": ["positive"]}, "'text' is int64"),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}, "no examples"),
    ],
)
def test_wrong_examples_name_the_file(table: dict[str, list[object]], message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(table), tmp_path / "wrong.parquet")
    with pytest.raises(InputError, match=message) as error:
        read_examples(WIKI, [tmp_path / "wrong.parquet"])
    assert "wrong.parquet" in str(error.value)


def test_unreadable_files_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "cut.jsonl").write_text('{"text": "a", "label":')
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])
    (tmp_path / "other.csv").write_text("text,label\n")
    for name in ("cut.parquet", "cut.jsonl", "cut.jsonl.gz", "other.csv", "absent.parquet", "absent.jsonl"):
        with pytest.raises(InputError, match=name):
            read_examples(WIKI, [tmp_path / name])
    with pytest.raises(InputError, match="no examples"):
        read_examples(WIKI, [])
    with pytest.raises(UsageError, match="one of wiki, edu"):
        find_task("news")


def test_scores_may_be_whole_floats_only(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "score": [3.0, 0.0]}), tmp_path / "a.parquet")
    assert read_examples(EDU, [tmp_path / "a.parquet"]).classes.tolist() == [3, 0]
    pq.write_table(pa.table({"text": ["a", "b"], "score": [2.5, 0.0]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"holds 2\.5"):
        read_examples(EDU, [tmp_path / "a.parquet"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("一行\n二行", "一行 二行"),
        ("__label__positive 本文", " 本文"),
        ("本文 __label__a\t__label__b", "本文 \t"),
        ("本文__label__a　__label__b", "本文__label__a　__label__b"),
        ("前 </s> 後", "前 "),
        ("前</s> 後</s>", "前</s> 後</s>"),
        ("</s>", ""),
    ],
)
def test_prepared_texts_are_one_line_without_labels(text: str, line: str) -> None:
    assert prepare_text(text) == line
