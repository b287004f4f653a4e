"""A corpus on disk: lock, numbers, manifests, sweeping."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from swallow_spark.config.load import load
from swallow_spark.corpus import corpus as module
from swallow_spark.corpus.corpus import Corpus, NumberedFile, Unit, lineage
from swallow_spark.errors import CorpusError, InputError, UsageError
from swallow_spark.pipeline import STAGES
from swallow_spark.stages.run import refuse_changes
from swallow_spark.stages.stage import Lineage
from swallow_spark.tables import BYTES_PER_FILE_NO, MAX_CRAWL_NO, InputFile

SCHEMA = pa.schema([pa.field("doc_id", pa.int64(), nullable=False)])


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus.open_or_create(str(tmp_path / "corpus"))


def file(name: str, size: int = 10, line: int | None = None) -> InputFile:
    return InputFile(f"data/{name}", f"/mirror/data/{name}", size, None, "warc", line)


def one_line(message: str) -> bool:
    return "\n" not in message and len(message) < 500


# ---- opening


def test_opens_what_was_made(corpus: Corpus) -> None:
    assert Corpus.open(corpus.root.location).crawls() == {}
    Corpus.open_or_create(corpus.root.location)


@pytest.mark.parametrize("location", ["/dev/null/x", "/dev/null/x/y", "/proc/none"])
def test_place_that_can_not_be_written(location: str) -> None:
    with pytest.raises(CorpusError, match=r"can't be written") as caught:
        Corpus.open_or_create(location)
    assert location in str(caught.value)
    assert one_line(str(caught.value))


def test_places_that_are_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no corpus there"):
        Corpus.open(str(tmp_path))
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(CorpusError, match="neither empty nor a corpus"):
        Corpus.open_or_create(str(tmp_path))
    with pytest.raises(CorpusError, match=str(tmp_path / "thesis.tex")):
        Corpus.open_or_create(str(tmp_path / "thesis.tex"))
    (tmp_path / "corpus.json").write_text('{"format": 99}')
    with pytest.raises(CorpusError, match="format 99"):
        Corpus.open(str(tmp_path))
    assert (tmp_path / "thesis.tex").read_text() == "mine"


# ---- numbers


def numbers(corpus: Corpus, crawl: str) -> dict[str, int]:
    return {entry.path.removeprefix("/mirror/data/"): entry.file_no for entry in corpus.inputs(crawl)}


def test_order_of_arguments_does_not_matter(tmp_path: Path) -> None:
    found = []
    for order, names in enumerate((["b", "a", "c"], ["c", "b", "a", "b"])):
        corpus = Corpus.open_or_create(str(tmp_path / str(order)))
        assert corpus.register("x", [file(name) for name in names]) == 3
        found.append(numbers(corpus, "x"))
    assert found[0] == found[1] == {"a": 0, "b": 1, "c": 2}


def test_later_inputs_are_appended_and_known_ones_keep_their_numbers(corpus: Corpus) -> None:
    corpus.register("x", [file("m"), file("n")])
    assert corpus.register("x", [file("a"), file("m"), file("z")]) == 2
    assert corpus.register("x", [file("z"), file("a")]) == 0
    assert numbers(corpus, "x") == {"m": 0, "n": 1, "a": 2, "z": 3}
    assert corpus.register("y", [file("m"), file("b")]) == 2
    assert numbers(corpus, "y") == {"b": 0, "m": 1}
    assert corpus.crawls() == {1: "x", 2: "y"}


def test_numbers_are_not_used_again_when_pages_are_gone(corpus: Corpus) -> None:
    corpus.register("x", [file("a"), file("b")])
    unit = Unit("ingest", "crawl=x/0")
    corpus.commit(unit, "print", {}, "", [], covers=[(0, 1)])
    assert corpus.pending("x") == []
    corpus.forget(unit)
    assert [entry.file_no for entry in corpus.pending("x")] == [0, 1]
    corpus.register("x", [file("0")])
    assert numbers(corpus, "x")["0"] == 2


def test_a_withdrawn_crawl_keeps_its_numbers_and_takes_them_up_again(corpus: Corpus) -> None:
    corpus.register("x", [file("a"), file("b", 5)])
    corpus.register("x", [file("c", 3 * BYTES_PER_FILE_NO)])
    corpus.register("y", [file("a")])
    corpus.withdraw("x")
    corpus.withdraw("x")  # as after an interruption
    assert (corpus.crawls(), corpus.pending("x")) == ({2: "y"}, [])
    assert corpus.register("z", [file("a")]) == 1
    assert corpus.crawls() == {2: "y", 3: "z"}
    # What comes again is known; what is new, or has changed, gets numbers that were never given.
    assert corpus.register("x", [file("new"), file("c", 3 * BYTES_PER_FILE_NO), file("b", 6)]) == 3
    assert corpus.crawls() == {1: "x", 2: "y", 3: "z"}
    assert numbers(corpus, "x") == {"c": 2, "b": 5, "new": 6}
    assert corpus._inputs("x")["file_no"].to_pylist() == [5, 2, 3, 4, 6]
    corpus.withdraw("x")
    assert corpus.register("x", [file("a"), file("b", 5), file("new")]) == 3
    assert numbers(corpus, "x") == {"a": 0, "b": 1, "new": 6}
    with pytest.raises(UsageError, match="crawls of their own"):
        corpus.register("x", [file("line", -1, line=2)])


def test_names_of_crawls_that_begin_alike(corpus: Corpus) -> None:
    for crawl in ("a", "a-b", "a.b", "a-000001", "0001-a"):
        corpus.register(crawl, [file(f"of-{crawl}")])
    for crawl in ("a", "a-b", "a.b", "a-000001", "0001-a"):
        assert numbers(corpus, crawl) == {f"of-{crawl}": 0}
    assert list(corpus.crawls().values()) == ["a", "a-b", "a.b", "a-000001", "0001-a"]
    corpus.commit(Unit("ingest", "crawl=a-b/0"), "print", {}, "", [], covers=[(0, 0)])
    assert len(corpus.pending("a")) == 1
    assert corpus.pending("a-b") == []


def test_changed_file_is_refused_and_an_unknown_size_is_no_change(corpus: Corpus) -> None:
    corpus.register("x", [file("a", 10), file("b", -1)])
    with pytest.raises(InputError, match="11 bytes, but it was registered with 10") as caught:
        corpus.register("x", [file("a", 11)])
    assert one_line(str(caught.value))
    assert corpus.register("x", [file("a", -1), file("b", 99)]) == 0


def test_files_beyond_4_gib_take_the_numbers_behind(corpus: Corpus) -> None:
    size = BYTES_PER_FILE_NO
    corpus.register("x", [file("a", 2 * size + 1), file("b", size), file("c", size + 1), file("d", 0)])
    assert numbers(corpus, "x") == {"a": 0, "b": 3, "c": 4, "d": 6}
    assert [entry.last_file_no for entry in corpus.inputs("x")] == [2, 3, 5, 6]
    rows = corpus._inputs("x").select(["file_no", "base_offset"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (0, 0), (1, size), (2, 2 * size), (3, 0), (4, 0), (5, size), (6, 0),
    ]  # fmt: skip
    corpus.register("x", [file("e")])
    assert numbers(corpus, "x")["e"] == 7


def test_lines_of_a_listing_are_numbers(corpus: Corpus) -> None:
    corpus.register("x", [file("c", -1, line=0), file("a", -1, line=7), file("b", -1, line=3)])
    assert numbers(corpus, "x") == {"c": 0, "a": 7, "b": 3}
    with pytest.raises(UsageError, match="crawls of their own"):
        corpus.register("x", [file("d", -1, line=7)])
    assert len(corpus.inputs("x")) == 3


def test_numbers_run_out(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="no numbers left"):
        corpus.register("x", [file("a", -1, line=2**21)])
    for crawl_no in range(1, MAX_CRAWL_NO + 1):  # as many empty tables: only their names are looked at
        corpus.root.write_atomically(f"inputs/{crawl_no:04}-c{crawl_no}-000000.parquet", b"")
    with pytest.raises(CorpusError, match="no numbers left"):
        corpus.register("new", [file("a")])


@pytest.mark.parametrize("crawl", ["", "a/b", "..", "-x", "a b", "日本", "x.", "a" * 101, "x\n"])
def test_names_that_are_no_directories(corpus: Corpus, crawl: str) -> None:
    with pytest.raises(UsageError, match="--crawl"):
        corpus.register(crawl, [file("a")])


# ---- units


def write(corpus: Corpus, unit: Unit, doc_ids: list[int], table: str = "pages") -> list[dict[str, Any]]:
    with corpus.outputs(unit, {table: SCHEMA}, {1: "x"}).open(0) as opened:
        opened.write(table, pa.RecordBatch.from_pydict({"doc_id": doc_ids}, SCHEMA), {"n": len(doc_ids)})
        return opened.written().to_pylist()  # type: ignore[no-any-return]


def test_unit_is_finished_for_its_fingerprint_and_upstream_alone(corpus: Corpus) -> None:
    unit = Unit("sketch", "crawl=x/0")
    assert corpus.manifest(unit) is None
    manifest = corpus.commit(unit, "print", {"a": 1}, "up", write(corpus, unit, [1, 2]), counts={"n": 5, "m": 1})
    assert corpus.is_finished(unit, "print", "up")
    assert not corpus.is_finished(unit, "other", "up")
    assert not corpus.is_finished(unit, "print", "other")
    assert manifest == corpus.manifest(unit)
    assert (manifest.rows("pages"), manifest.rows("none"), manifest.counts) == (2, 0, {"n": 7, "m": 1})
    again = corpus.commit(unit, "print", {"a": 1}, "up", write(corpus, unit, [1, 2]))
    assert lineage([manifest]) != lineage([again])  # what was made from the first is out of date
    assert lineage([manifest, again]) == lineage([again, manifest])


def test_new_commit_deletes_the_files_that_it_replaces(corpus: Corpus) -> None:
    unit, other = Unit("ingest", "crawl=x/0"), Unit("ingest", "crawl=x/1")
    old = corpus.commit(unit, "print", {}, "", write(corpus, unit, [1]))
    beside = corpus.commit(other, "print", {}, "", write(corpus, other, [9]))
    new = corpus.commit(unit, "print", {}, "", write(corpus, unit, [2]))
    assert corpus.root.files("pages") == sorted(f.path for m in (new, beside) for f in m.files)
    assert old.files[0].path not in corpus.root.files("")
    corpus.forget(unit)
    assert corpus.root.files("pages") == [beside.files[0].path]
    assert [m.unit for m in corpus.manifests("ingest")] == ["crawl=x/1"]


def test_units_are_in_the_order_of_their_commits_whatever_the_clock_says(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [datetime(2026, 1, day, tzinfo=UTC) for day in (5, 3, 7)]  # set back once
    monkeypatch.setattr(module, "datetime", SimpleNamespace(now=lambda zone: times.pop(0)))
    units = [Unit("ingest", f"crawl=x/{number}") for number in (2, 0, 1)]
    finished = [corpus.commit(unit, "print", {}, "", []).finished for unit in units]
    assert [time.day for time in finished] == [5, 5, 7]
    assert finished == sorted(set(finished))


def test_commit_deletes_what_failed_attempts_left_beside_its_files(corpus: Corpus) -> None:
    unit = Unit("ingest", "crawl=x/0")
    written = write(corpus, unit, [1, 2])
    left = f"{written[0]['path'].rpartition('/')[0]}/part-00000-0123456789ab-0.parquet"
    corpus.root.write_atomically(left, b"half a file")
    corpus.commit(unit, "f", {}, "u", written)
    assert not corpus.root.exists(left)
    assert corpus.root.exists(written[0]["path"])


def test_sweep_deletes_leftovers_and_nothing_else(corpus: Corpus) -> None:
    unit = Unit("ingest", "crawl=x/0")
    kept = corpus.commit(unit, "print", {}, "", write(corpus, unit, [1]))
    write(corpus, unit, [1])  # a run was killed before it could commit this
    write(corpus, Unit("score", "classifier=w/crawl=x/0"), [1], "scores/classifier=w")
    foreign = ["notes/mine.txt", "pages/crawl=x/README", "pages/crawl=x/mine/x.parquet", "models/abc.bin", "x-abc/1"]
    for path in foreign:
        corpus.root.write_atomically(path, b"mine")
    corpus.root.write_atomically("lookups/accepted-0123456789ab/x/doc_id.npy", b"")
    before = set(corpus.root.files(""))
    with corpus.lock():
        pass
    left = set(corpus.root.files(""))
    assert left == {*foreign, kept.files[0].path, unit.manifest, "corpus.json"}
    assert len(before - left) == 3


def test_kill_between_manifest_and_deletion_leaves_the_new_rows(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Unit("ingest", "crawl=x/0")
    corpus.commit(unit, "print", {}, "", write(corpus, unit, [1]))
    rows = write(corpus, unit, [2])
    with monkeypatch.context() as patch:
        patch.setattr(type(corpus.root), "delete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            corpus.commit(unit, "print", {}, "", rows)
    assert len(corpus.root.files("pages")) == 2
    with corpus.lock():
        pass
    assert corpus.root.files("pages") == [rows[0]["path"]]


def test_readers_open_listed_files_only(corpus: Corpus, spark: Any) -> None:
    unit, other = Unit("ingest", "crawl=x/0"), Unit("ingest", "crawl=x/1")
    first = corpus.commit(unit, "print", {}, "", write(corpus, unit, [1, 2]))
    corpus.commit(other, "print", {}, "", write(corpus, other, [3]))
    write(corpus, unit, [100])
    beside = first.files[0].path.rpartition("/")[0]
    corpus.root.write_atomically(f"{beside}/part-99999.parquet", b"an attempt was killed while it wrote this")

    def read(*manifests: Any) -> list[int]:
        return sorted(row.doc_id for row in corpus.read(spark, "pages", SCHEMA, manifests).collect())

    assert read(*corpus.manifests("ingest")) == [1, 2, 3]
    assert read(first) == [1, 2]
    assert read() == []


def test_damaged_manifest_is_told(corpus: Corpus) -> None:
    unit = Unit("ingest", "crawl=x/0")
    corpus.root.write_atomically(unit.manifest, b'{"stage": "inge')
    with pytest.raises(CorpusError, match=r"manifests/ingest/crawl=x/0\.json: damaged") as caught:
        corpus.pending("x")
    assert one_line(str(caught.value))


def test_ranges_of_batches_cover_inputs(corpus: Corpus) -> None:
    corpus.register("x", [file(f"{number:02}") for number in range(10)])
    corpus.commit(Unit("ingest", "crawl=x/0"), "print", {}, "", [], covers=[(0, 2), (5, 5)])
    corpus.commit(Unit("ingest", "crawl=x/1"), "print", {}, "", [], covers=[(9, 9)])
    corpus.commit(Unit("ingest", "crawl=y/0"), "print", {}, "", [], covers=[(3, 9)])
    assert [entry.file_no for entry in corpus.pending("x")] == [3, 4, 6, 7, 8]
    assert corpus.pending("x")[0] == NumberedFile(3, "/mirror/data/03", 10, "warc", "data/03")


# ---- changed stages


def test_changed_ingest_or_sketch_is_refused_with_the_difference_and_the_ways_out(corpus: Corpus) -> None:
    config = load("swallow-v2")
    prints = Lineage(STAGES, config, corpus)
    corpus.commit(Unit("ingest", "crawl=x/0"), prints.fingerprint("ingest"), config.ingest.meaning(), "", [])
    corpus.commit(Unit("sketch", "crawl=x/0"), prints.fingerprint("sketch"), config.sketch.meaning(), "", [])
    refuse_changes(Lineage(STAGES, config, corpus))
    other = load("swallow-v2", ["rules.bounds.num_letters={min=1,source='x'}", "execution.files_per_batch=1"])
    refuse_changes(Lineage(STAGES, other, corpus))
    for override, difference in (
        ("ingest.max_html_bytes=9999", f"ingest.max_html_bytes: {config.ingest.max_html_bytes} -> 9999"),
        ("sketch.bands=20", "sketch.bands: 40 -> 20"),
    ):
        stage = override.partition(".")[0]
        with pytest.raises(CorpusError) as caught:
            refuse_changes(Lineage(STAGES, load("swallow-v2", [override]), corpus))
        message = str(caught.value)
        assert difference in message
        assert "--set" in message
        assert f"discard --corpus DIR --stage {stage}" in message
        assert one_line(message)


def test_changed_program_is_refused_too(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load("swallow-v2")
    corpus.commit(
        Unit("ingest", "crawl=x/0"),
        Lineage(STAGES, config, corpus).fingerprint("ingest"),
        config.ingest.meaning(),
        "",
        [],
    )
    monkeypatch.setattr(module, "__version__", "9")
    monkeypatch.setattr("swallow_spark.kernels.html.html.VERSION", -1)
    with pytest.raises(CorpusError, match="of this program") as caught:
        refuse_changes(Lineage(STAGES, config, corpus))
    assert one_line(str(caught.value))
