"""Damage in a corpus: found, told, and taken back so that it is done again."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from swallow_spark.cli import app
from swallow_spark.corpus.corpus import Corpus, Unit, unlisted_directories
from swallow_spark.corpus.integrity import Damage, confirmed, damages, repair
from swallow_spark.errors import CorpusError
from swallow_spark.files.storage import Root
from swallow_spark.pipeline import STAGES
from swallow_spark.tables import SKETCHES, InputFile

UNITS = (Unit("sketch", "crawl=c/0"), Unit("sketch", "crawl=c/1"), Unit("ingest", "crawl=c/0"))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = Corpus.open_or_create(str(tmp_path / "corpus"))
    for unit in UNITS:
        write(made, unit)
    return made


def write(corpus: Corpus, unit: Unit) -> None:
    outputs = corpus.outputs(unit, {"sketches": SKETCHES}, {1: "c"})
    row = {"doc_id": 1, "bands": list(range(40)), "sketch": bytes(range(100)), "text_hash": 7}
    with outputs.open(0) as opened:
        opened.write("sketches", pa.RecordBatch.from_pylist([row] * 100, SKETCHES))
        corpus.commit(unit, "f", {}, "u", opened.written().to_pylist(), counts={"records": 0})


def found_in(corpus: Corpus, *, content: bool = False) -> list[Damage]:
    return damages(corpus, corpus.stored(), content=content)


def leftovers(corpus: Corpus) -> list[str]:
    return unlisted_directories(corpus.stored())


def repaired(corpus: Corpus, crawl: str | None, told: list[str]) -> None:
    with corpus.lock(lambda opened, found: repair(opened, found, crawl, STAGES.again, told.append)):
        assert unlisted_directories(corpus.stored()) == []


def path_of(corpus: Corpus, unit: Unit) -> Path:
    manifest = corpus.manifest(unit)
    assert manifest
    return corpus.root.local_path(manifest.files[0].path)


def test_a_whole_corpus_has_no_damage(corpus: Corpus) -> None:
    assert found_in(corpus, content=True) == []
    assert leftovers(corpus) == []
    told: list[str] = []
    repaired(corpus, None, told)
    assert told == []


def test_files_that_are_gone_or_cut_are_found(corpus: Corpus) -> None:
    path_of(corpus, UNITS[0]).unlink()
    cut = path_of(corpus, UNITS[1])
    cut.write_bytes(cut.read_bytes()[:-1])
    found = {damage.unit: damage.problem for damage in found_in(corpus)}
    assert found.keys() == set(UNITS[:2])
    assert found[UNITS[0]] == "missing"
    assert "bytes, not" in found[UNITS[1]]


def test_a_unit_that_is_replaced_while_it_is_looked_at_is_no_damage(corpus: Corpus) -> None:
    path_of(corpus, UNITS[1]).unlink()
    listed = corpus.stored()
    corpus.forget(UNITS[0])
    write(corpus, UNITS[0])
    seen = damages(corpus, listed._replace(units=corpus.stored().units))
    assert {damage.unit for damage in seen} == set(UNITS[:2]), "its new files are not in the old listing"
    assert [damage.unit for damage in confirmed(corpus, seen)] == [UNITS[1]]
    corpus.forget(UNITS[1])
    assert confirmed(corpus, seen) == []


def test_a_flip_of_any_byte_is_found_by_reading(tmp_path: Path) -> None:
    """Of the footer, too, for most of which Parquet has no checksum."""
    corpus = Corpus.open_or_create(str(tmp_path / "corpus"))
    write(corpus, UNITS[0])
    stored = corpus.stored()
    assert damages(corpus, stored, content=True) == []
    file = path_of(corpus, UNITS[0])
    content = bytearray(file.read_bytes())
    unseen = []
    footer = int.from_bytes(content[-8:-4], "little") + 8
    for place in {*range(4), *range(0, len(content), 7), *range(len(content) - footer, len(content))}:
        content[place] ^= 1 << place % 8
        file.write_bytes(content)
        content[place] ^= 1 << place % 8
        if "not the bytes that were written" not in str(damages(corpus, stored, content=True)):
            unseen.append(place)
    assert unseen == []
    assert found_in(corpus) == []


def test_a_file_that_is_damaged_inside_is_done_again_once_it_is_deleted(corpus: Corpus) -> None:
    file = path_of(corpus, UNITS[0])
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"2")
    (damage,) = found_in(corpus, content=True)
    assert damage.unit == UNITS[0]
    assert damage.problem.endswith("; delete it, and `build` computes it again (`build` itself checks sizes only)")
    repaired(corpus, None, told := [])
    assert told == []
    file.unlink()
    repaired(corpus, None, told)
    assert len(told) == 1
    assert corpus.manifest(UNITS[0]) is None


def without_checksum(corpus: Corpus, unit: Unit) -> None:
    """Makes the manifest one of an older release."""
    path = corpus.root.local_path(unit.manifest)
    manifest = json.loads(path.read_bytes())
    for file in manifest["files"]:
        del file["crc32"]
    path.write_text(json.dumps(manifest))


def test_without_a_checksum_those_of_pages_are_held_against_them(corpus: Corpus) -> None:
    without_checksum(corpus, UNITS[0])
    assert found_in(corpus, content=True) == []
    file = path_of(corpus, UNITS[0])
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 1
    file.write_bytes(content)
    assert found_in(corpus) == []
    (damage,) = found_in(corpus, content=True)
    assert damage.unit == UNITS[0]
    assert "can't be read" in damage.problem


def test_a_flipped_bit_in_the_name_of_a_column_is_found_by_reading(corpus: Corpus) -> None:
    """What PyArrow tells of that is no error of its own."""
    without_checksum(corpus, UNITS[0])
    file = path_of(corpus, UNITS[0])
    content = file.read_bytes()
    assert b"doc_id" in content
    file.write_bytes(content.replace(b"doc_id", b"doc\xdfid"))
    (damage,) = found_in(corpus, content=True)
    assert damage.unit == UNITS[0]
    assert "can't be read: 'utf-8' codec" in damage.problem


@pytest.mark.parametrize("content", [b"", b"{", b'{"stage": 1}', b"\xff"])
def test_a_manifest_that_cannot_be_read_is_found(corpus: Corpus, content: bytes) -> None:
    corpus.root.local_path(UNITS[0].manifest).write_bytes(content)
    (damage,) = found_in(corpus)
    assert (damage.unit, damage.problem) == (UNITS[0], "can't be read")
    assert leftovers(corpus) == []


def test_a_ledger_that_does_not_add_up_is_found(corpus: Corpus) -> None:
    path = corpus.root.local_path(UNITS[2].manifest)
    manifest = json.loads(path.read_bytes())
    manifest["counts"] = {"records": 3, "passed_over:status": 1, "failure:depth": 1}
    path.write_text(json.dumps(manifest))
    (damage,) = found_in(corpus)
    assert damage.problem == "3 records, but 0 pages + 2 others"


def test_a_manifest_that_is_gone_leaves_a_directory(corpus: Corpus) -> None:
    directory = path_of(corpus, UNITS[0]).parent
    corpus.root.local_path(UNITS[0].manifest).unlink()
    assert found_in(corpus) == []
    assert leftovers(corpus) == [str(directory.relative_to(corpus.root.local_path("")))]


def test_repair_takes_back_just_what_is_damaged(corpus: Corpus) -> None:
    path_of(corpus, UNITS[0]).unlink()
    corpus.root.local_path(UNITS[1].manifest).write_bytes(b"{")
    told: list[str] = []
    repaired(corpus, None, told)
    assert [corpus.manifest(unit) for unit in UNITS[:2]] == [None, None]
    assert corpus.manifest(UNITS[2])
    assert len(told) == 2
    assert all("is taken back, and `swallow-spark sketch` (or `build`) redoes it" in line for line in told)


@pytest.mark.parametrize(
    ("unit", "command"),
    [
        (Unit("measure", "crawl=c/0"), "`swallow-spark measure` (or `build`)"),
        (Unit("selection", "crawl=c/records"), "`swallow-spark ingest` (or `build`)"),
        (Unit("boundary", "pass"), "`swallow-spark deduplicate` (or `build`)"),
        (Unit("host_lines", "crawl=c/0"), "`swallow-spark select` (or `build`)"),
        (Unit("tokens", "accepted/crawl=c/0"), "`swallow-spark select` (or `build`)"),
        (Unit("tokens", "edu-top10/crawl=c/0"), "`swallow-spark export`"),
        (Unit("remove", "crawl=c/0"), "`swallow-spark select` (or `build`)"),
        (Unit("remove", "duplicates"), "`swallow-spark remove`"),
    ],
)
def test_which_command_does_it_again_is_told(tmp_path: Path, unit: Unit, command: str) -> None:
    corpus = Corpus.open_or_create(str(tmp_path / "corpus"))
    corpus.root.write_atomically(unit.manifest, b"{")
    told: list[str] = []
    repaired(corpus, None, told)
    assert told == [f"{unit.manifest}: can't be read; {unit.stage} {unit.name} is taken back, and {command} redoes it"]
    assert corpus.units(unit.stage) == []


def test_damaged_pages_are_only_read_again_with_the_inputs_of_their_crawl(corpus: Corpus) -> None:
    path_of(corpus, UNITS[2]).unlink()
    path_of(corpus, UNITS[1]).unlink()
    told: list[str] = []
    for crawl in (None, "d"):
        with pytest.raises(CorpusError, match="--crawl c"):
            repaired(corpus, crawl, told)
        assert all(corpus.manifest(unit) for unit in UNITS), "nothing is taken back by a run that is refused"
    repaired(corpus, "c", told)
    assert [unit for unit in UNITS if corpus.manifest(unit)] == []
    assert len(told) == 2


def test_a_repair_that_is_interrupted_is_gone_on_with(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    path_of(corpus, UNITS[2]).unlink()
    forget, lost = Corpus.forget, []

    def interrupted(self: Corpus, unit: Unit) -> None:
        forget(self, unit)
        lost.append(unit)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Corpus, "forget", interrupted)
        with pytest.raises(KeyboardInterrupt):
            repaired(corpus, "c", [])
    assert lost == [UNITS[0]]
    repaired(corpus, "c", [])
    assert [unit for unit in UNITS if corpus.manifest(unit)] == [UNITS[1]]


# ---- what a run reads of manifests


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which manifests have been read."""
    found: list[str] = []
    read_bytes = Root.read_bytes

    def noting(root: Root, relative: str) -> bytes:
        if relative.startswith("manifests/"):
            found.append(relative)
        return read_bytes(root, relative)

    monkeypatch.setattr(Root, "read_bytes", noting)
    return found


def test_the_lock_reads_each_manifest_once(corpus: Corpus, asked: list[str]) -> None:
    """And whoever holds it asks no more; what is committed or taken back meanwhile is known."""
    asked.clear()
    with corpus.lock(lambda opened, found: repair(opened, found, None, STAGES.again, pytest.fail)):
        assert sorted(asked) == sorted(unit.manifest for unit in UNITS)
        assert [manifest.unit for manifest in corpus.manifests("sketch")] == ["crawl=c/0", "crawl=c/1"]
        new = corpus.commit(Unit("sketch", "crawl=c/2"), "f", {}, "u", [])
        corpus.forget(UNITS[0])
        assert corpus.manifest(UNITS[0]) is None
        assert corpus.manifests("sketch") == [corpus.manifest(UNITS[1]), new]
        assert len(asked) == len(UNITS)
    other = Corpus.open(corpus.root.location)
    other.forget(UNITS[1])
    assert [manifest.unit for manifest in corpus.manifests("sketch")] == ["crawl=c/2"], "others work on it again"


def test_check_reads_each_manifest_once(made: Corpus, asked: list[str]) -> None:
    done = CliRunner().invoke(app, ["check", "--corpus", made.root.location])
    assert done.exit_code == 1
    assert sorted(asked) == sorted(f"manifests/{stage}/{name}.json" for stage, names in MADE.items() for name in names)


# ---- discard


def discarded(corpus: Corpus, *arguments: str) -> dict[str, list[str]]:
    """What is left of a corpus: stage -> names of units."""
    done = CliRunner().invoke(app, ["discard", "--corpus", corpus.root.location, *arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    left: dict[str, list[str]] = {}
    for unit in corpus.stored().units:
        left.setdefault(unit.stage, []).append(unit.name)
    assert leftovers(corpus) == []
    return left


MADE = {
    "selection": ["crawl=c/records", "crawl=d/records"],
    "ingest": ["crawl=c/0", "crawl=d/0"],
    "sketch": ["crawl=c/0", "crawl=d/0"],
    "deduplicate": ["corpus"],
    "remove": ["crawl=c/0", "crawl=d/0", "duplicates"],
    "select": ["crawl=c/0", "crawl=d/0", "cuts"],
    "tombstones": ["000000", "000001"],
}


@pytest.fixture
def made(tmp_path: Path) -> Corpus:
    """Units of most stages, each with a directory."""
    corpus = Corpus.open_or_create(str(tmp_path / "made"))
    for crawl in "cd":
        corpus.register(crawl, [InputFile(f"{crawl}.warc.gz", f"/{crawl}.warc.gz", 10, None, "warc")])
    for stage, names in MADE.items():
        for name in names:
            path = f"{stage}/{name.replace('/', '-').replace('=', '-')}-{'0' * 12}/part.parquet"
            corpus.root.write_atomically(path, b"rows")
            row = {"table": stage, "path": path, "rows": 1, "bytes": 4, "crc32": None, "sums": [], "cpu_seconds": 0}
            corpus.commit(Unit(stage, name), "f", {}, "u", [row])
    corpus.root.write_atomically("subsets/thresholds.json", b"{}")
    return corpus


def test_discard_takes_all_that_was_computed(made: Corpus) -> None:
    """Also the selection of pages, and the removed pages' duplicates, which are of all crawls together."""
    left = discarded(made, "--crawl", "d")
    assert left == {
        "deduplicate": ["corpus"],
        "ingest": ["crawl=c/0"],
        "remove": ["crawl=c/0"],
        "select": ["crawl=c/0", "cuts"],
        "selection": ["crawl=c/records"],
        "sketch": ["crawl=c/0"],
        "tombstones": MADE["tombstones"],
    }
    assert made.crawls() == {1: "c"}
    assert made.root.exists("subsets/thresholds.json")
    assert discarded(made, "--stage", "deduplicate") == {
        name: left[name] for name in ("ingest", "remove", "selection", "sketch", "tombstones")
    }
    assert not made.root.exists("subsets/thresholds.json")
    assert discarded(made, "--stage", "ingest") == {"tombstones": MADE["tombstones"]}
    names = MADE["tombstones"]
    assert made.root.files("") == [
        "corpus.json",
        "inputs/0001-c-000000.parquet",
        "inputs/0002-d-000000.withdrawn",
        *(f"manifests/tombstones/{name}.json" for name in names),
        *(f"tombstones/{name}-{'0' * 12}/part.parquet" for name in names),
    ]


def test_discard_takes_what_can_not_be_read(made: Corpus) -> None:
    made.root.write_atomically("manifests/tombstones/000001.json", b"{")
    made.root.write_atomically("manifests/sketch/crawl=c/0.json", b"{")
    with pytest.raises(CorpusError, match="damaged"), made.lock():
        pass
    left = discarded(made, "--stage", "tombstones")
    assert left == {name: units for name, units in MADE.items() if name not in ("tombstones", "remove")}
    assert made.root.exists(f"tombstones/000001-{'0' * 12}"), "as long as the other one can't tell what is its"
    assert discarded(made, "--stage", "sketch").keys() == {"ingest", "selection"}
    assert not made.root.exists(f"tombstones/000001-{'0' * 12}")
