"""What is known before a run: init, status, build --dry-run. No session is opened."""

import gzip
import json
import re
import tomllib
from io import StringIO
from pathlib import Path

import pytest
from commands import call
from places import DEMO_WARCS, REPOSITORY
from rich.console import Console
from small_corpus import ingested

from swallow_spark.commands.planning import dry_run
from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Corpus, Unit
from swallow_spark.files.inputs import expand
from swallow_spark.session import session
from swallow_spark.stages import estimate


@pytest.fixture(autouse=True)
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "open_session", lambda *_: pytest.fail("a session was opened"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_READ_SECONDS", "_ANNOTATE_SECONDS", "_SCORE_SECONDS"):
        monkeypatch.setattr(estimate, name, 0.2)


# ---- init


def test_the_configuration_of_init_can_be_loaded(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    ran = call("init", file)
    assert ran.status == 0, ran.err
    assert f"build --dry-run --corpus my-corpus --config {file}" in ran.err
    made = load(file)
    assert list(made.classifiers) == ["wiki", "edu"]
    assert [chosen.name for chosen in made.plan.subsets] == ["wiki-top10", "edu-top10"]
    assert all(str(one.path).startswith("https://huggingface.co/") for one in made.classifiers.values())
    assert all(one.sha256 is None for one in made.classifiers.values())
    assert made.rules.bounds == load("swallow-v2").rules.bounds
    text = file.read_text()
    assert max(map(len, text.splitlines())) <= 120
    changes = [line[2:] for line in text.splitlines() if line.startswith(("# avg_sentence", "# katakana"))]
    assert len(changes) == 2  # examples that hold when the sign of a comment is taken away
    file.write_text(text.replace("# avg_sentence", "avg_sentence").replace("# katakana", "katakana"))
    assert "avg_sentence_length" not in load(file).rules.bounds
    assert load(file).rules.bounds["katakana_fraction"].max == 0.5


def test_answers_of_init_by_options(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    assert call("init", file, "--rules", "swallow-v1", "--classifiers", "edu", "--top", "25").status == 0
    made = load(file)
    assert [chosen.name for chosen in made.plan.subsets] == ["edu-top25"]
    assert made.rules.bounds == load("swallow-v1").rules.bounds
    assert "exists already" in call("init", file).complaint
    plain = tmp_path / "plain.toml"
    assert call("init", plain, "--classifiers", "none").status == 0
    assert not load(plain).classifiers
    commented = [line.removeprefix("# ") for line in plain.read_text().split("To rank them:\n")[1].splitlines()]
    assert tomllib.loads("\n".join(commented))["classifiers"]["edu"]["path"].endswith(".bin")


@pytest.mark.parametrize(
    "wrong", [["--rules", "v3"], ["--classifiers", "wikis"], ["--top", "0"], ["--top", "101"], ["nowhere/my.toml"]]
)
def test_wrong_answers_of_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("init", *wrong).complaint
    assert not any(tmp_path.iterdir())


# ---- status


def test_status_of_pages_that_are_only_read(tmp_path: Path) -> None:
    corpus, _ = ingested(tmp_path, load("demo"))
    root = corpus.root.location
    found = call("status", "--corpus", root, "--config", "demo", "--json").json
    assert found["crawls"][0]["pages"] == found["tables"]["pages"]["rows"] > 0
    states = {one["stage"]: one["state"] for one in found["stages"]}
    assert states["ingest"] == "done"
    assert states["deduplicate"] == "not done"
    assert "deduplicate (not done)" in found["to_do"]
    assert not [step for step in found["to_do"] if step.startswith(("read", "ingest"))]
    assert found["held_by"] is None
    assert found["refused"] is None
    shown = call("status", "--corpus", root, "--config", "demo").out.decode()
    assert "`build` would now: sketch (not done), " in shown
    with corpus.lock():
        assert call("status", "--corpus", root, "--json").json["held_by"]
    other = call("status", "--corpus", root, "--config", "demo", "--set", "ingest.max_html_bytes=2000", "--json").json
    assert "ingest.max_html_bytes" in other["refused"]


# ---- build --dry-run


@pytest.mark.usefixtures("quick")
def test_a_dry_run_counts_and_measures_and_writes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "corpus"
    ran = call("build", "--dry-run", "--corpus", place, "--config", "demo", "--json", "--price", "2", *DEMO_WARCS)
    found = ran.json
    assert "Measuring this machine for ten seconds" in ran.err
    assert not place.exists()
    assert found["files"] == len(DEMO_WARCS)
    assert found["bytes"] == sum(path.stat().st_size for path in DEMO_WARCS)
    assert 0.5 < found["pages"] / 881 < 2  # by the first records
    assert all(value > 0 for value in found["core_hours"].values())
    assert found["cost"] == pytest.approx(2 * sum(found["core_hours"].values()))
    assert found["hours"] == pytest.approx(sum(found["core_hours"].values()) / found["cores"])
    assert "score" in found["core_hours"]
    without = call("build", "--dry-run", "--corpus", place, "--config", "swallow-v2", "--json", DEMO_WARCS[0]).json
    assert "score" not in without["core_hours"]  # there are no classifiers
    assert found["measured_on"] == "inputs"
    assert found["free"] > 0
    out = StringIO()
    dry_run.show(
        Console(file=out), {**found, "free": 0, "files_done": 3, "core_hours": {"ingest": 30.0, "score": None}}
    )
    shown = out.getvalue()
    assert "6 files to read, 5.79 MB; 3 are read already" in shown
    assert re.search(r"ingest +30\.0 h", shown)
    assert "not on this machine" in shown
    assert "NOT ENOUGH" in shown


@pytest.mark.usefixtures("quick")
def test_a_dry_run_of_a_crawl_takes_common_crawls_sizes(tmp_path: Path) -> None:
    listing = tmp_path / "crawl-data" / "CC-MAIN-2025-30" / "warc.paths.gz"
    listing.parent.mkdir(parents=True)
    listing.write_bytes(gzip.compress(b"".join(b"crawl-data/%d.warc.gz\n" % number for number in range(1000))))
    corpus = tmp_path / "corpus"
    arguments = ("build", "--dry-run", "--corpus", corpus, "--config", "demo", "--base-url", tmp_path)
    found = json.loads(call(*arguments, "--until", "annotate", "--json", "cc:CC-MAIN-2025-30").out)
    assert found["core_hours"].keys() == {"ingest", "annotate"}
    assert (found["crawl"], found["files"], found["files_of_assumed_size"]) == ("CC-MAIN-2025-30", 1000, 1000)
    assert found["bytes"] == 1000 * 10**9
    assert found["pages"] == 978_000
    assert found["measured_on"] == "demo"
    assert "--price: only with --dry-run" in call("build", "--corpus", corpus, "--price", "2", *DEMO_WARCS).complaint
    assert "--dry-run: without --index" in call(*arguments, "--index", "x.parquet", "cc:CC-MAIN-2025-30").complaint


def test_a_dry_run_leaves_out_what_is_read(tmp_path: Path) -> None:
    corpus = Corpus.open_or_create(str(tmp_path / "corpus"))
    corpus.register("c", expand([str(DEMO_WARCS[0])]))
    corpus.commit(Unit("ingest", "crawl=c/000000"), "fingerprint", {}, "", [], covers=[(0, 0)])
    corpus.register("c", expand([str(DEMO_WARCS[1])]))  # known, and not read
    read, _not_read = expand([str(path) for path in DEMO_WARCS[:2]])
    assert dry_run._done(corpus, "c") == {read.key}
    assert dry_run._done(corpus, "another") == dry_run._done(None, "c") == set()


# ---- demo


def test_the_pages_of_the_demo_are_in_the_wheel() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"conf": "swallow_spark/conf", "demo/pages": "swallow_spark/demo/pages"}


def test_a_dry_run_refuses_what_a_build_refuses(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    other = tmp_path / "other"
    for corpus, said in ((other, "neither empty nor a corpus"), (other / "file", "can't be"), ("", "is empty")):
        refused = call("build", "--dry-run", "--corpus", corpus, tmp_path)
        assert said in refused.complaint
