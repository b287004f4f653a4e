"""A command is added by one module and a job, as CONTRIBUTING.md says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import call
from places import REPOSITORY
from typer.main import get_command

from swallow_spark import cli, commands
from swallow_spark.commands.options import app

JOB = '''"""spark-submit … jobs/{0}.py ARGUMENTS: the same as `swallow-spark {0} ARGUMENTS`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # this directory: its select.py would be taken for Python's own module

from swallow_spark.cli import main

main(["{0}", *sys.argv[1:]])
'''


@pytest.fixture
def _added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The command of the recipe, from a directory beside the others'."""
    recipe = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"`swallow_spark/commands/(\w+)\.py`:\n\n```python\n(.*?)```", recipe, re.DOTALL)
    assert found
    (tmp_path / f"{found[1]}.py").write_text(found[2], encoding="utf-8")
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
    cli.load_commands()
    yield
    del sys.modules[f"{commands.__name__}.{found[1]}"]


def files(directory: Path) -> set[Path]:
    return set(directory.rglob("*"))


@pytest.mark.usefixtures("_added")
def test_the_command_of_the_recipe(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "\n  hosts  " in call("--help").out.decode()
    text = call("hosts", "--help").out.decode()
    assert all(f"  {option} " in text for option in ("--corpus", "--number", "--config", "--set", "--master", "--json"))
    before = files(built)
    found = call("hosts", "--corpus", built, "--number", "3", "--json").json["hosts"]
    assert len(found) == 3
    assert list(found.values()) == sorted(found.values(), reverse=True)
    shown = call("hosts", "--corpus", built, "--number", "3")
    assert (shown.status, shown.out) == (0, b"")
    for host, pages in found.items():
        assert re.search(rf"^ *{re.escape(host)} +{pages} *$", shown.err, re.MULTILINE), shown.err
    assert files(built) == before
    assert "Missing option '--corpus'" in call("hosts").complaint


def test_every_command_that_may_use_spark_has_a_job_like_the_others() -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    with_spark = {name for name, one in known.items() if any("--master" in option.opts for option in one.params)}
    jobs = {path.stem: path.read_text(encoding="utf-8") for path in (REPOSITORY / "jobs").glob("*.py")}
    assert with_spark >= {"build", "explain", "sample", "label", "wiki-positives", "add-crawl"}
    assert jobs == {name: JOB.format(name) for name in with_spark}
