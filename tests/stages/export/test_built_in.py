"""Shards of pages that no `select` has written. No Spark: a shard is a function of files."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from swallow_spark.config.select import Cleanup
from swallow_spark.corpus import lookup_file
from swallow_spark.corpus.lookups import Lookups
from swallow_spark.files.storage import Root
from swallow_spark.stages.export import tasks
from swallow_spark.tables import PAGES

TEXTS = {
    1: "一つ目，本文．",
    2: "本文が長く続く。\n" * 3 + "Copyright",
    3: "お知らせ",  # `swallow` leaves nothing of it
    4: "mail@example.jp まで",
    5: "五つ目。",
}


def characters(texts: pa.Array) -> NDArray[np.int32]:
    return np.array([len(text) for text in texts.to_pylist()], np.int32)


def written(place: Path, members: list[int], shard: tasks.Shard, section: Cleanup) -> pa.Table:
    """The shard of these pages, whose rows are in two files and out of order."""
    for number, doc_ids in enumerate(([5, 1, 3], [4, 2])):
        pages = [
            dict.fromkeys(PAGES.names)
            | {"doc_id": doc_id, "url": f"u{doc_id}", "text": TEXTS[doc_id], "num_chars": len(TEXTS[doc_id])}
            | {"language_score": 1.0, "record_length": 9, "host": "h"}
            for doc_id in doc_ids
        ]
        pq.write_table(pa.Table.from_pylist(pages, PAGES), place / f"{number}.parquet", row_group_size=2)
    lookup_file.write(place / "members", iter([pa.record_batch({"doc_id": pa.array(members, pa.int64())})]))
    root = Root(str(place))
    pages = tasks.FromPages(Lookups(root, ".", ((members[0], "members"),), ()), section, None, lambda: characters)
    export = tasks.Export(root, Root(str(place / "out")), "parquet", (), with_tokens=True, seed=1, pages=pages)
    tasks.write_shard(export, shard)
    return pq.read_table(place / "out" / shard.file)


def shard_of(members: list[int], **more: int) -> tasks.Shard:
    sums = {"documents": len(members), "characters": sum(len(TEXTS[doc_id]) for doc_id in members)} | more
    return tasks.Shard("a/a", 0, 9, **sums, texts=("0.parquet", "1.parquet"), tokens=(), share=Fraction(1))


def test_members_in_order_cleaned_up_and_counted(tmp_path: Path) -> None:
    members = [1, 2, 3, 4]
    found = written(tmp_path, members, shard_of(members), Cleanup(mode="swallow", mask=("mail",)))
    assert found.column("doc_id").to_pylist() == [1, 2, 4], "page 3 is empty, page 5 no member"
    texts = ["一つ目、本文。", ("本文が長く続く。\n" * 3).rstrip(), "<MAIL> まで"]
    assert found.column("text").to_pylist() == texts
    assert found.column("num_chars").to_pylist() == found.column("num_tokens").to_pylist() == list(map(len, texts))
    assert found.column_names == ["doc_id", "url", "title", "text", "date", "num_chars", "num_tokens"]


def test_pages_that_were_not_planned_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 pages where 3 are due"):
        written(tmp_path, [1, 5], shard_of([1, 5], documents=3), Cleanup())


def test_a_shard_without_a_text_left_is_empty(tmp_path: Path) -> None:
    assert written(tmp_path, [3], shard_of([3]), Cleanup(mode="swallow")).num_rows == 0
