"""What [[subsets]] choose from a finished corpus, against plain sorts of its scores; thresholds, tokens, exports."""

import hashlib
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import quicktok
from event_log import events_of, queries
from pyspark.sql import SparkSession
from runs import Built, reconfigured, table

from swallow_spark.errors import UsageError
from swallow_spark.files.storage import Root
from swallow_spark.report.sizes import exact_tokens
from swallow_spark.stages.export import tasks as export_stage
from swallow_spark.stages.export.step import Item, export
from swallow_spark.stages.run import Run
from swallow_spark.stages.select.step import selected

SUBSETS = """[
  {classifier='edu', bands=['top10', 'top10-30', 'top30-55.5']},
  {name='long', classifier='wiki', bands=['top20', 'top20-60'], by='characters'},
  {name='both', ranks={edu=2, wiki=0.5}, bands=['top25']},
  {name='either', union=['edu-top10', 'wiki-top10']},
  {name='agreed', intersection=['edu-top50', 'wiki-top50', 'both-top40']},
]""".replace("\n", " ")


SINGLE = ("edu-top10", "edu-top10-30", "edu-top30-55.5", "long-top20", "long-top20-60")


@pytest.fixture(scope="module")
def chosen(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished corpus with other subsets. Not to be changed."""
    return reconfigured(built.run, tmp_path_factory.mktemp("chosen"), [f"subsets={SUBSETS}"])


@pytest.fixture
def copied(built: Built, tmp_path: Path) -> Callable[[list[str]], Run]:
    """`copied(overrides)`: a copy of the finished corpus, selected with these."""
    return lambda overrides: reconfigured(built.run, tmp_path, overrides)


def scores_of(run: Run) -> dict[str, dict[int, float]]:
    return {
        name: {row["doc_id"]: row["score"] for row in table(run, f"scores/classifier={name}", "score")}
        for name in ("edu", "wiki")
    }


def lengths_of(run: Run) -> dict[int, int]:
    return {row["doc_id"]: row["num_chars"] for row in table(run, "pages", "ingest")}


def members(run: Run, name: str) -> set[int]:
    return {row["doc_id"] for row in table(run, f"subsets/{name}", "select")}


def ranked(scores: dict[int, float]) -> list[int]:
    return sorted(scores, key=lambda doc_id: (-scores[doc_id], doc_id))


def prefix(order: list[int], share: str, weights: dict[int, int] | None = None) -> int:
    """How many of the order, from the first, reach a share of the whole."""
    total = sum(weights[doc_id] for doc_id in order) if weights else len(order)
    number = reached = 0
    while reached < Fraction(share) * total:
        reached += weights[order[number]] if weights else 1
        number += 1
    return number


def test_subsets_are_those_of_plain_sorts(chosen: Run) -> None:
    scores, lengths = scores_of(chosen), lengths_of(chosen)
    edu, wiki = ranked(scores["edu"]), ranked(scores["wiki"])
    at = [prefix(edu, share) for share in ("0.1", "0.3", "0.555", "0.5")]
    assert len(edu) > 30
    assert members(chosen, "edu-top10") == set(edu[: at[0]])
    assert members(chosen, "edu-top10-30") == set(edu[at[0] : at[1]])
    assert members(chosen, "edu-top30-55.5") == set(edu[at[1] : at[2]])
    long = [prefix(wiki, share, lengths) for share in ("0.2", "0.6")]
    assert members(chosen, "long-top20") == set(wiki[: long[0]])
    assert members(chosen, "long-top20-60") == set(wiki[long[0] : long[1]])
    assert long[0] != prefix(wiki, "0.2")
    ranks = {
        name: {doc_id: 1 + sum(other > score for other in of.values()) for doc_id, score in of.items()}
        for name, of in scores.items()
    }
    both = ranked({doc_id: -(2 * ranks["edu"][doc_id] + ranks["wiki"][doc_id] / 2) for doc_id in edu})
    assert members(chosen, "both-top25") == set(both[: prefix(both, "0.25")])
    assert members(chosen, "either") == {*edu[: at[0]], *wiki[: prefix(wiki, "0.1")]}
    halves = {*edu[: at[3]]} & {*wiki[: at[3]]}
    assert members(chosen, "agreed") == halves & {*both[: prefix(both, "0.4")]}
    directory = chosen.corpus.root.local_path("subsets")
    names = ["agreed", "both-top25", "edu-top10", "edu-top10-30", "edu-top30-55.5", "either"]
    assert sorted(path.name for path in directory.iterdir()) == [
        *names,
        "long-top20",
        "long-top20-60",
        "thresholds.json",
    ]
    assert not chosen.corpus.root.directories("lookups"), "what was written on the way is gone"
    for row in table(chosen, "subsets/either", "select"):
        assert (row["score_edu"], row["score_wiki"]) == tuple(scores[name][row["doc_id"]] for name in ("edu", "wiki"))


def test_thresholds_give_back_their_own_corpus(chosen: Run) -> None:
    written = json.loads(chosen.corpus.root.read_bytes("subsets/thresholds.json"))
    assert set(written) == {"edu", "long", "both", "wiki"}
    scores, lengths = scores_of(chosen), lengths_of(chosen)

    def above(cut: dict[str, Any] | None, scores: dict[int, float]) -> set[int]:
        return {d for d, s in scores.items() if cut and (-s, d) <= (-cut["score"], cut["doc_id"])}

    for ranking, classifier in (("edu", "edu"), ("long", "wiki")):
        for band, last in written[ranking].items():
            assert len(above(last, scores[classifier])) == last["documents"]
            if f"{ranking}-{band}" not in SINGLE:
                continue  # part of `agreed`, or where another band begins, and no subset itself
            start = f"top{band.removeprefix('top').partition('-')[0]}" if "-" in band else ""
            found = above(last, scores[classifier]) - above(written[ranking].get(start), scores[classifier])
            assert found == members(chosen, f"{ranking}-{band}"), (ranking, band)
    assert set(written["edu"]) == {"top10", "top10-30", "top30", "top30-55.5", "top50"}
    down_to = above(written["long"]["top20-60"], scores["wiki"])
    assert written["long"]["top20-60"]["characters"] == sum(lengths[doc_id] for doc_id in down_to)


def test_thresholds_of_another_corpus(copied: Callable[[list[str]], Run]) -> None:
    subsets = "subsets=[{classifier='edu'}, {name='b', classifier='wiki', bands=['top5-100'], by='characters'}]"
    run = copied([subsets, "selection.thresholds={edu={'10'=1.5, '30'=0.75}, b={'5'=0.9, '100'=0}}"])
    scores = scores_of(run)
    assert members(run, "edu-top10") == {d for d, score in scores["edu"].items() if score >= 1.5}
    assert members(run, "edu-top10-30") == {d for d, score in scores["edu"].items() if 1.5 > score >= 0.75}
    assert members(run, "b-top5-100") == {d for d, score in scores["wiki"].items() if score < 0.9}
    written = json.loads(run.corpus.root.read_bytes("subsets/thresholds.json"))
    number = len(members(run, "edu-top10"))
    assert written["edu"]["top10"] == {"documents": number, "score": 1.5, "doc_id": None}
    assert selected(run, ["edu-top10"])
    with pytest.raises(UsageError, match="no such subset is configured"):
        selected(run, ["edu-top5"])


def test_bands_by_tokens(copied: Callable[[list[str]], Run]) -> None:
    settings = ["tokens.encoding=o200k_base", "subsets=[{classifier='edu', bands=['top10-40'], by='tokens'}]"]
    run = copied(settings)
    encoding = quicktok.get_encoding("o200k_base")
    counted = {row["doc_id"]: row["num_tokens"] for row in table(run, "tokens/accepted", "tokens")}
    texts = {row["doc_id"]: row["text"] for row in table(run, "pages", "ingest")}
    order = ranked(scores_of(run)["edu"])
    assert counted == {doc_id: encoding.count(texts[doc_id]) for doc_id in order}
    first, last = (prefix(order, share, counted) for share in ("0.1", "0.4"))
    assert members(run, "edu-top10-40") == set(order[first:last])
    assert exact_tokens(run.lineage, "edu-top10-40") is None


def lines(path: Path) -> list[dict[str, Any]]:
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
        return [json.loads(line) for line in stream.read().decode().splitlines()]


def exported(run: Run, output: Path, names: Sequence[str], format_: str, size: int, share: str = "1") -> Any:
    items = [Item(name, name, Fraction(share)) for name in names]
    return export(run, items, str(output), format_, size, 3, {})


@pytest.mark.parametrize("format_", ["jsonl.zst", "parquet"])
def test_exports_hold_their_subsets(chosen: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str) -> None:
    monkeypatch.setattr("swallow_spark.stages.export.step._LEAST_SHARD", 1)
    manifest = exported(chosen, tmp_path / "out", ["either", "edu-top10"], format_, 12_000)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
    sums = dict(reversed(line.split("  ")) for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines())
    for name, told in manifest["subsets"].items():
        expected = table(chosen, f"subsets/{name}", "select")
        rows = []
        assert len(told["shards"]) > 1
        for shard in told["shards"]:
            path = tmp_path / "out" / shard["file"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == shard["sha256"] == sums[shard["file"]]
            assert path.stat().st_size == shard["bytes"]
            own = pq.read_table(path).to_pylist() if format_ == "parquet" else lines(path)
            assert [row["doc_id"] for row in own] == sorted(row["doc_id"] for row in own)
            assert (own[0]["doc_id"], own[-1]["doc_id"]) == (shard["first_doc_id"], shard["last_doc_id"])
            assert (len(own), sum(len(row["text"]) for row in own)) == (shard["documents"], shard["characters"])
            rows += own
        for row in expected:
            if format_ != "parquet" and row["date"]:
                row["date"] = row["date"].strftime("%Y-%m-%dT%H:%M:%SZ")
        assert rows == sorted(expected, key=lambda row: int(row["doc_id"]))
        assert set(rows[0]) == set(manifest["columns"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "SHA256SUMS",
        "edu-top10",
        "either",
        "export.json",
        "manifest.json",
    ]


def test_no_text_crosses_a_shuffle_in_an_export(
    spark: SparkSession, event_log: Path, chosen: Run, tmp_path: Path
) -> None:
    events = events_of(spark, event_log, lambda: exported(chosen, tmp_path / "out", ["either"], "parquet", 1 << 20))
    found, outside = queries(events)
    assert [query.exchanges for query in found if query.exchanges_text] == []
    assert not any(query.reads_text for query in found), "tasks read texts themselves"
    assert any(query.exchanges for query in found), "bins are added up"
    assert outside == 0


def test_a_killed_export_goes_on(chosen: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swallow_spark.stages.export.step._LEAST_SHARD", 1)
    whole = exported(chosen, tmp_path / "whole", ["either"], "parquet", 12_000)
    assert len(whole["subsets"]["either"]["shards"]) > 1
    write = export_stage.write_shards

    def dies(spark: Any, settings: Any, shards: Sequence[export_stage.Shard]) -> None:
        write(spark, settings, shards[1:])
        raise KeyboardInterrupt

    monkeypatch.setattr(export_stage, "write_shards", dies)
    with pytest.raises(KeyboardInterrupt):
        exported(chosen, tmp_path / "out", ["either"], "parquet", 12_000)
    assert not (tmp_path / "out" / "manifest.json").exists()
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "either").iterdir()}
    (tmp_path / "out" / whole["subsets"]["either"]["shards"][0]["file"]).write_bytes(b"half")
    monkeypatch.setattr(export_stage, "write_shards", write)
    with pytest.raises(UsageError, match="holds another export"):
        exported(chosen, tmp_path / "out", ["either"], "parquet", 13_000)
    assert exported(chosen, tmp_path / "out", ["either"], "parquet", 12_000) == whole
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what was finished is not written again"
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert exported(chosen, tmp_path / "out", ["either"], "parquet", 12_000) == whole
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == again
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="neither empty nor an export"):
        exported(chosen, tmp_path / "full", ["either"], "parquet", 12_000)


def test_sampled_export_with_tokens(copied: Callable[[list[str]], Run], tmp_path: Path) -> None:
    run = copied(["tokens.encoding=llama3", "subsets=[{classifier='edu', bands=['top60']}]"])
    manifest = exported(run, tmp_path / "half", ["edu-top60"], "jsonl.zst", 1 << 20, "0.5")
    smaller = exported(run, tmp_path / "fifth", ["edu-top60"], "jsonl.zst", 1 << 20, "0.2")
    found = {
        name: {
            row["doc_id"]: row
            for shard in told["subsets"]["edu-top60"]["shards"]
            for row in lines(tmp_path / name / shard["file"])
        }
        for name, told in (("half", manifest), ("fifth", smaller))
    }
    everything = members(run, "edu-top60")
    assert set(found["fifth"]) < set(found["half"]) < everything
    assert 0.3 < len(found["half"]) / len(everything) < 0.7
    assert manifest["tokenizer"] == "llama3"
    counted = {row["doc_id"]: row["num_tokens"] for row in table(run, "tokens/edu-top60", "tokens")}
    assert set(counted) == everything
    assert all(row["num_tokens"] == counted[doc_id] > 0 for doc_id, row in found["half"].items())
    assert manifest["subsets"]["edu-top60"]["tokens"] == sum(counted[doc_id] for doc_id in found["half"])
    assert exact_tokens(run.lineage, "edu-top60") == sum(counted.values())


@pytest.mark.parametrize("format_", ["json", "parquet"])
def test_datasets_reads_exports(chosen: Run, tmp_path: Path, format_: str) -> None:
    import datasets  # here: it takes a second

    suffix = {"json": "jsonl.zst", "parquet": "parquet"}[format_]
    told = exported(chosen, tmp_path / "out", ["either"], suffix, 1 << 20)
    files = [str(tmp_path / "out" / shard["file"]) for shard in told["subsets"]["either"]["shards"]]
    loaded = datasets.load_dataset(format_, data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert set(loaded["doc_id"]) == members(chosen, "either")


def texts_of(doc_ids: Sequence[int]) -> pa.Table:
    """Rows of a subset, one for each doc_id."""
    rows = [
        dict.fromkeys(export_stage.SUBSETS.names)
        | {"doc_id": doc_id, "text": f"本文{doc_id}。" * 99, "num_chars": len(f"本文{doc_id}。" * 99)}
        for doc_id in doc_ids
    ]
    return pa.Table.from_pylist(rows, export_stage.SUBSETS)


def shard_of(doc_ids: Sequence[int], paths: Sequence[str], name: str = "s/s") -> export_stage.Shard:
    rows = texts_of([doc_id for doc_id in doc_ids if 3 < doc_id <= 90])
    characters = sum(rows.column("num_chars").to_pylist())
    return export_stage.Shard(name, 3, 90, rows.num_rows, characters, tuple(paths), (), Fraction(1))


@pytest.mark.parametrize("format_", export_stage.FORMATS)
def test_a_shard_is_the_same_bytes_however_its_subset_is_cut(tmp_path: Path, format_: str) -> None:
    doc_ids = list(range(1, 101))
    pq.write_table(texts_of(doc_ids), tmp_path / "whole.parquet")
    for number in range(3):
        pq.write_table(texts_of(doc_ids[number::3][::-1]), tmp_path / f"{number}.parquet", row_group_size=7)
    settings = export_stage.Export(Root(str(tmp_path)), Root(str(tmp_path / "out")), format_, (), False, 1)
    export_stage.write_shard(settings, shard_of(doc_ids, ["whole.parquet"], "one"))
    export_stage.write_shard(settings, shard_of(doc_ids, [f"{n}.parquet" for n in (2, 0, 1)], "other"))
    assert (tmp_path / "out" / "one").read_bytes() == (tmp_path / "out" / "other").read_bytes()


def test_a_shard_is_written_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of row groups that don't overlap, one is held at a time; counts of tokens come to their pages from files that are
    cut in another way."""
    monkeypatch.setattr(export_stage, "_ROW_GROUP_BYTES", 1)
    doc_ids = list(range(1, 101))
    counts = pa.Table.from_pylist([{"doc_id": d, "num_tokens": 7 * d} for d in doc_ids], export_stage.TOKENS)
    for number in range(2):
        own = doc_ids[number * 50 : number * 50 + 50]
        pq.write_table(texts_of(own), tmp_path / f"{number}.parquet", row_group_size=10)
        pq.write_table(counts.slice(number, 100 - number).take(list(range(0, 99, 2))), tmp_path / f"t{number}.parquet")
    settings = export_stage.Export(Root(str(tmp_path)), Root(str(tmp_path / "out")), "parquet", (), True, 1)
    shard = shard_of(doc_ids, ["1.parquet", "0.parquet"])
    read, begun = export_stage._read, list[int]()

    def noting(*arguments: Any) -> pa.Table:
        begun.append(arguments[2].first)
        return read(*arguments)

    monkeypatch.setattr(export_stage, "_read", noting)
    first = next(export_stage._in_order(settings, shard))
    assert (first.column("doc_id").to_pylist(), len(begun)) == ([4, 5, 6, 7, 8, 9, 10], 1)
    with pytest.raises(ValueError, match="not all of its pages' tokens"):
        export_stage.write_shard(settings, shard._replace(tokens=("t0.parquet",)))
    assert not (tmp_path / "out" / "unfinished").exists()
    export_stage.write_shard(settings, shard._replace(tokens=("t1.parquet", "t0.parquet")))
    found = pq.read_table(tmp_path / "out" / "s" / "s").to_pylist()
    assert [(row["doc_id"], row["num_tokens"]) for row in found] == [(d, 7 * d) for d in range(4, 91)]
    note = json.loads((tmp_path / "out" / "unfinished" / "s" / "s.json").read_text())
    assert (note["first_doc_id"], note["last_doc_id"], note["tokens"]) == (4, 90, sum(7 * d for d in range(4, 91)))


def test_rows_that_were_not_planned_are_noticed(tmp_path: Path) -> None:
    settings = export_stage.Export(Root(str(tmp_path)), Root(str(tmp_path / "out")), "parquet", (), False, 1)
    pq.write_table(texts_of([9, 3, 91, 5]), tmp_path / "x.parquet", row_group_size=1)
    shard = shard_of([9, 3, 91, 5], ["x.parquet"])
    export_stage.write_shard(settings, shard)
    assert pq.read_table(tmp_path / "out" / "s" / "s").column("doc_id").to_pylist() == [5, 9]
    with pytest.raises(ValueError, match="2 pages where 3 are due"):
        export_stage.write_shard(settings, shard._replace(documents=3))


def test_row_groups_suit_loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_stage, "_ROW_GROUP_BYTES", 5_000)
    settings = export_stage.Export(Root(str(tmp_path)), Root(str(tmp_path / "out")), "parquet", (), False, 1)
    pq.write_table(texts_of(range(4, 44)), tmp_path / "x.parquet")
    export_stage.write_shard(settings, shard_of(range(4, 44), ["x.parquet"]))
    metadata = pq.ParquetFile(tmp_path / "out" / "s" / "s").metadata
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sum(sizes) == 40
    assert len(sizes) > 5
    assert max(sizes) <= 1 + 5_000 // (3 * 4 * 99)
