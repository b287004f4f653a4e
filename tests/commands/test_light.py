"""What `--help` and complaints load: nothing that takes long, so that they come at once. And what --help shows."""

import json
import subprocess
import sys

import pytest
import typer
from commands import call

from swallow_spark import pipeline
from swallow_spark.cli import app
from swallow_spark.commands import stages, upkeep
from swallow_spark.files import inputs

HEAVY = ("pyspark", "numba", "matplotlib", "pandas", "duckdb", "pyarrow.dataset")
PROGRAM: typer.core.TyperGroup = typer.main.get_command(app)  # type: ignore[assignment]
CALLS = [[], *([name] for name in PROGRAM.commands), ["rules", "try"]]


def loaded(calls: list[list[str]]) -> dict[str, list[str]]:
    """What a process of its own has loaded of HEAVY after each of these calls, which come one after the other."""
    code = (
        "import contextlib, io, json, sys\n"
        "from swallow_spark.cli import main\n"
        "found = {}\n"
        "for call in json.loads(sys.argv[1]):\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        "        with contextlib.suppress(SystemExit):\n"
        "            main(call)\n"
        f"    found[' '.join(call)] = [name for name in {HEAVY} if name in sys.modules]\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(calls)], capture_output=True, text=True, check=True, timeout=60
    )
    return dict(json.loads(done.stdout))


def test_help_loads_nothing_heavy() -> None:
    found = loaded([[*words, "--help"] for words in CALLS])
    assert len(found) == len(CALLS)
    assert {name: modules for name, modules in found.items() if modules} == {}


def test_complaints_load_little() -> None:
    wrong = [
        ["biuld"],
        ["build", "--corpse", "x"],
        ["capacity", "many"],
        ["decide", "--corpus", "/nowhere"],
        ["explain", "--corpus", "/nowhere", "--doc-id", "1"],
        ["build", "--corpus", "/nowhere", "--config", "no-such-configuration", "x.warc.gz"],
    ]
    found = loaded(wrong)
    assert found["capacity many"] == []
    assert {name: modules for name, modules in found.items() if {*modules} - {"pyspark"}} == {}


@pytest.mark.parametrize("name", PROGRAM.commands)
def test_every_command_has_a_group_and_an_example_that_can_be_called(name: str) -> None:
    command = PROGRAM.commands[name]
    assert f"\n  {name} " in call("--help").out.decode()  # only commands of a known group are listed
    for inner in getattr(command, "commands", {name: command}).values():
        path = ["swallow-spark", *([name] if inner is not command else []), inner.name]
        last = call(*path[1:], "--help").out.decode().splitlines()[-1]
        words = last.replace("'", "").split()
        assert words[: len(path)] == path
        inner.make_context(name, words[len(path) :])


def test_a_shell_completes_commands_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SWALLOW_SPARK_COMPLETE", "complete_bash")
    for words, number, found in (("swallow-spark bui", 1, "build"), ("swallow-spark build --dry", 2, "--dry-run")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(number))
        assert call().out.decode().split() == [found]


def test_what_help_lists_is_all_there_is() -> None:
    assert pipeline.STAGES.ends == stages.ENDS
    assert {stage.command for stage in pipeline.STAGES} <= PROGRAM.commands.keys()
    assert inputs.TEXT_SUFFIXES == stages.TEXT_SUFFIXES
    assert pipeline.STAGES.discardable == upkeep.DISCARDABLE
