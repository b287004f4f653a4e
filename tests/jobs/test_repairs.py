"""Damage in a corpus, and what the next build makes of it."""

import json
from pathlib import Path

from commands import call
from corpora import same_tables


def test_damaged_pages_are_read_again_and_nothing_of_the_old_ones_stays(
    built: Path, warcs: list[Path], tmp_path: Path
) -> None:
    """The inputs have grown meanwhile, so the batch that is read again isn't the batch that was damaged."""
    corpus = tmp_path / "corpus"
    build = ("build", "--corpus", corpus, "--config", "demo", "--crawl", "c")
    assert call(*build, warcs[0]).status == 0
    assert call("check", "--corpus", corpus).status == 0
    victim = next(corpus.glob("pages/crawl=c/*/*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1])

    found = call("check", "--corpus", corpus, "--json")
    assert found.status == 1
    assert [entry["stage"] for entry in json.loads(found.out)["damaged"]] == ["ingest"]
    refused = call("score", "--corpus", corpus)
    assert refused.status == 2
    assert "--crawl c" in refused.err

    ran = call(*build, *warcs)
    assert ran.status == 0, ran.err
    assert "has to be done again" in ran.err
    same_tables(corpus, built)
    assert call("check", "--corpus", corpus, "--content").status == 0
