"""A new crawl each month: `add-crawl`, from a mirror of Common Crawl on disk."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from commands import Ran, call
from corpora import ids

pytestmark = pytest.mark.usefixtures("spark")

FIRST, SECOND = "CC-MAIN-2025-18", "CC-MAIN-2025-22"


@pytest.fixture(scope="module")
def mirror(warcs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two crawls of two files each, and the list of crawls, which names older ones first."""
    root = tmp_path_factory.mktemp("mirror")
    for crawl, files in ((FIRST, warcs[:2]), (SECOND, warcs[2:])):
        lines = [f"crawl-data/{crawl}/segments/1/warc/{file.name}" for file in files]
        for line, file in zip(lines, files, strict=True):
            (root / line).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, root / line)
        listing = root / "crawl-data" / crawl / "warc.paths.gz"
        listing.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    crawls = [{"id": "CC-MAIN-2008-2009"}, {"id": FIRST}, {"id": SECOND}, {"id": "CC-MAIN-2013-20"}]
    (root / "collinfo.json").write_text(json.dumps(crawls))
    return root


def add(crawl: str, corpus: Path, mirror: Path, *more: str) -> tuple[Ran, dict[str, object]]:
    places = ("--base-url", str(mirror), "--set", f"ingest.crawls_url={mirror / 'collinfo.json'}")
    ran = call("add-crawl", crawl, "--corpus", corpus, *places, *more)
    return ran, json.loads(ran.out.decode().splitlines()[-1])


def test_months_are_added_by_the_same_bar(mirror: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    ran, first = add(FIRST, corpus, mirror, "--config", "demo")
    assert (ran.status, first["status"], first["crawl"], first["change"]) == (0, "done", FIRST, None), ran.err
    bar = json.loads((corpus / "subsets" / "thresholds.json").read_text())
    of_first = ids(corpus, "ingest", "sketch", "measure")

    ran, second = add("latest", corpus, mirror)
    assert (ran.status, second["status"], second["crawl"]) == (0, "done", SECOND), ran.err
    assert ids(corpus, "ingest", "sketch", "measure").items() > of_first.items()
    summary, change = second["summary"], second["change"]
    assert isinstance(summary, dict)
    assert isinstance(change, dict)
    assert change["pages"][1] == summary["pages"] > change["pages"][0] > 0
    assert SECOND in (corpus / "report" / "index.html").read_text()
    assert "Changes by new crawls" in (corpus / "report" / "index.html").read_text()
    scores = {ranking: {band: cut and cut["score"] for band, cut in of.items()} for ranking, of in bar.items()}
    assert summary["thresholds"] == scores, "the bar of the first month"

    everything = ids(corpus, "ingest", "sketch", "measure", "deduplicate", "decide", "score", "select")
    ran, again = add("latest", corpus, mirror)
    assert (ran.status, again["status"]) == (0, "done"), ran.err
    assert ids(corpus, "ingest", "sketch", "measure", "deduplicate", "decide", "score", "select") == everything


def test_the_last_line_tells_failures_too(mirror: Path, tmp_path: Path) -> None:
    for crawl in ("CC-MAIN-2025", "../2025-18", "CC-MAIN-2030-01"):
        ran, told = add(crawl, tmp_path / "corpus", mirror, "--config", "demo")
        assert ran.status == 2
        assert (told["status"], told["crawl"]) == ("failed", crawl)
        assert told["error"]
        assert crawl in str(told["error"]) + ran.err
    (tmp_path / "collinfo.json").write_text("<html>")
    ran, told = add("latest", tmp_path / "corpus", tmp_path, "--config", "demo")
    assert ran.status == 2
    assert "not Common Crawl's list" in ran.err
