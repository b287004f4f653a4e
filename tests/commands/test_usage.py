"""Wrong calls: exit status 2, one line that tells what is wrong, and nothing written. No session is opened."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import call
from places import DEMO_WARCS, REPOSITORY

from swallow_spark import cli
from swallow_spark.commands import running
from swallow_spark.config.load import load, packaged_names
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.session import session

WARC = DEMO_WARCS[0]
STAGE_COMMANDS = ("sketch", "measure", "annotate", "deduplicate", "decide", "score", "select", "report")
COMMANDS = (*STAGE_COMMANDS, "build", "ingest", "import", "explain", "discard", "check", "unlock", "train", "evaluate")
COMMANDS += ("export", "plan-mixture")
COMMANDS += ("sample", "label", "wiki-positives")


@pytest.fixture(autouse=True)
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        pytest.fail("a session was opened")

    monkeypatch.setattr(session, "open_session", refuse)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory where a corpus would be made; it must stay empty."""
    directory = tmp_path / "place"
    directory.mkdir()
    return directory


def build(corpus: Path | str, *arguments: str | Path) -> str:
    """What a `build` that must be refused says."""
    return call("build", "--corpus", corpus, "--config", "demo", "--crawl", "c", *arguments).complaint


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nothing/*.warc.gz", "nothing/*.warc.gz: no file matches"),
        ("nothing.warc.gz", "nothing.warc.gz: no such file"),
        (
            str(REPOSITORY / "jobs"),
            f"{REPOSITORY}/jobs: no file of .warc, .warc.gz, .warc.zst, ",
        ),
        (f"{WARC}/inner.warc.gz", "inner.warc.gz: no such file"),
        ("nothing.paths.gz", "nothing.paths.gz: can't be read"),
        ("cc:2025-18", "write cc:CC-MAIN-YYYY-WW"),
        ("pages.parquet", "`import` takes extracted text"),
        ("nosuch://bucket/a.warc.gz", "nosuch://bucket/a.warc.gz: "),
    ],
)
def test_inputs_that_are_not_there(place: Path, given: str, said: str) -> None:
    assert said in build(place / "corpus", WARC, given)
    assert not any(place.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_input_without_permission(place: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.warc.gz"
    shutil.copy(WARC, secret)
    secret.chmod(0)
    assert f"{secret}: can't be read: Permission denied" in build(place / "corpus", secret)
    assert not any(place.iterdir())


def test_a_listing_of_files_that_are_not_there(place: Path, tmp_path: Path) -> None:
    listing = tmp_path / "some.paths"
    listing.write_text("a.warc.gz\n")
    assert f"{tmp_path}/a.warc.gz: no such file" in build(place / "corpus", listing)
    listing.write_text("\n# only a remark\n")
    assert "the listing is empty" in build(place / "corpus", listing)


def test_import_refuses_warcs(place: Path) -> None:
    assert "not a file of text" in call("import", "--corpus", place / "corpus", "--crawl", "c", WARC).complaint
    assert not any(place.iterdir())


@pytest.mark.parametrize("corpus", ["/dev/null/x", "/proc/x/y"])
def test_a_corpus_that_cannot_be_written(corpus: str) -> None:
    assert f"{corpus}: can't be written" in build(corpus, WARC)


def test_a_corpus_in_a_directory_of_something_else(place: Path) -> None:
    (place / "file.txt").write_text("mine")
    assert f"{place}: neither empty nor a corpus" in build(place, WARC)
    assert [path.name for path in place.iterdir()] == ["file.txt"]


def test_a_corpus_in_the_place_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    assert str(file) in build(file, WARC)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("ingest.max_html_byte=5000", "ingest.max_html_byte: unknown key, did you mean max_html_bytes? (allowed: "),
        ("ingests.x=1", "ingests: unknown key, did you mean ingest? (allowed: ingest, sketch, "),
        ("sketch.bands=0", "sketch.bands: input should be greater than or equal to 1 (it is 0)"),
        ("sketch.bands=many", "sketch.bands: input should be a valid integer"),
        ("classifiers.wiki.path=nothing.bin", "classifiers.wiki.path: no such file: "),
        (
            "rules.bounds.num_leters={min=1,source='x'}",
            "rules.bounds.num_leters: no such feature, did you mean num_letters? (there are: ",
        ),
        ("rules.bounds.num_letters={source='x'}", "a rule needs one of min, max, below"),
        ("subsets=[{classifier='wiki',bands=['best']}]", "'best' is no band: write top10"),
        (
            "subsets=[{classifier='wikis'}]",
            "no classifier 'wikis' is configured, did you mean wiki? (there are: wiki, edu)",
        ),
        ("execution.files_per_batch", "--set execution.files_per_batch: write it as section.key=value"),
    ],
)
@pytest.mark.parametrize("command", ["build", "ingest"])
def test_configuration_that_cannot_be_used(place: Path, command: str, override: str, said: str) -> None:
    arguments = ("--corpus", place / "corpus", "--config", "demo", "--crawl", "c", "--set", override, WARC)
    assert said in call(command, *arguments).complaint
    assert not any(place.iterdir())


def test_models_are_looked_into_before_commands_that_score(place: Path) -> None:
    override = "classifiers.wiki.weights={__label__no=1}"
    ran = call("build", "--corpus", place / "corpus", "--config", "demo", "--crawl", "c", "--set", override, WARC)
    assert "has no label __label__no, did you mean __label__positive? (it has " in ran.complaint
    assert not any(place.iterdir())


def test_the_message_names_the_configuration_file(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('extends = "demo"\n[sketch]\nband = 40\n')
    ran = call("build", "--corpus", place / "corpus", "--config", file, WARC)
    assert f"{file}: sketch.band: unknown key, did you mean bands?" in ran.complaint
    file.write_text("no toml")
    assert f"{file}: " in call("build", "--corpus", place / "corpus", "--config", file, WARC).complaint
    missing = call("build", "--corpus", place / "corpus", "--config", "demos", WARC).complaint
    assert (
        f"demos: no such configuration file, and not a packaged one ({', '.join(packaged_names())}), did you mean demo?"
        in missing
    )
    assert not any(place.iterdir())


@pytest.mark.parametrize("command", ["build", "ingest", "import"])
def test_the_default_configuration_is_checked_before_anything_is_written(place: Path, command: str) -> None:
    ran = call(command, "--corpus", place / "corpus", "--crawl", "c", "--set", "nothing.x=1", WARC)
    assert "nothing: unknown key" in ran.complaint
    assert not any(place.iterdir())


def test_the_default_configuration_is_the_readme_s() -> None:
    """Of every command that takes one; None is that of the corpus's last run, if there is one."""
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    options = [(name, option) for name, command in commands.items() for option in command.params]
    defaults = {name: option.default for name, option in options if "--config" in option.opts}
    assert defaults.keys() >= {*STAGE_COMMANDS, "build", "import", "export", "train"}
    assert {*defaults.values()} == {None, "swallow-v2"}
    assert defaults["build"] is None
    assert running.configuration(None, None, ()) == load("swallow-v2")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a.", "-a", "a=b", "a\n", "a b", "é", "a" * 101])
@pytest.mark.parametrize("command", ["build", "ingest"])
def test_names_that_no_crawl_can_have(place: Path, command: str, name: str) -> None:
    ran = call(command, "--corpus", place / "corpus", "--config", "demo", f"--crawl={name}", WARC)
    assert "--crawl" in ran.complaint
    assert "a name has 1 to 100 letters, digits" in ran.complaint
    assert not any(place.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["biuld"], "No such command 'biuld'. Did you mean 'build'?"),
        (["build", "--corpse", "x"], "No such option: --corpse (Possible options: --corpus"),
        (["build", "--corpus", "x"], "Missing"),
        (["build", "--corpus", "x", "--config", "demo"], "Missing argument 'INPUT...'"),
        (["build", "--corpus", "x", "--config", "demo", "--until", "sketch", str(WARC)], "'sketch' is not one of"),
        (["build", "--corpus", "x", "--config", "demo", "--until", "scor", str(WARC)], "'report', did you mean score?"),
        (["ingest", "--corpus", "x", "a.warc.gz"], "Missing option '--crawl'"),
        (["explain", "--corpus", "x"], "explain: give either --url or --doc-id"),
        (["explain", "--corpus", "x", "--url", "u", "--doc-id", "1"], "explain: give either --url or --doc-id"),
        (["explain", "--corpus", "x", "--doc-id", "one"], "'--doc-id'"),
        (["discard", "--corpus", "x", "--stage", "ingests"], "no such stage, did you mean ingest? (allowed: "),
        (["train", "--task", "wikis", "--input", str(WARC), "--model", "x.bin"], "must be one of wiki, edu"),
        (["train", "--task", "wiki", "--input", "nothing.parquet", "--model", "x.bin"], "nothing.parquet"),
        (["evaluate", "--task", "wiki", "--input", "nothing.parquet", "--model", "nothing.bin"], "nothing"),
    ],
)
def test_wrong_calls(place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str) -> None:
    monkeypatch.chdir(place)
    assert said in call(*arguments).complaint
    assert not any(place.iterdir())


@pytest.mark.parametrize("command", [*STAGE_COMMANDS, "explain", "discard"])
def test_no_corpus_to_work_on(place: Path, command: str) -> None:
    more = {"explain": ["--doc-id", "1"], "discard": ["--stage", "score"]}.get(command, [])
    assert f"{place}: no corpus there" in call(command, "--corpus", place, *more).complaint
    assert f"{place}/x: no corpus there" in call(command, "--corpus", place / "x", *more).complaint
    assert not any(place.iterdir())


@pytest.mark.parametrize("command", ["deduplicate", "decide", "score", "select"])
def test_a_stage_before_there_are_pages(place: Path, command: str) -> None:
    corpus = Corpus.open_or_create(str(place))
    before = sorted(place.rglob("*"))
    assert "there are no pages" in call(command, "--corpus", place, "--config", "demo").complaint
    assert sorted(place.rglob("*")) == before
    assert corpus.manifests("ingest") == []


def test_a_corpus_in_use(place: Path) -> None:
    with Corpus.open_or_create(str(place)).lock():
        said = call("decide", "--corpus", place, "--config", "demo").busy
        # It is alive: to wait is no way out.
        assert "stop it first" in call("unlock", "--corpus", place, "--force").complaint
    assert "in use by another run (" in said
    assert f"process {os.getpid()}" in said


def test_a_stop_tells_how_to_go_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, or SIGTERM from a scheduler."""

    def stopped(location: str) -> Corpus:
        raise KeyboardInterrupt

    monkeypatch.setattr(Corpus, "open", stopped)
    ran = call("check", "--corpus", place)
    assert ran.status == 130
    assert ran.err == "swallow-spark: stopped; run the same command again to continue\n"


def test_what_fails_behind_a_signal_is_a_stop_as_well(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler may stop Spark's JVM at the same time: what frees things then finds it gone."""

    def stopped(location: str) -> Corpus:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise ConnectionError("the JVM is gone")

    monkeypatch.setattr(Corpus, "open", stopped)
    ran = call("check", "--corpus", place)
    assert (ran.status, ran.err.splitlines()[-1].split(";")[0]) == (130, "swallow-spark: stopped")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str) -> None:
    ran = call(command, "--help")
    assert ran.status == 0
    text = ran.out.decode()
    assert text.startswith(f"Usage: swallow-spark {command} ")
    options = [line for line in text.splitlines() if line.strip().startswith("--")]
    assert options
    for line in options:
        assert len(line.split(maxsplit=2)) > 2 or "--epochs" in line, f"{line} is not explained"
    assert "Any" not in text


def test_help_lists_every_command() -> None:
    for ran in (call("--help"), call()):
        assert ran.status == 0
        text = ran.out.decode()
        assert all(f"\n  {command} " in text for command in COMMANDS)
    assert call("--version").out.startswith(b"swallow-spark ")


@pytest.mark.parametrize("job", ["build", "select"])
def test_jobs_run_as_programs(job: str) -> None:
    program = REPOSITORY / "jobs" / f"{job}.py"
    done = subprocess.run([sys.executable, program, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: swallow-spark {job} " in done.stdout


def test_what_an_encoding_lacks_is_escaped() -> None:
    """As with LC_ALL=C and PYTHONUTF8=0."""
    err = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    with contextlib.redirect_stderr(err), pytest.raises(SystemExit):
        cli.main(["猫\u3000"])
    assert b"No such command '\\u732b\\u3000'" in err.buffer.getvalue()  # type: ignore[attr-defined]
