"""Damage in a corpus, and what the next build makes of it."""

import json
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from commands import call
from corpora import ids, same_tables

from swallow_spark.commands import running
from swallow_spark.corpus import corpus as corpus_module
from swallow_spark.corpus import lock
from swallow_spark.pipeline import STAGES
from swallow_spark.session import progress


class Backwards(datetime):
    """A clock that is an hour earlier each time that somebody looks at it."""

    looks = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Backwards":
        cls.looks += 1
        return cls.fromtimestamp(1e9 - 3600 * cls.looks, tz)


def test_damaged_pages_are_read_again_and_nothing_of_the_old_ones_stays(
    built: Path, warcs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inputs have grown meanwhile, so the batch that is read again isn't the batch that was damaged. And the clock
    was set back, and goes back further: no order and no sum depends on it."""
    corpus = tmp_path / "corpus"
    build = ("build", "--corpus", corpus, "--config", "demo", "--crawl", "c", "--until", "select")
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

    for module in (corpus_module, lock, running, progress):
        monkeypatch.setattr(module, "datetime", Backwards)
    ran = call(*build, "--set", "monitoring.log='json'", *warcs)
    assert ran.status == 0, ran.err
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert lines[-2]["summary"]["pages"] > 0
    assert {line["run"] for line in lines} == {lines[0]["run"]}
    told = json.loads((corpus / "runs" / f"{lines[0]['run']}.json").read_text())
    assert told["written"].keys() >= {"ingest", "sketch", "measure", "deduplicate", "decide", "score", "select"}
    assert told["written"]["measure"] == {
        "units": 1,
        "rows": lines[-2]["summary"]["pages"],
        "bytes": sum(path.stat().st_size for path in corpus.glob("features/*/*/*.parquet")),
    }
    assert Backwards.looks > len(lines)
    assert told["resources"]["deduplicate"]["shuffle_write_bytes"] > 0
    assert told["python_cpu_seconds"]["ingest"] > 0
    assert "is taken back, and `swallow-spark ingest` (or `build`) redoes it" in ran.err
    same_tables(corpus, built)
    assert call("check", "--corpus", corpus, "--content").status == 0


def test_build_does_again_just_what_is_damaged(copy: Path, built: Path, warcs: list[Path]) -> None:
    """A table that is cut, and a manifest that is gone with the rows of another still there."""
    before = ids(copy, *STAGES.directories)
    scores = next(copy.glob("scores/*/*/*/*.parquet"))
    scores.write_bytes(scores.read_bytes()[: scores.stat().st_size // 2])
    verdicts = next(copy.glob("manifests/decide/*/*.json"))
    verdicts.unlink()

    found = call("check", "--corpus", copy, "--json")
    assert found.status == 1
    told = json.loads(found.out)
    assert [(entry["stage"], entry["path"]) for entry in told["damaged"]] == [("score", str(scores.relative_to(copy)))]
    assert any(directory.startswith("verdicts/") for directory in told["unlisted"])
    assert {"decide", "score"} <= {entry["stage"].split()[0] for entry in told["not_done"]}

    ran = call("build", "--corpus", copy, "--config", "demo", "--crawl", "c", "--until", "select", *warcs)
    assert ran.status == 0, ran.err
    after = ids(copy, *STAGES.directories)
    assert after.keys() == before.keys()
    again = {name.partition("/")[0] for name in after if after[name] != before[name]}
    assert again <= {"decide", "score", "select"}
    same_tables(copy, built)
    assert call("check", "--corpus", copy, "--content").status == 0
