"""Where Numba keeps compiled kernels if neither package nor home can be written to: where nobody else writes."""

import os
import tempfile
from pathlib import Path

import pytest

from swallow_spark.session import compiled


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of first choice, which isn't there."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that what is set is undone
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    return tmp_path / f"swallow-spark-numba-{os.getuid()}"


def place() -> Path:
    compiled.choose_directory()
    return Path(os.environ.pop("NUMBA_CACHE_DIR"))


def test_a_directory_of_this_user(own: Path) -> None:
    assert place() == own
    assert own.stat().st_mode & 0o777 == 0o700
    assert place() == own, "the second time as well"


@pytest.mark.parametrize("kind", ["open to others", "a link", "a link to nothing", "a file"])
def test_what_others_may_have_put_there_is_not_used(own: Path, kind: str) -> None:
    theirs = own.with_name("theirs")
    if kind == "open to others":
        own.mkdir()
        own.chmod(0o777)
    elif kind == "a file":
        own.touch()
    else:
        own.symlink_to(theirs)
        if kind == "a link":
            theirs.mkdir(mode=0o700)
    found = place()
    assert found not in (own, theirs)
    assert found.is_dir()
    assert not found.is_symlink()
    assert found.stat().st_mode & 0o777 == 0o700


def test_a_place_that_is_chosen_is_left(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/chosen")
    assert place() == Path("/chosen")
    assert not own.exists()


@pytest.mark.parametrize("place", ["package/kernels/html/__pycache__", "cache/numba/html_123", "own"])
def test_whether_kernels_are_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "package" / "session" / "compiled.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "own"))
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "table._sum-1.py311.nbi").touch()  # of a kernel that is used before the start of Spark
    assert not compiled.is_compiled()
    (tmp_path / place / "signs._scan-120.py311.nbi").touch()
    assert compiled.is_compiled()
