"""Inputs and a corpus on an object store: the same rows as on a disk, and no credentials anywhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Ran, call, run
from corpora import same_tables
from object_store import SECRET, ObjectStore, object_store

CORPUS = "s3://corpora/one/corpus"
BUILD = ("build", "--corpus", CORPUS, "--config", "demo", "--crawl", "c", "--json", "s3://crawls/w/all.txt")


@pytest.fixture(scope="module")
def store(warcs: list[Path]) -> Iterator[ObjectStore]:
    with object_store("crawls", "corpora") as running:
        for path in warcs:
            running.put("crawls", f"w/{path.name}", path.read_bytes())
        running.put("crawls", "w/all.txt", "\n".join(path.name for path in warcs).encode())
        yield running


@pytest.fixture(scope="module")
def ran(store: ObjectStore) -> Ran:
    return run(*BUILD)


def downloaded(store: ObjectStore, directory: Path) -> Path:
    for key, content in store.objects("corpora").items():
        if not key.endswith("/"):
            path = directory / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return directory / "one" / "corpus"


def test_a_build_on_an_object_store(ran: Ran, store: ObjectStore, built: Path, tmp_path: Path) -> None:
    assert ran.json["pages"] > 0
    corpus = downloaded(store, tmp_path)
    same_tables(corpus, built)
    assert (corpus / "report" / "index.html").exists()
    assert not (corpus / "lock.json").exists()
    assert not list((corpus / "lookups").rglob("*"))


def test_nothing_is_done_again(ran: Ran, store: ObjectStore) -> None:
    before = store.objects("corpora")
    assert call(*BUILD).json == ran.json
    after = store.objects("corpora")
    assert {key: after[key] for key in before} == before
    assert [key for key in after.keys() - before.keys() if "/runs/" not in key] == []


def test_credentials_are_written_nowhere(ran: Ran, store: ObjectStore) -> None:
    for content in (*store.objects("corpora").values(), ran.out, ran.err.encode()):
        assert SECRET.encode() not in content
        assert b"a-key" not in content
    assert "credentials don't belong" in call(*BUILD[:-1], "s3://a-key:hidden@crawls/w/0.warc.gz").complaint
    assert "hidden" not in call(*BUILD[:-1], "s3://a-key:hidden@crawls/w/0.warc.gz").complaint
    refused = call("build", "--corpus", "s3://a-key:hidden@corpora/x", *BUILD[3:]).complaint
    assert "hidden" not in refused


def test_places_that_are_not_there(store: ObjectStore) -> None:
    assert "no such file" in call(*BUILD[:-1], "s3://crawls/w/none.warc.gz").complaint
    assert "s3://none" in call("build", "--corpus", "s3://none/x", *BUILD[3:]).complaint
    assert "no corpus there" in call("sketch", "--corpus", "s3://corpora/two").complaint
