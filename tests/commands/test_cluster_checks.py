"""What every command checks of the cluster that it uses."""

from pathlib import Path

import pytest
from commands import call
from small_corpus import ingested

from swallow_spark.commands import running
from swallow_spark.config.load import load
from swallow_spark.errors import UsageError
from swallow_spark.session import session


@pytest.fixture
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is of no use, on machines that don't see the directory that tasks write to."""

    def check(spark: object, directory: str | None) -> list[str]:
        raise UsageError(f"not the same directory everywhere: {directory}")

    monkeypatch.setattr(session, "open_session", lambda *_: object())
    monkeypatch.setattr(session, "check_cluster", check)


@pytest.mark.usefixtures("_cluster")
def test_commands_that_write_by_tasks_check_that_all_machines_see_where(tmp_path: Path) -> None:
    corpus, _ = ingested(tmp_path, load("demo"))
    root = str(corpus.root.local_path(""))
    for name in ("pages.parquet", "categories"):
        (tmp_path / name).write_text("物理学")
    output = tmp_path / "positives"
    of_pages = ("--of", "pages", "--sample", "2", "--output", tmp_path / "out.parquet")
    commands: dict[str, tuple[tuple[str | Path, ...], str]] = {
        "sample": (("--corpus", root, *of_pages), root),
        "label": (("--corpus", root, *of_pages, "--endpoint", "http://127.0.0.1:9/v1"), root),
        "wiki-positives": (
            ("--pages", tmp_path / "pages.parquet", "--categories", tmp_path / "categories", "--output", output),
            str(output),
        ),
        "annotate": (("--corpus", root), root),
    }
    for name, (arguments, directory) in commands.items():
        ran = call(name, *arguments)
        assert ran.status == 2, (name, ran.err)
        assert f"not the same directory everywhere: {directory}" in ran.err, (name, ran.err)


def test_no_other_module_opens_a_session() -> None:
    package = Path(running.__file__).parents[1]
    opening = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "open_session(" in path.read_text(encoding="utf-8").partition('"""')[2].partition('"""')[2]
    ]
    assert sorted(opening) == ["api.py", "commands/running.py", "session/session.py"]
