from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.corpus import lookup_file as lookup

IDS = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 40), unique=True, max_size=30).map(sorted)


def batches(doc_ids: list[int], rows: int, **columns: pa.Array) -> list[pa.RecordBatch]:
    table = pa.table({"doc_id": pa.array(doc_ids, pa.int64()), **columns})
    return table.to_batches(max_chunksize=rows)


@settings(max_examples=60)
@given(doc_ids=IDS, rows=st.integers(1, 31), asked=st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 40)))
def test_finds_what_a_dict_finds(
    doc_ids: list[int], rows: int, asked: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lookup") / "kept"
    value = [i % 251 for i in doc_ids]
    parts = batches(doc_ids, rows, value=pa.array(value, pa.int32()), kept=pa.array([v > 9 for v in value], pa.bool_()))
    assert lookup.write(path, iter(parts)) == len(doc_ids)
    table = lookup.open_lookup(path)
    assert len(table) == len(doc_ids)
    asked += doc_ids[::2]
    expected = dict(zip(doc_ids, value, strict=True))
    mask, found = table.find(np.array(asked, np.int64))
    assert mask.tolist() == [i in expected for i in asked]
    assert table.doc_ids[found].tolist() == [i for i in asked if i in expected]
    if doc_ids:
        assert table.columns["value"].dtype == np.int32
        assert table.columns["value"][found].tolist() == [expected[i] for i in asked if i in expected]
        assert table.columns["kept"][found].tolist() == [expected[i] > 9 for i in asked if i in expected]


def test_is_mapped_not_read_and_opened_once(tmp_path: Path) -> None:
    lookup.write(tmp_path / "a" / "kept", iter(batches(list(range(1000)), 10)))
    table = lookup.open_lookup(tmp_path / "a" / "kept")
    assert isinstance(table.doc_ids, np.memmap)
    assert lookup.open_lookup(str(tmp_path / "a" / "kept")) is table
    assert not list((tmp_path / "a").glob(".*"))


def test_writing_again_replaces_the_table_and_an_open_one_is_not_reused(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    lookup.write(path, iter(batches([1, 2, 3], 2, n=pa.array([1, 1, 1]))))
    before = lookup.open_lookup(path)
    lookup.write(path, iter(batches([4], 2)))
    assert before.find(np.array([3, 4]))[0].tolist() == [True, False]  # what was opened stays readable
    after = lookup.open_lookup(path)
    assert after.find(np.array([3, 4]))[0].tolist() == [False, True]
    assert after.columns == {}


def test_nothing_at_all(tmp_path: Path) -> None:
    assert lookup.write(tmp_path / "kept", iter([])) == 0
    mask, found = lookup.open_lookup(tmp_path / "kept").find(np.array([1, 2]))
    assert mask.tolist() == [False, False]
    assert len(found) == 0
    with pytest.raises(FileNotFoundError):
        lookup.open_lookup(tmp_path / "none")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([*batches([1, 3], 2), *batches([3, 4], 2)], "ascend"),
        ([*batches([1, 3], 2), *batches([2], 2)], "ascend"),
        (batches([2, 1], 2), "ascend"),
        (batches([1, 1], 2), "ascend"),
        ([*batches([1], 1), *batches([2], 1, n=pa.array([1]))], "other columns"),
        (batches([1], 1, n=pa.array(["a"])), "n is string"),
        (batches([1, 2], 2, n=pa.array([1, None])), "null"),
        ([pa.record_batch({"n": pa.array([1])})], "first column"),
        ([pa.record_batch({"doc_id": pa.array([1], pa.int32())})], "int64"),
    ],
)
def test_wrong_batches_are_refused_and_leave_the_old_table(
    parts: list[pa.RecordBatch], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    lookup.write(path, iter(batches([7], 1)))
    with pytest.raises(ValueError, match=message):
        lookup.write(path, iter(parts))
    assert lookup.open_lookup(path).doc_ids.tolist() == [7]
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_the_identity_of_a_set_is_the_sum_of_its_parts_and_of_no_other_set() -> None:
    rng = np.random.default_rng(1)
    doc_ids = np.unique(rng.integers(1 << 53, 1 << 62, 10_000))
    whole = lookup.identity(doc_ids)
    parts = [lookup.identity(part) for part in np.array_split(rng.permutation(doc_ids), 7)]
    assert tuple(map(sum, zip(*parts, strict=True))) == whole == lookup.identity(doc_ids[::-1])
    assert whole.number == len(doc_ids)
    others = [np.delete(doc_ids, at) for at in range(200)]
    others += [np.where(doc_ids == doc_ids[at], doc_ids[at] + 1, doc_ids) for at in range(200)]
    assert len({whole, *map(lookup.identity, others)}) == 401
    assert lookup.identity(doc_ids[:0]) == (0, 0, 0)
