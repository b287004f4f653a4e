import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from swallow_spark.training.examples import WIKI, read_examples
from swallow_spark.training.split import balance, near_duplicates, split


def test_the_split_depends_on_the_texts_alone(tmp_path: Path) -> None:
    rows = [{"text": f"{random.Random(i // 2).random()}", "label": "positive"} for i in range(2000)]  # each text twice
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    pq.write_table(pa.Table.from_pylist(rows[::-1]), tmp_path / "b.parquet")
    training, held_out = split(read_examples(WIKI, [tmp_path / "a.parquet"]), 0.2)
    assert len(training) + len(held_out) == 2000
    assert 300 < len(held_out) < 500
    assert not set(training.texts.to_pylist()) & set(held_out.texts.to_pylist())
    again, again_held_out = split(read_examples(WIKI, [tmp_path / "b.parquet"]), 0.2)
    assert again.texts.equals(training.texts)
    assert again_held_out.texts.equals(held_out.texts)
    assert len(split(read_examples(WIKI, [tmp_path / "a.parquet"]), 0.0)[1]) == 0


def variants(number: int) -> list[str]:
    """A text, and two that differ from it in a few characters."""
    rng = random.Random(number)
    text = "".join(rng.choice("春夏秋冬東西南北山川草木") for _ in range(400))
    return [text, text[:200] + "別" + text[201:], text[:-3] + "終わり"]


def test_near_duplicates_are_on_one_side(tmp_path: Path) -> None:
    rows = [{"text": text, "label": "positive"} for number in range(300) for text in variants(number)]
    random.Random(0).shuffle(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    training, held_out = split(read_examples(WIKI, [tmp_path / "a.parquet"]), 0.2)
    side = dict.fromkeys(training.texts.to_pylist(), "training")
    side |= dict.fromkeys(held_out.texts.to_pylist(), "held out")
    assert all(len({side[text] for text in variants(number)}) == 1 for number in range(300))
    assert 100 < len(held_out) < 260


def test_a_group_is_named_by_its_first_text() -> None:
    texts = [text for number in range(50) for text in variants(number)]
    order = np.random.default_rng(1).permutation(len(texts))
    found = near_duplicates(pa.array([texts[i] for i in order]))
    for position, first in enumerate(found):
        same = [other for other in range(len(order)) if order[other] // 3 == order[position] // 3]
        assert first == min(same)
    assert near_duplicates(pa.array([], pa.string())).shape == (0,)


def test_balance_takes_the_first_of_each_class(tmp_path: Path) -> None:
    rows = [{"text": f"{i}", "label": "positive" if i % 4 else "negative"} for i in range(20)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = balance(read_examples(WIKI, [tmp_path / "a.parquet"]))
    assert found.texts.to_pylist() == ["0", "1", "2", "3", "4", "5", "6", "8", "12", "16"]
