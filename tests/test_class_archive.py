"""The archive of classes: when it is used, what it is made by. `make test` makes one before, by the command itself."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from swallow_spark import class_archive, config
from swallow_spark.errors import SwallowSparkError, UsageError
from swallow_spark.kernels import features, warc
from swallow_spark.kernels.page import Limits, Page, read_page


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("SWALLOW_SPARK_JAVA", "/some/bin/java")
    monkeypatch.setenv("SWALLOW_SPARK_JAVA_VERSION", "25")
    return tmp_path


def made(prefix: Path) -> Path:
    """A file in the place of the archive."""
    path = class_archive._path()
    assert path
    assert path.is_relative_to(prefix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_it_is_used_where_it_is_there(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert class_archive.options() == []
    path = made(prefix)
    assert class_archive.options() == [f"-XX:AOTCache={path}", "-Xlog:disable"]
    monkeypatch.setenv("SWALLOW_SPARK_JAVA_VERSION", "17")
    assert class_archive.options() == [f"-XX:SharedArchiveFile={path}", "-Xlog:disable"]
    monkeypatch.setenv("SWALLOW_SPARK_JAVA", "/another/bin/java")
    assert class_archive.options() == []
    monkeypatch.delenv("SWALLOW_SPARK_JAVA")
    assert class_archive.options() == []


@pytest.mark.parametrize(("version", "option"), [("25", "-XX:AOTCacheOutput="), ("17", "-XX:ArchiveClassesAtExit=")])
def test_made_by_a_run_without_the_old_one(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, version: str, option: str
) -> None:
    monkeypatch.setenv("SWALLOW_SPARK_JAVA_VERSION", version)
    old = made(prefix)

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert not old.exists()
        assert Path(command[command.index("build") + 1]).exists()
        Path(command[-1].partition(option)[2]).write_bytes(b"classes")
        return subprocess.CompletedProcess(command, 0, "done")

    monkeypatch.setattr(subprocess, "run", run)
    assert class_archive.make("demo") == old
    assert old.read_bytes() == b"classes"
    assert os.listdir(old.parent) == [old.name], "nothing else is left"


def test_a_run_or_a_java_that_fails_is_told(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for status in (1, 0):
        monkeypatch.setattr(
            subprocess, "run", lambda command, s=status, **_: subprocess.CompletedProcess(command, s, "one\nno room\n")
        )
        with pytest.raises(SwallowSparkError, match="no archive was made: no room"):
            class_archive.make("demo")
        assert os.listdir(prefix / "share" / "swallow-spark") == []


def test_an_environment_that_cannot_be_written_to(prefix: Path) -> None:
    (prefix / "share").touch()
    with pytest.raises(UsageError, match="can't be written to"):
        class_archive.make("demo")


def test_its_pages_go_through_all_stages() -> None:
    items = list(warc.read(io.BytesIO(class_archive._pages()), max_record_bytes=1 << 20))
    pages = [read_page(item, limits=Limits()) for item in items if isinstance(item, warc.Record)]
    texts = [page.text for page in pages if isinstance(page, Page)]
    assert len(texts) == 8
    assert len(set(texts)) == 4, "there are copies"
    loaded = config.load("swallow-v2")
    measured = features.measure(pa.array(texts), blank_lines=loaded.features.blank_lines, groups=loaded.features.groups)
    for name, bound in loaded.rules.bounds.items():
        if name in measured.schema.names:
            for value in measured.column(name).to_pylist():
                assert bound.min is None or value >= bound.min, name
                assert bound.max is None or value <= bound.max, name
