"""Damage in a corpus: found, told, and taken back so that it is done again."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from swallow_spark.corpus import Corpus, Unit
from swallow_spark.errors import CorpusError
from swallow_spark.integrity import damages, leftovers, repair
from swallow_spark.tables import SKETCHES

UNITS = (Unit("sketch", "crawl=c/0"), Unit("sketch", "crawl=c/1"), Unit("ingest", "crawl=c/0"))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = Corpus.open_or_create(str(tmp_path / "corpus"))
    for unit in UNITS:
        outputs = made.outputs(unit, {"sketches": SKETCHES}, {1: "c"})
        row = {"doc_id": 1, "bands": list(range(40)), "sketch": bytes(range(100)), "text_hash": 7}
        with outputs.open(0) as opened:
            opened.write("sketches", pa.RecordBatch.from_pylist([row] * 100, SKETCHES))
            made.commit(unit, "f", {}, "u", opened.written().to_pylist(), counts={"records": 0})
    return made


def path_of(corpus: Corpus, unit: Unit) -> Path:
    manifest = corpus.manifest(unit)
    assert manifest
    return corpus.root.local_path(manifest.files[0].path)


def test_a_whole_corpus_has_no_damage(corpus: Corpus) -> None:
    assert damages(corpus, content=True) == []
    assert leftovers(corpus) == []
    repair(corpus, None, pytest.fail)


def test_files_that_are_gone_or_cut_are_found(corpus: Corpus) -> None:
    path_of(corpus, UNITS[0]).unlink()
    cut = path_of(corpus, UNITS[1])
    cut.write_bytes(cut.read_bytes()[:-1])
    found = {damage.unit: damage.problem for damage in damages(corpus)}
    assert found.keys() == set(UNITS[:2])
    assert found[UNITS[0]] == "missing"
    assert "bytes, not" in found[UNITS[1]]


def test_a_flipped_bit_is_found_by_reading(corpus: Corpus) -> None:
    file = path_of(corpus, UNITS[0])
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 1
    file.write_bytes(content)
    assert damages(corpus) == []
    (damage,) = damages(corpus, content=True)
    assert damage.unit == UNITS[0]
    assert "can't be read" in damage.problem


@pytest.mark.parametrize("content", [b"", b"{", b'{"stage": 1}', b"\xff"])
def test_a_manifest_that_cannot_be_read_is_found(corpus: Corpus, content: bytes) -> None:
    corpus.root.local_path(UNITS[0].manifest).write_bytes(content)
    (damage,) = damages(corpus)
    assert (damage.unit, damage.problem) == (UNITS[0], "can't be read")
    assert leftovers(corpus, damages(corpus)) == []


def test_a_ledger_that_does_not_add_up_is_found(corpus: Corpus) -> None:
    path = corpus.root.local_path(UNITS[2].manifest)
    manifest = json.loads(path.read_bytes())
    manifest["counts"] = {"records": 3, "passed_over:status": 1, "failure:depth": 1}
    path.write_text(json.dumps(manifest))
    (damage,) = damages(corpus)
    assert damage.problem == "3 records, but 0 pages + 2 others"


def test_a_manifest_that_is_gone_leaves_a_directory(corpus: Corpus) -> None:
    directory = path_of(corpus, UNITS[0]).parent
    corpus.root.local_path(UNITS[0].manifest).unlink()
    assert damages(corpus) == []
    assert leftovers(corpus) == [str(directory.relative_to(corpus.root.local_path("")))]


def test_repair_takes_back_just_what_is_damaged(corpus: Corpus) -> None:
    path_of(corpus, UNITS[0]).unlink()
    corpus.root.local_path(UNITS[1].manifest).write_bytes(b"{")
    told: list[str] = []
    with corpus.lock(lambda opened: repair(opened, None, told.append)):
        assert corpus.manifest(UNITS[0]) is None
        assert corpus.manifest(UNITS[1]) is None
        assert corpus.manifest(UNITS[2])
        assert leftovers(corpus) == []
    assert len(told) == 2
    assert all("has to be done again" in line for line in told)


def test_damaged_pages_are_only_read_again_with_the_inputs_of_their_crawl(corpus: Corpus) -> None:
    path_of(corpus, UNITS[2]).unlink()
    for crawl in (None, "d"):
        with pytest.raises(CorpusError, match="--crawl c"), corpus.lock(lambda o, c=crawl: repair(o, c, pytest.fail)):
            pass
        assert corpus.manifest(UNITS[2])
    with corpus.lock(lambda opened: repair(opened, "c", lambda line: None)):
        assert corpus.manifest(UNITS[2]) is None
