"""The archive of classes: when it is used, what it is made by. `make test` makes one before, by the command itself."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from swallow_spark.config import load as config
from swallow_spark.errors import SwallowSparkError, UsageError
from swallow_spark.kernels import features
from swallow_spark.kernels.html.page import Limits, Page, read_page
from swallow_spark.kernels.warc import warc
from swallow_spark.session import warm_up as class_archive


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "an environment's"
    monkeypatch.setattr(sys, "prefix", str(place))
    monkeypatch.setenv("SWALLOW_SPARK_JAVA", "/some/bin/java")
    monkeypatch.setenv("SWALLOW_SPARK_JAVA_VERSION", "25")
    return place


def made(prefix: Path) -> Path:
    """A file in the place of the archive."""
    java = class_archive._java()
    assert java
    assert java.archive.is_relative_to(prefix)
    java.archive.parent.mkdir(parents=True, exist_ok=True)
    java.archive.write_bytes(b"old")
    return java.archive


def split(options: list[str]) -> list[str]:
    """As Spark's launcher splits a setting into options."""
    return shlex.split(" ".join(options))


def test_it_is_used_where_it_is_there(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert class_archive.options() == []
    path = made(prefix)
    assert split(class_archive.options()) == [f"-XX:AOTCache={path}", "-Xlog:disable"]
    assert split(class_archive.options("-Xmx1g")) == [f"-XX:AOTCache={path}", "-Xlog:disable"]
    for own in ("-XX:AOTCacheOutput=x", "-Xmx1g -XX:ArchiveClassesAtExit=x", "-XX:SharedArchiveFile=x"):
        assert class_archive.options(own) == [], "the JVM takes one"
    monkeypatch.setenv("SWALLOW_SPARK_JAVA_VERSION", "17")
    assert split(class_archive.options()) == [f"-XX:SharedArchiveFile={path}", "-Xlog:disable"]
    monkeypatch.setenv("SWALLOW_SPARK_JAVA", "/another/bin/java")
    assert class_archive.options() == []
    monkeypatch.setenv("SWALLOW_SPARK_JAVA", "/some/bin/java")
    monkeypatch.delenv("SWALLOW_SPARK_JAVA_VERSION")
    assert class_archive.options() == []


class Runs:
    """In the place of subprocess.run: the run that makes the archive, and the one that tries it."""

    def __init__(self, making: tuple[int, str], is_made: bool, trying: tuple[int, str]) -> None:
        self.making, self.is_made, self.trying = making, is_made, trying
        self.options: list[list[str]] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        setting = next(word for word in command if "extraJavaOptions=" in word)
        self.options.append(split([setting.partition("extraJavaOptions=")[2]]))
        if "build" not in command:
            return subprocess.CompletedProcess(command, *self.trying)
        assert Path(command[command.index("build") + 1]).exists()
        assert class_archive.options(setting) == [], "a run without the old one"
        if self.is_made:
            Path(self.options[0][0].partition("=")[2]).write_bytes(b"classes")
        return subprocess.CompletedProcess(command, *self.making)


@pytest.mark.parametrize(
    ("version", "making", "trying"),
    [
        ("25", "-XX:AOTCacheOutput=", ["-XX:AOTCache=", "-XX:AOTMode=on"]),
        ("17", "-XX:ArchiveClassesAtExit=", ["-XX:SharedArchiveFile=", "-Xshare:on"]),
    ],
)
def test_made_and_tried_beside_the_old_one(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, version: str, making: str, trying: list[str]
) -> None:
    monkeypatch.setenv("SWALLOW_SPARK_JAVA_VERSION", version)
    old = made(prefix)
    killed, beside = old.with_name("making-long-ago"), old.with_name("making-now")
    for left in (killed, beside):
        left.mkdir()
    os.utime(killed, (0, 0))
    runs = Runs((0, "done"), is_made=True, trying=(0, "version"))
    monkeypatch.setattr(subprocess, "run", runs)
    steps: list[str] = []
    assert class_archive.make("demo", steps.append) == old
    assert [step[:7] for step in steps] == ["1 of 2:", "2 of 2:"]
    assert old.read_bytes() == b"classes"
    assert sorted(os.listdir(old.parent)) == [old.name, beside.name], "what a killed one left is gone"
    [[maker], [user, condition]] = runs.options
    assert maker.startswith(making)
    assert [user.removesuffix(maker.removeprefix(making)), condition] == trying


@pytest.mark.parametrize(
    ("making", "is_made", "trying", "said"),
    [
        ((1, "unable\nno room\n"), False, (0, ""), "no archive was made: no room"),
        ((0, "[warning] Skipping\n[error] Unable to write\ndone"), False, (0, ""), r"made: \[error\] Unable to write$"),
        ((0, "all is well"), False, (0, ""), "Java gave no reason"),
        ((0, ""), True, (1, "The jars are others\nUnable to use it\n"), "can't use .*: The jars are others; Unable"),
    ],
)
def test_a_run_or_a_java_that_fails_is_told(
    prefix: Path,
    monkeypatch: pytest.MonkeyPatch,
    making: tuple[int, str],
    is_made: bool,
    trying: tuple[int, str],
    said: str,
) -> None:
    old = made(prefix)
    monkeypatch.setattr(subprocess, "run", Runs(making, is_made, trying))
    with pytest.raises(SwallowSparkError, match=said):
        class_archive.make("demo", lambda step: None)
    assert os.listdir(old.parent) == [old.name]
    assert old.read_bytes() == b"old"


def test_an_environment_that_cannot_be_written_to(prefix: Path) -> None:
    prefix.mkdir()
    (prefix / "share").touch()
    with pytest.raises(UsageError, match="can't be written to"):
        class_archive.make("demo", lambda step: None)


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
